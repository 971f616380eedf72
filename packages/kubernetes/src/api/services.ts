import type { ServiceReference, WaitOptions } from '@externalname/core';
import { type AccessAttempt, KubernetesUnavailableError } from './errors.ts';
import { isText, record } from './json.ts';
import type { KubernetesApi } from './kubernetes-api.ts';

/** The part of a Service that is read. */
export interface ServiceSnapshot {
  readonly name: string;
  readonly namespace: string;
  readonly resourceVersion: string;
  /** `ExternalName`, `ClusterIP`, ... */
  readonly type: string;
  /** As stored, or undefined if it has none. */
  readonly externalName: string | undefined;
}

/**
 * Reads a Service object; `undefined` if it is of another kind, or has no `metadata.resourceVersion` that a server would
 * write.
 */
export function readService(object: unknown): ServiceSnapshot | undefined {
  const { kind, metadata, spec } = record(object);
  const { name, namespace, resourceVersion } = record(metadata);
  const { type, externalName } = record(spec);
  // The items of a list have no kind.
  if (!isVersion(resourceVersion) || (kind !== undefined && kind !== 'Service')) return undefined;
  return {
    name: isText(name) ? name : '',
    namespace: isText(namespace) ? namespace : '',
    resourceVersion,
    // The server fills in the type; an object without one is a ClusterIP Service.
    type: isText(type) ? type : 'ClusterIP',
    externalName: isText(externalName) ? externalName : undefined,
  };
}

/** Whether the object that was read is the requested Service, and not one of the same name elsewhere. */
export function isServiceAt(reference: ServiceReference, service: { name: string; namespace: string }): boolean {
  return service.name === reference.name && service.namespace === reference.namespace;
}

/** Whether a server would write this as `resourceVersion`. */
export function isVersion(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestVersion;
}

/** GETs the Service, in the form that `read` gives it. */
export async function getService<Read extends { name: string; namespace: string }>(
  api: KubernetesApi,
  reference: ServiceReference,
  read: (object: unknown) => Read | undefined,
  { timeoutMillis, signal }: WaitOptions & { timeoutMillis: number },
): Promise<Read> {
  const answer = await api.json({
    attempt: attemptTo('get', reference),
    path: servicePath(reference, reference.name),
    timeoutMillis,
    signal,
  });
  const service = read(answer);
  if (service !== undefined && isServiceAt(reference, service)) return service;
  throw new KubernetesUnavailableError('the Kubernetes API answered with something other than that Service', {
    outcome: 'not-executed',
  });
}

/** `/api/v1/namespaces/<namespace>/services[/<name>]` */
export function servicePath(reference: ServiceReference, name?: string): string {
  const path = `/api/v1/namespaces/${encodeURIComponent(reference.namespace)}/services`;
  return name === undefined ? path : `${path}/${encodeURIComponent(name)}`;
}

/** A request for one Service, in the words of RBAC. */
export function attemptTo(verb: AccessAttempt['verb'], reference: ServiceReference): AccessAttempt {
  return { verb, group: '', resource: 'services', name: reference.name, namespace: reference.namespace };
}

/** KEP-5504: a decimal number of at most 128 bits, which has 39 digits. Older servers may write any short text. */
const longestVersion = 128;
