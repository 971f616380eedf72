import { InvalidArgumentError } from '@externalname/core';
import {
  aBoolean,
  aNumber,
  aText,
  checkObject,
  checkOptions,
  isLoopback,
  listOf,
  objectOf,
  optional,
  optionsOf,
} from '@externalname/core/internal';
import { hostNameProblem } from '@externalname/core/names';
import { type AnswerCacheOptions, anAnswerCache } from '../cluster-dns/answer-cache.ts';
import type { HostEntry } from '../cluster-dns/outside-names.ts';
import type { ServiceObject } from './objects.ts';

/** See {@link LocalCluster.start}. */
export interface LocalClusterOptions {
  /** The cluster's domain. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
  /** TTL of the cluster's records, in seconds, 0 to 3600. CoreDNS's default is 5, kubeadm's 30. @defaultValue 5 */
  ttlSeconds?: number | undefined;
  /** Services that exist from the start, as plain Kubernetes objects. Their namespaces are made with them. */
  services?: readonly ServiceObject[] | undefined;
  /** Names outside the cluster. Other names do not exist, unless `dns.forward` names a server to ask. */
  hosts?: Readonly<Record<string, HostEntry>> | undefined;
  /** How the DNS listens and answers. */
  dns?: LocalDnsOptions | undefined;
  /** How the Kubernetes API listens. */
  api?: LocalApiOptions | undefined;
  /**
   * Whether `dns.address` and `api.address` may be other than loopback addresses (`0.0.0.0`, `::`, the address of a
   * network). Everyone on that network can then query this DNS and reach this API. @defaultValue false
   */
  exposed?: boolean | undefined;
}

/** The cluster's DNS server. */
export interface LocalDnsOptions {
  /** Loopback address to listen on. @defaultValue `127.0.0.1` */
  address?: string | undefined;
  /** The port for both UDP and TCP; 0 picks a free one. @defaultValue 0 */
  port?: number | undefined;
  /** A cache in front of the DNS, like CoreDNS's `cache` plugin. @defaultValue none: a change is seen at once */
  cache?: AnswerCacheOptions | undefined;
  /** How long the DNS takes to see a change of a Service, in milliseconds. @defaultValue 0 */
  propagationDelayMillis?: number | undefined;
  /** `address:port` of a real DNS server for names that are not in `hosts`. @defaultValue none */
  forward?: string | undefined;
  /** Longest wait for an answer of `forward`, in milliseconds. @defaultValue 5000 */
  upstreamTimeoutMillis?: number | undefined;
  /** `pods insecure` of CoreDNS: `10-0-0-1.default.pod.cluster.local` resolves to 10.0.0.1. @defaultValue false */
  podNames?: boolean | undefined;
  /** The only namespaces whose names exist (`namespaces` of CoreDNS). @defaultValue all */
  namespaces?: readonly string[] | undefined;
  /** Whether the DNS hides ClusterIP Services without endpoints (`ignore empty_service`). @defaultValue false */
  ignoreEmptyServices?: boolean | undefined;
  /** Zone of the multi-cluster Services API, `clusterset.local`. Nothing is imported into it. @defaultValue none */
  multiclusterDomain?: string | undefined;
}

/** The cluster's Kubernetes API. */
export interface LocalApiOptions {
  /** Loopback address to listen on. @defaultValue `127.0.0.1` */
  address?: string | undefined;
  /** 0 picks a free one. @defaultValue 0 */
  port?: number | undefined;
  /** Time between two bookmarks of a watch that asks for them, in milliseconds. @defaultValue 60000 */
  bookmarkIntervalMillis?: number | undefined;
}

/** @throws InvalidArgumentError */
export function checkClusterOptions(options: LocalClusterOptions): void {
  const aPort = optional(aNumber({ least: 0, most: 65_535, whole: true }));
  const millis = optional(aNumber({ least: 0 }));
  checkOptions(options, {
    clusterDomain: optional(aText),
    ttlSeconds: optional(aNumber({ least: 0, most: 3600, whole: true })),
    services: optional(listOf(aServiceObject)),
    hosts: optional(checkObject),
    dns: optional(
      optionsOf<LocalDnsOptions>({
        address: optional(aText),
        port: aPort,
        cache: optional(anAnswerCache),
        propagationDelayMillis: millis,
        forward: optional(aText),
        upstreamTimeoutMillis: millis,
        podNames: optional(aBoolean),
        namespaces: optional(listOf(aText)),
        ignoreEmptyServices: optional(aBoolean),
        multiclusterDomain: optional(aText),
      }),
    ),
    api: optional(
      optionsOf<LocalApiOptions>({ address: optional(aText), port: aPort, bookmarkIntervalMillis: millis }),
    ),
    exposed: optional(aBoolean),
  });
  const { dns = {}, api = {}, clusterDomain = 'cluster.local' } = options;
  if (options.exposed !== true) {
    for (const [argument, { address }] of [
      ['dns.address', dns],
      ['api.address', api],
    ] as const) {
      if (address === undefined || address === 'localhost' || isLoopback(address)) continue;
      throw new InvalidArgumentError(
        argument,
        `${JSON.stringify(address)} is not a loopback address, and others could reach the cluster there: give one in 127.0.0.0/8 or ::1, or set exposed: true`,
      );
    }
  }
  if (hostNameProblem(clusterDomain) !== undefined) {
    throw new InvalidArgumentError(
      'clusterDomain',
      `must be a domain such as 'cluster.local', got ${JSON.stringify(clusterDomain)}`,
    );
  }
}

// The API checks the rest.
const aServiceObject = objectOf({
  apiVersion: optional(aText),
  kind: optional(aText),
  metadata: optional(objectOf({ name: optional(aText), namespace: optional(aText) })),
});
