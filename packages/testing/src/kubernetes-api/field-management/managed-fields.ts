import {
  copy,
  isJsonObject,
  type Json,
  type JsonObject,
  jsonEqual,
  type KubernetesObject,
  type ManagedFieldsEntry,
} from '../object.ts';
import { groupKindText } from '../resources.ts';
import type { StructSchema } from '../schema.ts';
import { ApiStatusError, badRequest } from '../status.ts';
import { FieldSet, type PathElement, printPath } from './field-set.ts';
import { compareObjects, duplicateKey, fieldsOf, mergeObjects, removeFields } from './typed-object.ts';

/** Who writes, and how. */
export interface FieldManagement {
  readonly manager: string;
  readonly apiVersion: string;
  /** `status` if the write goes to that subresource. */
  readonly subresource?: string | undefined;
  readonly schema: StructSchema;
  /** Now, in the form of `metadata`. */
  readonly time: string;
}

/**
 * Records in `metadata.managedFields` which fields a create, update or patch changed. From then on they belong to the writer
 * alone.
 *
 * Source: apimachinery `pkg/util/managedfields`; structured-merge-diff `merge/update.go` (Update).
 */
export function recordUpdate(
  live: KubernetesObject | undefined,
  next: KubernetesObject,
  by: FieldManagement,
): KubernetesObject {
  const { schema } = by;
  const entries = givenEntries(live, next);
  const before = withoutManagedFields(live ?? emptyObject(next)) as unknown as Json;
  const after = withoutManagedFields(next);
  const ignored = ignoredFields(by.subresource);
  const compared = compareObjects(before, after as unknown as Json, schema);
  const changed = compared.added.union(compared.modified).without(ignored);
  const removed = compared.removed.without(ignored);

  const managers = entries.map((entry) => ({
    ...entry,
    set: entry.set.difference(entry.set.intersection(changed)).difference(removed),
  }));
  if (!changed.isEmpty()) {
    const mine = entryOf(by, 'Update', changed);
    const found = managers.find((entry) => identity(entry) === identity(mine));
    if (found === undefined) {
      managers.push(mine);
    } else {
      found.set = found.set.union(changed);
      found.time = by.time;
    }
  }
  return withManagers(after, managers);
}

/**
 * Checks a configuration before it is applied.
 *
 * @throws ApiStatusError 500, as the API server has it, for fields that the type lacks and for keys that occur twice.
 */
export function checkConfiguration(configuration: JsonObject, unknown: readonly string[], schema: StructSchema): void {
  const metadata = isJsonObject(configuration['metadata']) ? configuration['metadata'] : {};
  if (metadata['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
  const [field] = unknown;
  const problem = field === undefined ? duplicateKey(configuration, schema) : `.${field}: field not declared in schema`;
  if (problem === undefined) return;
  const name = `${String(metadata['namespace'] ?? '')}/${String(metadata['name'] ?? '')}`;
  throw new ApiStatusError(
    500,
    '',
    `failed to create typed patch object (${name}; ${groupKindText(configuration)}): ${problem}`,
  );
}

/** See {@link applyConfiguration}. */
export interface AppliedConfiguration {
  readonly object: KubernetesObject;
  /** Whether anything but the time of the last apply is different. */
  readonly changed: boolean;
}

/**
 * Server-side apply: lays a configuration over the live object. Fields that the manager applied before and leaves out
 * now are removed, unless another manager owns them.
 *
 * Source: Kubernetes documentation, "Server-Side Apply"; structured-merge-diff `merge/update.go` (Apply).
 *
 * @throws ApiStatusError 409 Conflict, one cause for each field that another manager owns, unless `force`.
 */
export function applyConfiguration(
  live: KubernetesObject,
  configuration: JsonObject,
  by: FieldManagement & { readonly force: boolean },
): AppliedConfiguration {
  const { schema } = by;
  const ignored = ignoredFields(by.subresource);
  const before = withoutManagedFields(live);
  let managers = readEntries(live.metadata.managedFields);
  if (managers.length === 0) {
    // The object has no record of its maker. It gets all the fields, so that taking them over is a conflict.
    const empty = emptyObject(live) as unknown as Json;
    const set = compareObjects(empty, before as unknown as Json, schema).added.without(ignored);
    managers = [entryOf({ ...by, manager: 'before-first-apply', subresource: undefined }, 'Update', set)];
  }
  const spoken = fieldsOf(configuration, schema);
  const mine = entryOf(by, 'Apply', spoken.without(ignored));
  const last = managers.find((entry) => identity(entry) === identity(mine));
  const others = managers.filter((entry) => entry !== last);
  const merged = mergeObjects(before as unknown as Json, configuration, schema);
  const pruned =
    last === undefined
      ? merged
      : prune(
          merged,
          last.set,
          spoken,
          others.map((entry) => entry.set),
          schema,
        );

  const compared = compareObjects(before as unknown as Json, pruned, schema);
  const changed = compared.added.union(compared.modified).without(ignored);
  const removed = compared.removed.without(ignored);
  const conflicts = others.flatMap((entry) =>
    entry.set
      .intersection(changed)
      .paths()
      .map((path) => ({ entry, path })),
  );
  const owners =
    conflicts.length === 0 || by.force || lastAppliedAllows(live, by.manager, conflicts, schema)
      ? others.map((entry) => ({ ...entry, set: entry.set.difference(changed).difference(removed) }))
      : refuse(conflicts);

  const sameSets =
    last?.set.equals(mine.set) === true && others.every((entry, index) => owners[index]?.set.equals(entry.set));
  const sameObject = jsonEqual(before, pruned);
  if (sameSets && sameObject) return { object: live, changed: false };
  return {
    object: withManagers(pruned as unknown as KubernetesObject, [...owners, mine]),
    changed: true,
  };
}

interface ManagerEntry {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource: string | undefined;
  time: string | undefined;
  set: FieldSet;
}

function entryOf(by: FieldManagement, operation: ManagerEntry['operation'], set: FieldSet): ManagerEntry {
  const { manager, apiVersion, subresource, time } = by;
  return { manager, operation, apiVersion, subresource, time, set };
}

/** Removes what the manager applied last time and omits now, unless another manager owns it. */
function prune(merged: Json, last: FieldSet, now: FieldSet, others: readonly FieldSet[], schema: StructSchema): Json {
  const mergedSet = fieldsOf(merged, schema).withNamedParents(schema);
  const pruned = removeFields(merged, last.withNamedParents(schema), schema) ?? {};
  const owned = others.reduce((all, set) => all.union(set), now).withNamedParents(schema);
  const kept = fieldsOf(pruned, schema).withNamedParents(schema).union(owned);
  const withOwned = removeFields(merged, mergedSet.difference(kept), schema) ?? {};
  // A field without an owner is not the manager's to remove.
  const gone = mergedSet.difference(fieldsOf(withOwned, schema).withNamedParents(schema));
  return removeFields(merged, gone.intersection(last.withNamedParents(schema)), schema) ?? {};
}

/**
 * `kubectl apply --server-side` on an object that `kubectl apply` made: a field that is the same in the last-applied
 * annotation and in the object may be taken over.
 */
function lastAppliedAllows(
  live: KubernetesObject,
  manager: string,
  conflicts: readonly { path: readonly PathElement[] }[],
  schema: StructSchema,
): boolean {
  const annotation = live.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  if (manager !== 'kubectl' || annotation === undefined) return false;
  let applied: Json;
  try {
    applied = JSON.parse(annotation) as Json;
  } catch {
    return false;
  }
  const { added, modified } = compareObjects(applied, withoutManagedFields(live) as unknown as Json, schema);
  const differing = added.union(modified);
  const allowed = fieldsOf(applied, schema).difference(differing);
  return FieldSet.of(conflicts.map(({ path }) => path))
    .difference(allowed)
    .isEmpty();
}

function refuse(conflicts: readonly { entry: ManagerEntry; path: readonly PathElement[] }[]): never {
  const causes = conflicts.map(({ entry, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${describe(entry)}`,
    field: printPath(path),
  }));
  const [first] = causes;
  let message = `Apply failed with 1 conflict: ${first?.message}: ${first?.field}`;
  if (causes.length > 1) {
    const groups = new Map<string, string[]>();
    for (const { entry, path } of conflicts) {
      groups.set(describe(entry), [...(groups.get(describe(entry)) ?? []), printPath(path)]);
    }
    const lines = [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([who, paths]) => [`conflicts with ${who}:`, ...paths.map((path) => `- ${path}`)]);
    message = `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`;
  }
  throw new ApiStatusError(409, 'Conflict', message, { causes });
}

function describe(entry: ManagerEntry): string {
  const subresource = entry.subresource ? ` with subresource ${JSON.stringify(entry.subresource)}` : '';
  const version = entry.operation === 'Update' ? ` using ${entry.apiVersion}` : '';
  return `${JSON.stringify(entry.manager)}${subresource}${version}`;
}

/** Entries that came with the request count, so that they can be edited; an empty list clears them. */
function givenEntries(live: KubernetesObject | undefined, next: KubernetesObject): ManagerEntry[] {
  const given = next.metadata.managedFields;
  if (Array.isArray(given)) {
    const [only] = given;
    const cleared = given.length === 0 || (given.length === 1 && only !== undefined && Object.keys(only).length === 0);
    if (cleared) return [];
    const entries = readEntries(given);
    if (entries.length > 0) return entries;
  }
  return readEntries(live?.metadata.managedFields);
}

function readEntries(entries: readonly ManagedFieldsEntry[] | undefined): ManagerEntry[] {
  return (Array.isArray(entries) ? entries : []).flatMap((entry) => {
    if (!isJsonObject(entry) || entry['fieldsType'] !== 'FieldsV1') return [];
    const { manager, operation, apiVersion, subresource, time, fieldsV1 } = entry as unknown as ManagedFieldsEntry;
    return [{ manager, operation, apiVersion, subresource, time, set: FieldSet.parse(fieldsV1) }];
  });
}

function withManagers(object: KubernetesObject, managers: readonly ManagerEntry[]): KubernetesObject {
  const written = copy(object);
  const entries = managers
    .filter((entry) => !entry.set.isEmpty())
    .sort((a, b) => compareText(sortKey(a), sortKey(b)))
    .map(
      (entry): ManagedFieldsEntry => ({
        manager: entry.manager,
        operation: entry.operation,
        apiVersion: entry.apiVersion,
        ...(entry.time === undefined ? {} : { time: entry.time }),
        fieldsType: 'FieldsV1',
        fieldsV1: entry.set.toJson(),
        ...(entry.subresource ? { subresource: entry.subresource } : {}),
      }),
    );
  if (entries.length > 0) written.metadata.managedFields = entries;
  else delete written.metadata.managedFields;
  return written;
}

function sortKey(entry: ManagerEntry): string {
  return [entry.operation, entry.time ?? '', entry.manager, entry.apiVersion, entry.subresource ?? ''].join('\u0000');
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function identity(entry: ManagerEntry): string {
  // A manager that applies is the same across versions of the API.
  const version = entry.operation === 'Apply' ? '' : entry.apiVersion;
  return [entry.manager, entry.operation, version, entry.subresource ?? ''].join('\u0000');
}

function withoutManagedFields(object: KubernetesObject): KubernetesObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** The object that a new one is compared with: its parts exist, and are empty. */
function emptyObject(next: KubernetesObject): KubernetesObject {
  const { apiVersion, kind } = next;
  return { apiVersion, kind, metadata: {}, spec: {}, status: { loadBalancer: {} } };
}

/** Fields that the server itself writes, or that a write to this place cannot change. */
function ignoredFields(subresource: string | undefined): FieldSet {
  const own = serverFields.map((field) => ['f:metadata', `f:${field}`]);
  const reset = subresource === 'status' ? ['f:spec'] : ['f:status'];
  return FieldSet.of([['f:apiVersion'], ['f:kind'], ...own, reset]);
}

const serverFields = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
];
