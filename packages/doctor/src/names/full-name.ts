import { DnsResolver } from '@externalname/core';
import { searchCandidates } from '@externalname/core/dns';
import { canonicalName } from '@externalname/core/names';
import type { Nameservers } from './nameservers.ts';

/** Where a short name is completed. */
export interface SearchedFrom {
  readonly namespace: string | undefined;
  readonly clusterDomain: string | undefined;
}

/** As a pod would complete it: a trailing dot means that it is complete, otherwise the first candidate that exists counts. */
export async function fullNameOf(
  written: string,
  { namespace, clusterDomain }: SearchedFrom,
  { from, servers, pod, namespace: podNamespace, clusterDomain: podDomain }: Nameservers,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (written.endsWith('.')) return canonicalName(written);
  const domain = clusterDomain ?? podDomain ?? 'cluster.local';
  const own = namespace ?? podNamespace ?? 'default';
  const searchDomains =
    pod !== undefined && namespace === undefined
      ? pod.searchDomains
      : from === 'cluster'
        ? [`${own}.svc.${domain}`, `svc.${domain}`, domain]
        : [];
  const resolver = new DnsResolver({
    nameservers: [...servers],
    searchDomains: [...searchDomains],
    ndots: pod?.ndots ?? 5,
    cache: false,
    hostsPath: '/dev/null',
  });
  try {
    return (await resolver.resolveHost(written, { signal })).name;
  } catch {
    signal?.throwIfAborted();
    // Of a name that has no address, the first candidate is shown: with its chain, or with NXDOMAIN.
    return (
      searchCandidates(written, { searchDomains, ndots: written.split('.').length > 2 ? 1 : 5 })[0] ??
      canonicalName(written)
    );
  } finally {
    await resolver.close();
  }
}
