import type { ServiceReference } from '@externalname/core';
import type { ApiStatus } from '../api/errors.ts';
import { readStatus } from '../api/kubernetes-api.ts';

/** What is read of a Service. */
export interface ServiceSnapshot {
  readonly name: string;
  readonly namespace: string;
  readonly resourceVersion: string;
  /** `ExternalName`, `ClusterIP`, ... */
  readonly type: string;
  /** As stored, or undefined where it has none. */
  readonly externalName: string | undefined;
}

/** One line of a watch (Kubernetes documentation, "API Concepts", "Efficient detection of changes"). */
export type WatchEvent =
  | { readonly kind: 'changed'; readonly service: ServiceSnapshot }
  | { readonly kind: 'deleted'; readonly service: ServiceSnapshot }
  | { readonly kind: 'bookmark'; readonly resourceVersion: string }
  | { readonly kind: 'error'; readonly status: ApiStatus };

/** Reads one line; `undefined` where it is none that is known. */
export function readWatchEvent(line: string): WatchEvent | undefined {
  const event = parse(line);
  const type = event?.['type'];
  const object = asRecord(event?.['object']);
  if (object === undefined) return undefined;
  if (type === 'ERROR') return { kind: 'error', status: readStatus(0, undefined, JSON.stringify(object)) };
  const service = readService(object);
  if (service === undefined) return undefined;
  if (type === 'ADDED' || type === 'MODIFIED') return { kind: 'changed', service };
  if (type === 'DELETED') return { kind: 'deleted', service };
  if (type === 'BOOKMARK') return { kind: 'bookmark', resourceVersion: service.resourceVersion };
  return undefined;
}

/**
 * Reads a Service object; `undefined` if it is of another kind, or has no `metadata.resourceVersion` that a server would
 * write.
 */
export function readService(object: unknown): ServiceSnapshot | undefined {
  const service = asRecord(object);
  const metadata = asRecord(service?.['metadata']);
  const spec = asRecord(service?.['spec']);
  const resourceVersion = metadata?.['resourceVersion'];
  if (!isVersion(resourceVersion)) return undefined;
  const kind = service?.['kind'];
  // The items of a list leave it out.
  if (kind !== undefined && kind !== 'Service') return undefined;
  const name = metadata?.['name'];
  const namespace = metadata?.['namespace'];
  const type = spec?.['type'];
  const externalName = spec?.['externalName'];
  return {
    name: typeof name === 'string' ? name : '',
    namespace: typeof namespace === 'string' ? namespace : '',
    resourceVersion,
    // The server fills in the type; an object without one is a ClusterIP Service.
    type: typeof type === 'string' ? type : 'ClusterIP',
    externalName: typeof externalName === 'string' && externalName !== '' ? externalName : undefined,
  };
}

/** Whether what was read is the Service that was asked for, and not one of the same name elsewhere. */
export function isServiceAt(reference: ServiceReference, service: { name: string; namespace: string }): boolean {
  return service.name === reference.name && service.namespace === reference.namespace;
}

/** Reads a ServiceList: its version, and the Service that is asked for if it is there. */
export function readServiceList(
  object: unknown,
  reference: ServiceReference,
): { resourceVersion: string; service: ServiceSnapshot | undefined } | undefined {
  const list = asRecord(object);
  const resourceVersion = asRecord(list?.['metadata'])?.['resourceVersion'];
  // An empty list is written as null by the server's JSON encoder.
  const items = list?.['items'] ?? [];
  if (!isVersion(resourceVersion) || !Array.isArray(items)) return undefined;
  const service = items.map(readService).find((item) => item !== undefined && isServiceAt(reference, item));
  return { resourceVersion, service };
}

/**
 * Whether `left` was written before `right`. Versions of one resource compare as numbers (KEP-5504); where one is no
 * number, nothing is known and the answer is no.
 */
export function isOlder(left: string, right: string): boolean {
  if (!/^\d+$/.test(left) || !/^\d+$/.test(right)) return false;
  const [one, other] = [left, right].map((version) => version.replace(/^0+/, '')) as [string, string];
  // Not as BigInt, whose time grows with the square of the length.
  return one.length === other.length ? one < other : one.length < other.length;
}

function isVersion(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestVersion;
}

/** KEP-5504: a decimal number of at most 128 bits, which has 39 digits. Older servers may write any short text. */
const longestVersion = 128;

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return asRecord(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
