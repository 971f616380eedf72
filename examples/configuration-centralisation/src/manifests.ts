import {
  applicationDeployment,
  externalNameService,
  type KubernetesObject,
  serviceSwitcherRole,
  targetAdmissionPolicy,
} from '@externalname/core/manifests';
import { allowedTargets, applications } from './applications.ts';

const namespace = 'default';
const service = 'webscaler-db';

/** The one place that says where the database is, who may change it and to what, and the applications, which do not say. */
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
    ...applications.map((name) =>
      applicationDeployment({
        name,
        namespace,
        image: `registry.example.com/webscaler/${name}:1.0.0`,
        allowedTargets,
        env: { PGHOST: service, PGDATABASE: 'app', PGAPPNAME: name },
        envFromSecrets: ['webscaler-db'],
      }),
    ),
  ];
}
