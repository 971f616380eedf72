import { parseHostName } from '../names/index.ts';
import { aBoolean, aNumber, aText, checkOptions, optional } from '../shape.ts';

/** See {@link dnsCacheSettings}. */
export interface DnsCacheOptions {
  /** Longest time from the patch until every new lookup in the cluster sees the new target. Seconds, 2 to 3600. */
  timeToSwitchSeconds: number;
  /** The cluster's domain. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
  /** Whether NodeLocal DNSCache runs on the nodes: a second cache, in front of CoreDNS. @defaultValue true */
  nodeLocalDns?: boolean | undefined;
  /** Address of CoreDNS for NodeLocal DNSCache to ask. @defaultValue `__PILLAR__CLUSTER__DNS__`, which node-cache fills in */
  clusterDnsAddress?: string | undefined;
}

/** How to set the cluster's DNS up. */
export interface DnsCacheSettings {
  /** `ttl` of CoreDNS's `kubernetes` plugin, in seconds: what clients see on the CNAME. */
  readonly ttlSeconds: number;
  /** How long the node's cache keeps answers of the cluster domain, in seconds; 0 if it keeps none. */
  readonly nodeCacheSeconds: number;
  /** The longest that a switch takes with these settings, in seconds. */
  readonly worstCaseSeconds: number;
  /** For the server block of the cluster domain in CoreDNS's Corefile. */
  readonly coreDns: string;
  /** For NodeLocal DNSCache's Corefile: the server block of the cluster domain. Left out without NodeLocal DNSCache. */
  readonly nodeLocalDns?: string;
  /** Where the time goes, and what it costs, one sentence each. */
  readonly explanation: readonly string[];
}

/**
 * Returns settings of CoreDNS and NodeLocal DNSCache that make a patched `externalName` visible within the given time,
 * with as much caching as that time allows.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a time out of range.
 *
 * Source: CoreDNS documentation, plugins `kubernetes` (ttl) and `cache`; Kubernetes documentation, "Using NodeLocal DNSCache".
 */
export function dnsCacheSettings(options: DnsCacheOptions): DnsCacheSettings {
  checkOptions(options, {
    timeToSwitchSeconds: aNumber({ least: shortest, most: 3600, whole: true, unit: 'seconds' }),
    clusterDomain: optional(aText),
    nodeLocalDns: optional(aBoolean),
    clusterDnsAddress: optional(aText),
  });
  const { timeToSwitchSeconds, nodeLocalDns = true, clusterDnsAddress = '__PILLAR__CLUSTER__DNS__' } = options;
  const zone = parseHostName(options.clusterDomain ?? 'cluster.local', 'clusterDomain');
  const room = timeToSwitchSeconds - watchSeconds;
  const cached = nodeLocalDns && room >= shortestCached;
  // More than 30 s gains nothing: outside names have their own TTL, and cluster names are answered from memory.
  const nodeCacheSeconds = cached ? Math.min(room, longestUseful) : 0;
  const ttlSeconds = Math.min(room, longestUseful);
  // A node's cache or a client that took an answer right before the patch keeps it until its TTL is over. A client that is
  // answered from the node's cache gets only the rest of the TTL.
  const worstCaseSeconds = watchSeconds + ttlSeconds;
  return {
    ttlSeconds,
    nodeCacheSeconds,
    worstCaseSeconds,
    coreDns: coreDnsBlock(zone, ttlSeconds),
    ...(nodeLocalDns ? { nodeLocalDns: nodeLocalBlock(zone, nodeCacheSeconds, clusterDnsAddress) } : {}),
    explanation: [
      `CoreDNS learns of a patch through its watch, normally within a second (${watchSeconds} s is counted).`,
      `Its cache does not keep answers of ${zone} (disable success, disable denial): they come from memory anyway. kubeadm's Corefile has the same since Kubernetes 1.32.`,
      `Answers carry a TTL of ${ttlSeconds} s: clients with a cache of their own may keep them for that long.`,
      ...(nodeLocalDns
        ? [
            cached
              ? `NodeLocal DNSCache keeps them for at most ${nodeCacheSeconds} s. After a lookup right before the patch, that node answers with the old target for as long.`
              : `The cache plugin keeps an answer for at least ${shortestCached} s, but only ${room} s are left, so NodeLocal DNSCache does not cache ${zone}: each lookup goes to CoreDNS.`,
          ]
        : []),
      `Negative answers are kept for ${Math.min(5, ttlSeconds)} s at most.`,
      'serve_stale stays off for this zone: it would hand out the old target while CoreDNS cannot be reached.',
      'Connections that are open are not moved by DNS: the client has to notice. A Kubernetes watch sees the patch without any of these waits.',
    ],
  };
}

/** The time that is allowed for the watch of CoreDNS. */
const watchSeconds = 1;
const shortest = 2;

/** The smallest TTL that the `cache` plugin gives an answer by default. */
const shortestCached = 5;
const longestUseful = 30;

function coreDnsBlock(zone: string, ttlSeconds: number): string {
  return `kubernetes ${zone} in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl ${ttlSeconds}
}
cache 30 {
    disable success ${zone}
    disable denial ${zone}
}
`;
}

function nodeLocalBlock(zone: string, seconds: number, server: string): string {
  const cache =
    seconds === 0
      ? ''
      : `    cache {
        success 9984 ${seconds}
        denial 9984 ${Math.min(5, seconds)}
    }
`;
  return `${zone}:53 {
    errors
${cache}    reload
    loop
    forward . ${server} {
        force_tcp
    }
}
`;
}
