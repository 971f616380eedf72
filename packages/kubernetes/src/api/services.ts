import type { ServiceReference, WaitOptions } from '@externalname/core';
import { type AccessAttempt, KubernetesUnavailableError } from './errors.ts';
import { isText, record } from './json.ts';
import type { KubernetesApi } from './kubernetes-api.ts';
import { attemptOn, isObjectAt, isVersion, type ObjectSnapshot, objectPath, type ResourceKind } from './objects.ts';
import { plannedAnnotation } from './planned-switch.ts';

/** The part of a Service that is read. */
export interface ServiceSnapshot extends ObjectSnapshot {
  /** `ExternalName`, `ClusterIP`, ... */
  readonly type: string;
  /** As stored, or undefined if it has none. */
  readonly externalName: string | undefined;
  /** What is announced in its annotation, as written. */
  readonly planned: string | undefined;
}

/**
 * Reads a Service object; `undefined` if it is of another kind, or has no `metadata.resourceVersion` that a server would
 * write.
 */
export function readService(object: unknown): ServiceSnapshot | undefined {
  const { kind, metadata, spec } = record(object);
  const { name, namespace, resourceVersion, annotations } = record(metadata);
  const planned = record(annotations)[plannedAnnotation];
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
    planned: isText(planned) ? planned : undefined,
  };
}

/** Services, for requests and watches. */
export const serviceKind: ResourceKind<ServiceSnapshot> = {
  group: '',
  version: 'v1',
  plural: 'services',
  read: readService,
};

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
  if (service !== undefined && isObjectAt(reference, service)) return service;
  throw new KubernetesUnavailableError('the Kubernetes API answered with something other than that Service', {
    outcome: 'not-executed',
  });
}

/** `/api/v1/namespaces/<namespace>/services[/<name>]` */
export function servicePath(reference: ServiceReference, name?: string): string {
  return objectPath(serviceKind, reference.namespace, name);
}

/** A request for one Service, in the words of RBAC. */
export function attemptTo(verb: AccessAttempt['verb'], reference: ServiceReference): AccessAttempt {
  return attemptOn(serviceKind, verb, reference);
}
