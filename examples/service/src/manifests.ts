import {
  applicationDeployment,
  type DeploymentManifest,
  egressNetworkPolicy,
  externalNameService,
  type KubernetesObject,
  type ServiceManifest,
  targetAdmissionPolicy,
} from '@externalname/core/manifests';

const namespace = 'default';
const database = 'webscaler-db';
const name = 'work';
const port = 8080;
const allowedTargets = ['primary-db.example.com', 'secondary-db.example.com'];

/** The database's Service with its policies, and the application with its probes and its own Service. */
export function manifests(): KubernetesObject[] {
  const application = applicationDeployment({
    name,
    namespace,
    image: 'registry.example.com/webscaler/work:1.0.0',
    allowedTargets,
    env: { PGHOST: database, PGDATABASE: 'app', PGSSLROOTCERT: 'system', PORT: String(port) },
    envFromSecrets: [database],
  });
  const service: ServiceManifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      type: 'ClusterIP',
      selector: application.spec.selector.matchLabels ?? {},
      ports: [{ name: 'http', port: 80, targetPort: port, protocol: 'TCP' }],
    },
  };
  return [
    externalNameService({ name: database, namespace, externalName: 'primary-db.example.com', allowedTargets }),
    ...targetAdmissionPolicy({ name: 'webscaler-db-targets', namespace, service: database, allowedTargets }),
    egressNetworkPolicy({
      name: 'work-to-webscaler-db',
      namespace,
      podLabels: { 'app.kubernetes.io/name': name },
      networks: ['203.0.113.0/24'],
      ports: [{ port: 5432 }],
    }),
    watched(application),
    service,
  ];
}

/** Adds what the cluster asks of the program, and how it may run. */
function watched(deployment: DeploymentManifest): DeploymentManifest {
  const { template } = deployment.spec;
  const containers = (template.spec?.containers ?? []).map((container) => ({
    ...container,
    ports: [{ name: 'http', containerPort: port }],
    livenessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 10 },
    readinessProbe: {
      httpGet: { path: '/readyz', port: 'http' },
      periodSeconds: 2,
      timeoutSeconds: 1,
      failureThreshold: 1,
    },
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 1000,
      capabilities: { drop: ['ALL'] },
    },
  }));
  // 5 s until load balancers have noticed, and up to 30 s each for the last answers and for the end of the pool.
  const spec = { ...template.spec, containers, terminationGracePeriodSeconds: 70 };
  return { ...deployment, spec: { ...deployment.spec, template: { ...template, spec } } };
}
