import { InvalidArgumentError } from '../errors.ts';
import type { ServiceManifest } from '../objects/index.ts';
import { aText, checkOptions, objectOf, optional } from '../shape.ts';
import { checkShapes } from './manifest-error.ts';
import { type ExternalNameServiceOptions, externalNameService } from './service.ts';

/** One operation of a JSON Patch (RFC 6902), as far as a switch needs them. */
export type JsonPatchOperation =
  | { op: 'test' | 'replace' | 'add'; path: string; value: unknown }
  | { op: 'remove'; path: string };

/** The `Content-Type` of each kind of patch. Source: Kubernetes API concepts, "Patch". */
export const patchContentTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** What must be true for the switch to happen. */
export interface SwitchGuard {
  /** The host that the Service points to now, as it stands there. JSON Patch only: other patches cannot ask for it. */
  externalName?: string | undefined;
  /** `metadata.resourceVersion` of the Service as it was read. */
  resourceVersion?: string | undefined;
}

/** See {@link switchJsonPatch}. */
export interface SwitchOptions
  extends Pick<ExternalNameServiceOptions, 'externalName' | 'allowedTargets' | 'kubernetesVersion' | 'clusterDomain'> {
  /** Left out: the last writer wins. */
  onlyIf?: SwitchGuard | undefined;
}

/**
 * The switch as JSON Patch: `kubectl patch service webscaler-db --type=json -p '...'`. Works on a Service of type
 * ExternalName only, for `replace` needs the field to be there.
 *
 * A guard that does not hold makes the API server answer 422 without a cause: read the Service again to learn why.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` where the target is none.
 */
export function switchJsonPatch(options: SwitchOptions): JsonPatchOperation[] {
  checkOptions(options, switchShapes);
  const { externalName, onlyIf } = options;
  checkTarget(options);
  return [
    ...(onlyIf?.resourceVersion === undefined
      ? []
      : [{ op: 'test' as const, path: '/metadata/resourceVersion', value: onlyIf.resourceVersion }]),
    ...(onlyIf?.externalName === undefined
      ? []
      : [{ op: 'test' as const, path: '/spec/externalName', value: onlyIf.externalName }]),
    { op: 'replace', path: '/spec/externalName', value: externalName },
  ];
}

/** Body of a merge patch, or of a strategic one: they are the same for a switch. */
export interface SwitchMergePatch {
  /** The guard: the version that the Service must have. */
  metadata?: { resourceVersion: string };
  /** The new target. */
  spec: { externalName: string };
}

/**
 * The switch as merge patch (RFC 7396). A guard on `resourceVersion` that does not hold makes the API server answer 409.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a guard on `externalName`: a merge patch has no test.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` where the target is none.
 */
export function switchMergePatch(options: SwitchOptions): SwitchMergePatch {
  checkOptions(options, switchShapes);
  const { externalName, onlyIf } = options;
  refuseTest(onlyIf, 'a merge patch');
  checkTarget(options);
  return {
    ...(onlyIf?.resourceVersion === undefined ? {} : { metadata: { resourceVersion: onlyIf.resourceVersion } }),
    spec: { externalName },
  };
}

/** See {@link switchApplyConfiguration}. */
export interface SwitchApplyOptions extends SwitchOptions, Pick<ExternalNameServiceOptions, 'name' | 'namespace'> {}

/**
 * The switch as server-side apply: the whole intent of the field manager that sends it (query `fieldManager=...`, and
 * `force=true` to take `spec.externalName` over from another one, which answers 409 otherwise). Makes the Service where
 * there is none.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a guard on `externalName`: ownership is the guard.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` where the target is none.
 */
export function switchApplyConfiguration(options: SwitchApplyOptions): ServiceManifest {
  checkOptions(options, { ...switchShapes, name: aText, namespace: optional(aText) });
  const { name, namespace, onlyIf } = options;
  refuseTest(onlyIf, 'server-side apply');
  const service = externalNameService({ ...checks(options), name, namespace });
  if (onlyIf?.resourceVersion === undefined) return service;
  return { ...service, metadata: { ...service.metadata, resourceVersion: onlyIf.resourceVersion } };
}

const switchShapes = {
  ...checkShapes,
  externalName: aText,
  onlyIf: optional(objectOf({ externalName: optional(aText), resourceVersion: optional(aText) })),
};

function refuseTest(guard: SwitchGuard | undefined, what: string): void {
  if (guard?.externalName === undefined) return;
  throw new InvalidArgumentError(
    'onlyIf.externalName',
    `${what} cannot test a value: use switchJsonPatch, or a guard on resourceVersion`,
  );
}

/** A patch names no Service: what it can be checked for is its target. */
function checkTarget(options: SwitchOptions): void {
  externalNameService({ ...checks(options), name: 'switched' });
}

function checks({ externalName, allowedTargets, kubernetesVersion, clusterDomain }: SwitchOptions) {
  return { externalName, allowedTargets, kubernetesVersion, clusterDomain };
}
