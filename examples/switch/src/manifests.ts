import { externalNameService, type KubernetesObject, serviceSwitcherRole } from '@externalname/core/manifests';

const namespace = 'default';
const service = 'webscaler-db';

/** The name, and who may switch it: what the program needs, and no more. */
export function manifests(): KubernetesObject[] {
  return [
    externalNameService({ name: service, namespace, externalName: 'primary-db.example.com' }),
    ...serviceSwitcherRole({
      name: 'webscaler-db-switcher',
      namespace,
      service,
      subjects: [{ kind: 'Group', name: 'database-on-call' }],
    }),
  ];
}
