import { InvalidArgumentError, parseServiceReference, type ServiceReference } from '@externalname/core';
import { canonicalName } from '@externalname/core/names';
import { podDns } from './pod-dns.ts';

/** How a Service is named in options. */
export interface ReferenceOptions {
  service: string;
  namespace?: string | undefined;
  clusterDomain?: string | undefined;
}

/** A Service whose full name may not be known yet. */
export interface PendingReference {
  /** What is known without I/O, with the usual names for what was left out. */
  readonly given: ServiceReference;
  complete(): Promise<ServiceReference>;
}

/**
 * Checks the names at once, and completes them when they are first needed: with the namespace of the kubeconfig, and the cluster's
 * domain of resolv.conf.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function pendingReference(
  options: ReferenceOptions,
  contextNamespace: () => Promise<string | undefined>,
): PendingReference {
  const { service, namespace, clusterDomain } = options;
  const given = parseServiceReference(service, { namespace, clusterDomain });
  const parts = canonicalName(service).split('.');
  const namesNamespace = parts.length > 1;
  if (namesNamespace && namespace !== undefined && canonicalName(namespace) !== given.namespace) {
    throw new InvalidArgumentError(
      'namespace',
      `is ${JSON.stringify(namespace)}, but service names ${JSON.stringify(given.namespace)}: leave one out`,
    );
  }
  let found: ServiceReference | undefined;
  const complete = async () => {
    found ??= parseServiceReference(service, {
      namespace: namesNamespace ? undefined : (namespace ?? (await contextNamespace())),
      clusterDomain: parts.length > 3 ? undefined : (clusterDomain ?? (await podDns())?.clusterDomain),
    });
    return found;
  };
  return { given, complete };
}
