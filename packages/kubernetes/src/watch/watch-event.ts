import type { ServiceReference } from '@externalname/core';
import type { ApiStatus } from '../api/errors.ts';
import { parsedRecord, record } from '../api/json.ts';
import { readStatus } from '../api/kubernetes-api.ts';
import { isServiceAt, isVersion, readService, type ServiceSnapshot } from '../api/services.ts';

/** One line of a watch (Kubernetes documentation, "API Concepts", "Efficient detection of changes"). */
export type WatchEvent =
  | { readonly kind: 'changed'; readonly service: ServiceSnapshot }
  | { readonly kind: 'deleted'; readonly service: ServiceSnapshot }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }
  | { readonly kind: 'error'; readonly status: ApiStatus };

/** Reads one line; `undefined` if it is not an event that is known. */
export function readWatchEvent(line: string): WatchEvent | undefined {
  const { type, object } = parsedRecord(line);
  if (type === 'ERROR') return { kind: 'error', status: readStatus(0, undefined, JSON.stringify(record(object))) };
  const service = readService(object);
  if (service === undefined) return undefined;
  if (type === 'ADDED' || type === 'MODIFIED') return { kind: 'changed', service };
  if (type === 'DELETED') return { kind: 'deleted', service };
  if (type === 'BOOKMARK') return { kind: 'bookmark', resourceVersion: service.resourceVersion };
  return undefined;
}

/** Reads a ServiceList: its version, and the Service that is asked for if it is there. */
export function readServiceList(
  object: unknown,
  reference: ServiceReference,
): { resourceVersion: string; service: ServiceSnapshot | undefined } | undefined {
  const { metadata, items } = record(object);
  const { resourceVersion } = record(metadata);
  // The server's JSON encoder writes an empty list as null.
  const list = items ?? [];
  if (!isVersion(resourceVersion) || !Array.isArray(list)) return undefined;
  const service = list.map(readService).find((item) => item !== undefined && isServiceAt(reference, item));
  return { resourceVersion, service };
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
