import {
  applicationDeployment,
  type DeploymentManifest,
  egressNetworkPolicy,
  externalNameService,
  type KubernetesObject,
  targetAdmissionPolicy,
} from '@externalname/core/manifests';
import { premises } from './premises.ts';

const { service, namespace, hostName, networks, port } = premises;
const allowedTargets = [hostName];
const application = 'orders';

/** What the cluster needs, in the order in which it is applied. */
export function manifests(): KubernetesObject[] {
  return [
    externalNameService({ name: service, namespace, externalName: hostName, allowedTargets }),
    // The API server refuses every other host, also for someone who may edit Services.
    ...targetAdmissionPolicy({ name: 'orders-db-targets', namespace, service, allowedTargets }),
    // These pods get out to the premises and to DNS. No other pod needs the way there.
    egressNetworkPolicy({
      name: 'orders-to-premises',
      namespace,
      podLabels: { 'app.kubernetes.io/name': application },
      networks,
      ports: [{ port }],
    }),
    withAuthority(
      applicationDeployment({
        name: application,
        namespace,
        image: 'registry.example.com/shop/orders:1.0.0',
        allowedTargets,
        env: {
          PGHOST: service,
          PGPORT: String(port),
          PGDATABASE: 'orders',
          PGSSLROOTCERT: '/etc/premises/ca.pem',
        },
        envFromSecrets: ['orders-db'],
      }),
    ),
  ];
}

/** Mounts the certificate of the private authority: `kubectl create configmap premises-ca --from-file=ca.pem`. */
function withAuthority(deployment: DeploymentManifest): DeploymentManifest {
  const { template } = deployment.spec;
  const containers = (template.spec?.containers ?? []).map((container) => ({
    ...container,
    volumeMounts: [{ name: 'premises-ca', mountPath: '/etc/premises', readOnly: true }],
  }));
  const volumes = [{ name: 'premises-ca', configMap: { name: 'premises-ca' } }];
  return {
    ...deployment,
    spec: { ...deployment.spec, template: { ...template, spec: { ...template.spec, containers, volumes } } },
  };
}
