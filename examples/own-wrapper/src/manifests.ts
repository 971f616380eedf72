import {
  egressNetworkPolicy,
  externalNameService,
  type KubernetesObject,
  targetAdmissionPolicy,
} from '@externalname/core/manifests';

const namespace = 'default';
const service = 'webscaler-cache';
const allowedTargets = ['cache-a.example.com', 'cache-b.example.com'];

/** The Service in front of Redis, the hosts that it may point to, and the way out for its clients. */
export function manifests(): KubernetesObject[] {
  return [
    externalNameService({ name: service, namespace, externalName: 'cache-a.example.com', allowedTargets }),
    ...targetAdmissionPolicy({ name: 'webscaler-cache-targets', namespace, service, allowedTargets }),
    egressNetworkPolicy({
      name: 'to-webscaler-cache',
      namespace,
      podLabels: { 'webscaler-cache': 'client' },
      networks: ['203.0.113.0/24'],
      ports: [{ port: 6379 }],
    }),
  ];
}
