import type { ServiceManifest } from '../objects/index.ts';
import { aText, checkOptions } from '../shape.ts';
import { type BuilderChecks, checked, checkShapes } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** See {@link externalNameService}. */
export interface ExternalNameServiceOptions extends ManifestName, BuilderChecks {
  /** The host that the Service stands for. A dot at its end changes nothing. */
  externalName: string;
}

/**
 * Makes a Service of type ExternalName: the cluster's DNS answers its name with a CNAME to `externalName`. It has no
 * selector, no ports, and nothing else that the API server would drop or refuse.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` for what the API server refuses, and for targets that
 * can never work: addresses, labels over 63 characters, the Service itself, hosts outside `allowedTargets`.
 *
 * Source: Kubernetes documentation, "Service", section ExternalName.
 *
 * @example
 * ```ts
 * const service = externalNameService({ name: 'webscaler-db', namespace: 'default', externalName: 'primary-db.example.com' });
 * console.log(toYaml(service));
 * ```
 */
export function externalNameService(options: ExternalNameServiceOptions): ServiceManifest {
  checkOptions(options, { ...nameShapes, ...checkShapes, externalName: aText });
  const { externalName } = options;
  const service: ServiceManifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(options),
    spec: { type: 'ExternalName', externalName },
  };
  return checked('Service of type ExternalName', service, options);
}
