import { readFile } from 'node:fs/promises';
import { DnsResolver, ResolutionError } from '@externalname/core';
import { DnsQueryError, parseResolvConf, type QueryFailure, type ResolvConf } from '@externalname/core/dns';
import { printable, searchedCluster } from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import { text, texts } from './command.ts';
import type { NameAnswer } from './doctor/facts.ts';

/** The options that say which DNS servers are asked. */
export const nameserverOptions = {
  nameservers: texts(
    '-s, --nameserver <address>',
    'DNS server to ask, address[:port]; repeatable; default: those of resolv.conf',
  ),
  resolvConf: text('--resolv-conf <file>', 'file to read instead of /etc/resolv.conf', 'files'),
} as const;

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

/** Finds the DNS servers: the ones that were named, else those of resolv.conf. */
export async function findNameservers(choice: {
  readonly nameservers: readonly string[];
  readonly resolvConf: string | undefined;
}): Promise<Nameservers> {
  const { nameservers, resolvConf: file } = choice;
  const written = await readFile(file ?? '/etc/resolv.conf', 'utf8').catch((error: unknown) => {
    if (file === undefined) return '';
    throw error;
  });
  const conf = parseResolvConf(written);
  const cluster = searchedCluster(conf.searchDomains);
  return {
    from: nameservers.length > 0 || cluster !== undefined ? 'cluster' : 'machine',
    servers: nameservers.length > 0 ? nameservers : conf.nameservers,
    pod: cluster !== undefined || file !== undefined ? conf : undefined,
    clusterDomain: cluster?.clusterDomain,
    namespace: cluster?.namespace,
  };
}

/** Asks one server for one full name, past every cache of ours. */
export async function askNameserver(
  server: string,
  name: string,
  { signal, timeoutMillis = 2_000 }: { readonly signal: AbortSignal; readonly timeoutMillis?: number | undefined },
): Promise<NameAnswer> {
  const resolver = new DnsResolver({
    nameservers: [server],
    cache: false,
    attempts: 2,
    timeoutMillis,
    totalTimeoutMillis: 2 * timeoutMillis + 1_000,
  });
  const beganAt = performance.now();
  const [address = server] = resolver.nameservers;
  const common = () => ({
    server: address,
    name: canonicalName(name),
    elapsedMillis: Math.round((performance.now() - beganAt) * 10) / 10,
  });
  try {
    const { chain, addresses } = await resolver.resolve(name, { signal });
    return { ...common(), outcome: 'addresses', failure: undefined, detail: '', chain, addresses };
  } catch (error) {
    if (!(error instanceof ResolutionError)) throw error;
    const { failure: outcome, chain, detail } = error;
    const failure = outcome === 'unavailable' ? queryFailure(error.cause) : undefined;
    return { ...common(), outcome, failure, detail: printable(detail, 300), chain, addresses: [] };
  } finally {
    await resolver.close();
  }
}

/** What went wrong with the first query that failed. */
function queryFailure(cause: unknown): QueryFailure | undefined {
  if (cause instanceof DnsQueryError) return cause.failure;
  if (cause instanceof AggregateError) return cause.errors.map(queryFailure).find(Boolean);
  return cause instanceof Error ? queryFailure(cause.cause) : undefined;
}
