import { readFileSync } from 'node:fs';
import { aFunction, aText, checkProperties, listOf, optional } from '../shape.ts';
import { canonicalName } from './dns-name.ts';

/** Where this process runs in a cluster, as far as it can tell. */
export interface ClusterContext {
  /** The pod's own namespace; `default` outside a cluster. */
  readonly namespace: string;
  /** The cluster's DNS domain; `cluster.local` if nothing says otherwise. */
  readonly clusterDomain: string;
}

/** What {@link discoverClusterContext} looks at. */
export interface ClusterContextOptions {
  /** The search list of resolv.conf. kubelet writes `<namespace>.svc.<domain> svc.<domain> <domain>` into it. */
  searchDomains: readonly string[];
  /** Reads the pod's namespace. @defaultValue the service account's `namespace` file */
  readNamespace?: (() => string | undefined) | undefined;
}

/**
 * Finds the pod's namespace (service account, then search list) and the cluster's domain (search list).
 *
 * Source: Kubernetes documentation, "DNS for Services and Pods", and "Accessing the Kubernetes API from a Pod".
 */
export function discoverClusterContext(options: ClusterContextOptions): ClusterContext {
  checkProperties(options, { searchDomains: listOf(aText), readNamespace: optional(aFunction) }, 'options');
  const { searchDomains, readNamespace = namespaceOfServiceAccount } = options;
  const search = searchedCluster(searchDomains);
  return {
    namespace: readNamespace() ?? search?.namespace ?? 'default',
    clusterDomain: search?.clusterDomain ?? 'cluster.local',
  };
}

/**
 * The cluster that kubelet wrote into the search list. Undefined outside a pod.
 *
 * @internal
 */
export function searchedCluster(searchDomains: readonly string[]): ClusterContext | undefined {
  const search = searchDomains.map((domain) => /^([^.]+)\.svc\.(.+)$/.exec(canonicalName(domain))).find(Boolean);
  const [, namespace, clusterDomain] = search ?? [];
  return namespace === undefined || clusterDomain === undefined ? undefined : { namespace, clusterDomain };
}

function namespaceOfServiceAccount(): string | undefined {
  try {
    return readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/namespace', 'utf8').trim() || undefined;
  } catch {
    return undefined; // Not in a pod, or in one without a service account: the search list may still tell.
  }
}
