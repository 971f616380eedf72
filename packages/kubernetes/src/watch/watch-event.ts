import type { ApiStatus } from '../api/errors.ts';
import { parsedRecord, record } from '../api/json.ts';
import { readStatus } from '../api/kubernetes-api.ts';
import { isObjectAt, isVersion, type ObjectName, type ObjectSnapshot, type ResourceKind } from '../api/objects.ts';

/** One line of a watch (Kubernetes documentation, "API Concepts", "Efficient detection of changes"). */
export type WatchEvent<Snapshot extends ObjectSnapshot> =
  | { readonly kind: 'changed'; readonly object: Snapshot }
  | { readonly kind: 'deleted'; readonly object: Snapshot }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }
  | { readonly kind: 'error'; readonly status: ApiStatus };

/** Reads one line; `undefined` if it is not an event that is known. */
export function readWatchEvent<Snapshot extends ObjectSnapshot>(
  line: string,
  read: ResourceKind<Snapshot>['read'],
): WatchEvent<Snapshot> | undefined {
  const { type, object } = parsedRecord(line);
  if (type === 'ERROR') return { kind: 'error', status: readStatus(0, undefined, JSON.stringify(record(object))) };
  const snapshot = read(object);
  if (snapshot === undefined) return undefined;
  if (type === 'ADDED' || type === 'MODIFIED') return { kind: 'changed', object: snapshot };
  if (type === 'DELETED') return { kind: 'deleted', object: snapshot };
  if (type === 'BOOKMARK') return { kind: 'bookmark', resourceVersion: snapshot.resourceVersion };
  return undefined;
}

/** Reads a list: its version, and the object that is asked for if it is there. */
export function readObjectList<Snapshot extends ObjectSnapshot>(
  answer: unknown,
  reference: ObjectName,
  read: ResourceKind<Snapshot>['read'],
): { resourceVersion: string; object: Snapshot | undefined } | undefined {
  const { metadata, items } = record(answer);
  const { resourceVersion } = record(metadata);
  // The server's JSON encoder writes an empty list as null.
  const list = items ?? [];
  if (!isVersion(resourceVersion) || !Array.isArray(list)) return undefined;
  const object = list.map(read).find((item) => item !== undefined && isObjectAt(reference, item));
  return { resourceVersion, object };
}

/**
 * Whether `left` was written before `right`. Versions of one resource compare as numbers (KEP-5504); if one of them is not a
 * number, their order is unknown, and the answer is no.
 */
export function isOlder(left: string, right: string): boolean {
  if (!/^\d+$/.test(left) || !/^\d+$/.test(right)) return false;
  const [one, other] = [left, right].map((version) => version.replace(/^0+/, '')) as [string, string];
  // Not as BigInt, whose time grows with the square of the length.
  return one.length === other.length ? one < other : one.length < other.length;
}
