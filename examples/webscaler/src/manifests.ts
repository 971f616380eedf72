import {
  clientPod,
  externalNameService,
  type KubernetesObject,
  serviceSwitcherRole,
  targetAdmissionPolicy,
} from '@externalname/core/manifests';

const namespace = 'default';
const service = 'webscaler-db';
const allowedTargets = ['primary-db.example.com', 'secondary-db.example.com'];

/** The name, the only hosts that it may lead to, who may switch it, and a pod to look at it from. */
export function manifests(): KubernetesObject[] {
  return [
    externalNameService({ name: service, namespace, externalName: 'primary-db.example.com', allowedTargets }),
    ...targetAdmissionPolicy({ name: 'webscaler-db-targets', namespace, service, allowedTargets }),
    ...serviceSwitcherRole({
      name: 'webscaler-db-switcher',
      namespace,
      service,
      subjects: [{ kind: 'Group', name: 'database-on-call' }],
    }),
    clientPod({ name: 'webscaler-client', namespace }),
  ];
}
