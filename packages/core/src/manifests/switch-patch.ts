import { InvalidArgumentError } from '../errors.ts';
import type { ServiceManifest } from '../objects/index.ts';
import { aText, checkOptions, either, oneOf, optional, optionsOf, recordOf } from '../shape.ts';
import { checkShapes } from './manifest-error.ts';
import { type ExternalNameServiceOptions, externalNameService } from './service.ts';

/** One operation of a JSON Patch (RFC 6902). */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string };

/** The `Content-Type` of each kind of patch. Source: Kubernetes API concepts, "Patch". */
export const patchContentTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** What must be true for the switch to happen. */
export interface SwitchGuard {
  /** The host that the Service points to now, exactly as the Service spells it. JSON Patch only: other patches cannot test it. */
  externalName?: string | undefined;
  /** `metadata.uid` of the Service as it was read. A new Service of the same name has another uid. JSON Patch only. */
  uid?: string | undefined;
  /** `metadata.resourceVersion` of the Service as it was read. */
  resourceVersion?: string | undefined;
}

/** What the patches of a switch have in common. */
export interface SwitchPatchOptions
  extends Pick<ExternalNameServiceOptions, 'externalName' | 'allowedTargets' | 'kubernetesVersion' | 'clusterDomain'> {
  /** The guard. Without it, the last writer wins. */
  onlyIf?: SwitchGuard | undefined;
}

/** See {@link switchJsonPatch}. */
export interface SwitchJsonPatchOptions extends SwitchPatchOptions {
  /** Annotations to write with the switch. @defaultValue none */
  annotations?: SwitchPatchAnnotations | undefined;
}

/** See {@link SwitchJsonPatchOptions.annotations}. */
export interface SwitchPatchAnnotations {
  /** What to write; `null` removes an annotation. */
  readonly set: Readonly<Record<string, string | null>>;
  /**
   * All annotations of the Service as it was read; left out if it has none. The patch then adds the whole map, which needs
   * `onlyIf.resourceVersion`: without that guard it would overwrite annotations that were added since.
   */
  readonly current?: Readonly<Record<string, string>> | undefined;
}

/**
 * Makes the switch as a JSON Patch: `kubectl patch service webscaler-db --type=json -p '...'`. For a Service of type
 * ExternalName: without a guard on `externalName` the API server would add the field to any other Service, too.
 *
 * If a guard does not hold, the API server answers 422 without a cause: read the Service again to learn why.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` for a target that cannot work.
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for `annotations` without the guard that they need.
 */
export function switchJsonPatch(options: SwitchJsonPatchOptions): JsonPatchOperation[] {
  checkOptions(options, { ...switchShapes, annotations: optional(annotationsShape) });
  const { externalName, onlyIf = {}, annotations } = options;
  checkTarget(options);
  if (annotations !== undefined && annotations.current === undefined && onlyIf.resourceVersion === undefined) {
    throw new InvalidArgumentError('onlyIf.resourceVersion', 'is needed to annotate a Service without annotations');
  }
  const guards = [
    ['/metadata/uid', onlyIf.uid],
    ['/metadata/resourceVersion', onlyIf.resourceVersion],
    ['/spec/externalName', onlyIf.externalName],
  ] as const;
  return [
    ...guards.flatMap(([path, value]) => (value === undefined ? [] : { op: 'test' as const, path, value })),
    { op: 'replace', path: '/spec/externalName', value: externalName },
    ...(annotations === undefined ? [] : annotationOperations(annotations)),
  ];
}

function annotationOperations({ set, current }: SwitchPatchAnnotations): JsonPatchOperation[] {
  const path = '/metadata/annotations';
  const entries = Object.entries(set);
  if (current === undefined) {
    return [{ op: 'add', path, value: Object.fromEntries(entries.filter(([, value]) => value !== null)) }];
  }
  return entries
    .filter(([key, value]) => value !== null || Object.hasOwn(current, key))
    .map(([key, value]) => {
      // RFC 6901 section 3.
      const pointer = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      return value === null ? { op: 'remove', path: pointer } : { op: 'add', path: pointer, value };
    });
}

/** Body of a merge patch or a strategic merge patch, which are the same for a switch. */
export interface SwitchMergePatch {
  /** The guard: the version that the Service must have. */
  metadata?: { resourceVersion: string };
  /** The new target. */
  spec: { externalName: string };
}

/**
 * Makes the switch as a merge patch (RFC 7396). A guard on `resourceVersion` that does not hold makes the API server answer 409.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a guard on `externalName` or `uid`: a merge patch has no test.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` for a target that cannot work.
 */
export function switchMergePatch(options: SwitchPatchOptions): SwitchMergePatch {
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
export interface SwitchApplyOptions
  extends SwitchPatchOptions,
    Pick<ExternalNameServiceOptions, 'name' | 'namespace'> {}

/**
 * Makes the switch as a server-side apply: the whole intent of the field manager that sends it (query `fieldManager=...`).
 * If another manager owns `spec.externalName`, the API server answers 409 unless the query has `force=true`. The apply
 * creates the Service if it does not exist.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a guard on `externalName` or `uid`: ownership is the guard.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` for a target that cannot work.
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
  onlyIf: optional(
    optionsOf<SwitchGuard>({ externalName: optional(aText), uid: optional(aText), resourceVersion: optional(aText) }),
  ),
};
const annotationsShape = optionsOf<SwitchPatchAnnotations>({
  set: recordOf(either(oneOf(null), aText)),
  current: optional(recordOf(aText)),
});

function refuseTest(guard: SwitchGuard = {}, what: string): void {
  const tested = (['externalName', 'uid'] as const).find((name) => guard[name] !== undefined);
  if (tested === undefined) return;
  throw new InvalidArgumentError(
    `onlyIf.${tested}`,
    `${what} cannot test a value: use switchJsonPatch, or a guard on resourceVersion`,
  );
}

/** A patch does not name its Service, so only its target can be checked. */
function checkTarget(options: SwitchPatchOptions): void {
  externalNameService({ ...checks(options), name: 'switched' });
}

function checks({ externalName, allowedTargets, kubernetesVersion, clusterDomain }: SwitchPatchOptions) {
  return { externalName, allowedTargets, kubernetesVersion, clusterDomain };
}
