import { clientPod, externalNameService, type KubernetesObject } from '@externalname/core/manifests';

const namespace = 'default';

/** The name, and a pod to see with curl what HTTP and TLS make of it. */
export function manifests(): KubernetesObject[] {
  return [
    externalNameService({ name: 'webscaler-manual', namespace, externalName: 'httpbin.org' }),
    clientPod({ name: 'webscaler-client', namespace }),
  ];
}
