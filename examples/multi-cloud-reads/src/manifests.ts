import { externalNameService } from '@externalname/core/manifests';
import { clouds, namespace } from './clouds.ts';

/** One ExternalName Service for the replicas of each cloud. */
export function manifests() {
  return clouds.map(({ service, hostName }) =>
    externalNameService({ name: service, namespace, externalName: hostName, allowedTargets: [hostName] }),
  );
}
