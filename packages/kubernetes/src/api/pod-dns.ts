import { readFile } from 'node:fs/promises';
import { parseResolvConf } from '@externalname/core/dns';
import { searchedCluster } from '@externalname/core/internal';

/** What kubelet wrote into the resolv.conf of a pod. */
export interface PodDns {
  readonly nameservers: readonly string[];
  readonly clusterDomain: string;
}

/** Reads resolv.conf; undefined outside of a pod, because the servers there do not know the cluster. */
export async function podDns(path = '/etc/resolv.conf'): Promise<PodDns | undefined> {
  const { nameservers, searchDomains } = parseResolvConf(await readFile(path, 'utf8').catch(() => ''));
  const cluster = searchedCluster(searchDomains);
  return cluster && { nameservers, clusterDomain: cluster.clusterDomain };
}
