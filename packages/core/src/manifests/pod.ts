import type { PodManifest } from '../objects/index.ts';
import { aText, checkOptions, listOf, optional } from '../shape.ts';
import { type BuilderChecks, checked } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** See {@link clientPod}. */
export interface ClientPodOptions extends ManifestName, Pick<BuilderChecks, 'kubernetesVersion'> {
  /** Image of the only container. @defaultValue `ubuntu:latest` */
  image?: string | undefined;
  /** Name of the only container. @defaultValue `ubuntu-container` */
  containerName?: string | undefined;
  /** What the container runs. @defaultValue a shell that sleeps */
  command?: readonly string[] | undefined;
}

/**
 * Makes a Pod that stays up, for a look at a Service from inside the cluster: `kubectl exec webscaler-client -- nslookup webscaler-db`.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`
 */
export function clientPod(options: ClientPodOptions): PodManifest {
  checkOptions(options, {
    ...nameShapes,
    kubernetesVersion: optional(aText),
    image: optional(aText),
    containerName: optional(aText),
    command: optional(listOf(aText)),
  });
  const { image = 'ubuntu:latest', containerName = 'ubuntu-container', command = staysUp } = options;
  const pod: PodManifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(options),
    spec: { containers: [{ name: containerName, image, command: [...command] }] },
  };
  return checked('Pod', pod, options);
}

const staysUp = ['/bin/bash', '-c', 'while true; do sleep 3600; done'];
