import { clientPod, externalNameService, type KubernetesObject } from '@externalname/core/manifests';

const namespace = 'default';

/** The manifests of the webscaler scenario, in the order in which they are applied. */
export function scenarioManifests(): KubernetesObject[] {
  return [
    // One name for the database, for every application; the client to look at it with; the same name after the switch.
    externalNameService({ name: 'webscaler-db', namespace, externalName: 'primary-db.example.com' }),
    clientPod({ name: 'webscaler-client', namespace }),
    externalNameService({ name: 'webscaler-db', namespace, externalName: 'secondary-db.example.com' }),
    // A target that exists, to see what HTTP and TLS make of it.
    externalNameService({ name: 'webscaler-manual', namespace, externalName: 'httpbin.org' }),
  ];
}
