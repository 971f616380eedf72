import type { ApiStatus } from '../api/errors.ts';
import { readStatus } from '../api/kubernetes-api.ts';

/** What is read of a Service. */
export interface ServiceSnapshot {
  readonly name: string;
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

/** Reads a Service object; `undefined` where it has no `metadata.resourceVersion`. */
export function readService(object: unknown): ServiceSnapshot | undefined {
  const service = asRecord(object);
  const metadata = asRecord(service?.['metadata']);
  const spec = asRecord(service?.['spec']);
  const resourceVersion = metadata?.['resourceVersion'];
  if (typeof resourceVersion !== 'string') return undefined;
  const name = metadata?.['name'];
  const type = spec?.['type'];
  const externalName = spec?.['externalName'];
  return {
    name: typeof name === 'string' ? name : '',
    resourceVersion,
    // The server fills in the type; an object without one is a ClusterIP Service.
    type: typeof type === 'string' ? type : 'ClusterIP',
    externalName: typeof externalName === 'string' && externalName !== '' ? externalName : undefined,
  };
}

/** Reads a ServiceList: its version, and the one Service of that name if it is there. */
export function readServiceList(
  object: unknown,
  name: string,
): { resourceVersion: string; service: ServiceSnapshot | undefined } | undefined {
  const list = asRecord(object);
  const resourceVersion = asRecord(list?.['metadata'])?.['resourceVersion'];
  // An empty list is written as null by the server's JSON encoder.
  const items = list?.['items'] ?? [];
  if (typeof resourceVersion !== 'string' || !Array.isArray(items)) return undefined;
  return { resourceVersion, service: items.map(readService).find((service) => service?.name === name) };
}

/**
 * Whether `left` was written before `right`. Versions of one resource compare as numbers (KEP-5504); where one is no
 * number, nothing is known and the answer is no.
 */
export function isOlder(left: string, right: string): boolean {
  if (!/^\d+$/.test(left) || !/^\d+$/.test(right)) return false;
  return BigInt(left) < BigInt(right);
}

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
