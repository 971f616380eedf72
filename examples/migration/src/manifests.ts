import {
  type FromExternalNameOptions,
  type KubernetesObject,
  type MigrationPlan,
  migrateFromExternalName,
  migrateToExternalName,
  type ServiceManifest,
} from '@externalname/core/manifests';
import { catalog } from './catalog.ts';

const { service: name, namespace, selector, outside } = catalog;

/** The Service as it is before: pods behind a cluster IP. An ExternalName maps no ports, so both places listen on this one. */
export function serviceOfPods(port = 8443): ServiceManifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { type: 'ClusterIP', selector: { ...selector }, ports: [{ name: 'https', port, protocol: 'TCP' }] },
  };
}

/** What is in manifests.yaml. */
export function manifests(): KubernetesObject[] {
  return [serviceOfPods()];
}

/** The steps out of the cluster. */
export function planOut(current: ServiceManifest): MigrationPlan {
  return migrateToExternalName(current, { externalName: outside });
}

/** The steps back to the pods. The old cluster IP is asked for again, as clients outside of DNS may have it. */
export function planBack(
  current: ServiceManifest,
  { spec }: ServiceManifest,
  address: string | undefined = spec.clusterIP,
): MigrationPlan {
  const options: FromExternalNameOptions = { to: 'ClusterIP', selector, ports: spec.ports, clusterIP: address };
  return migrateFromExternalName(current, options);
}
