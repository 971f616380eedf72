import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from '@externalname/core';
import { parseResolvConf, type ResolvConf } from '@externalname/core/dns';
import { aText, listOf, optional, parseServerAddress, searchedCluster } from '@externalname/core/internal';

/** Which DNS servers are asked. */
export interface NameserverOptions {
  /** `address` or `address:port` each, asked one by one. @defaultValue those of resolv.conf */
  nameservers?: readonly string[] | undefined;
  /** The file to read in place of it, as a pod has it. @defaultValue `/etc/resolv.conf` */
  resolvConfPath?: string | undefined;
}

/** The checks of {@link NameserverOptions}. */
export const nameserverShapes = { nameservers: optional(listOf(aText)), resolvConfPath: optional(aText) };

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what is not the address of a server */
export function checkNameservers({ nameservers = [] }: NameserverOptions): void {
  for (const nameserver of nameservers) parseServerAddress(nameserver);
}

/** The DNS servers that are asked. */
export interface Nameservers {
  /** `cluster`: they were named, or resolv.conf is that of a pod. `machine`: they do not know the cluster. */
  readonly from: 'cluster' | 'machine';
  readonly servers: readonly string[];
  /** What resolv.conf says; undefined if it is not that of a pod, and was not named. */
  readonly pod: ResolvConf | undefined;
  /** The domain that kubelet wrote into it. */
  readonly clusterDomain: string | undefined;
  /** The namespace that kubelet wrote into it. */
  readonly namespace: string | undefined;
}

/**
 * Finds the DNS servers: the ones that were named, else those of resolv.conf.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a file that was named and cannot be read
 */
export async function findNameservers({ nameservers = [], resolvConfPath }: NameserverOptions): Promise<Nameservers> {
  const written = await readFile(resolvConfPath ?? '/etc/resolv.conf', 'utf8').catch((cause: unknown) => {
    if (resolvConfPath === undefined) return '';
    throw new InvalidArgumentError('resolvConfPath', `${resolvConfPath} cannot be read`, { cause });
  });
  const conf = parseResolvConf(written);
  const cluster = searchedCluster(conf.searchDomains);
  return {
    from: nameservers.length > 0 || cluster !== undefined ? 'cluster' : 'machine',
    servers: nameservers.length > 0 ? nameservers : conf.nameservers,
    pod: cluster !== undefined || resolvConfPath !== undefined ? conf : undefined,
    clusterDomain: cluster?.clusterDomain,
    namespace: cluster?.namespace,
  };
}
