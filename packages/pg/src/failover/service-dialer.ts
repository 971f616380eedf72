import type net from 'node:net';
import {
  Balancer,
  type Clock,
  createTargetPolicy,
  discoverClusterContext,
  type Endpoint,
  InvalidArgumentError,
  parseServiceReference,
  type Random,
  ResolutionError,
  raceEndpoints,
  resolveEndpoints,
  type ServiceReference,
  type Target,
  type TargetPolicy,
  type TargetSource,
  tlsIdentity,
} from '@externalname/core';
import { type AddressUser, type SharedDns, shareDns } from '@externalname/core/internal';
import type * as pg from 'pg';
import type { Dialer } from '../connect/connector.ts';
import { SharedSecureContext } from '../connect/secure-context.ts';
import { tlsOptionsOf } from '../driver/client-internals.ts';
import type { PoolSettings } from '../options.ts';
import { copyOfTls } from '../settings/tls.ts';

/** How a pool gets from the name that it was given to servers: the parts of core, put together. */
export interface ServiceDialer extends Dialer {
  readonly source: TargetSource;
  readonly policy: TargetPolicy;
  /** Tells of addresses that have left a name. Returns the function that ends it. */
  watchAddresses(name: string, user: AddressUser): () => void;
  /** Ends the pool's part in what it shares with others; what was given to it stays open. */
  close(): Promise<void>;
}

/**
 * Puts together resolver, source, policy and balancer for a pool that follows a Service. Does no I/O but to read
 * resolv.conf and the service account's namespace. Resolver and source are shared with the pools of this process that have the same
 * `dns`; policy and balancer are the pool's own.
 *
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` where there is no allow-list
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for an entry or a name that cannot be read
 */
export function serviceDialer(settings: PoolSettings, dependencies: { clock: Clock; random: Random }): ServiceDialer {
  const policy = createTargetPolicy({
    service: settings.service,
    host: settings.host,
    allowedTargets: settings.allowedTargets,
    allowedNetworks: settings.allowedNetworks,
  });
  const dns = sharedDns(settings, dependencies);
  const source = settings.source ?? dnsSource(settings, policy, dns);
  const balancer = new Balancer({}, dependencies);
  const secureContext = new SharedSecureContext();

  return {
    source,
    policy,
    async endpoints(target, options) {
      try {
        const { resolver } = dns;
        return balancer.order(await resolveEndpoints(target, { ...options, resolver, policy, port: settings.port }));
      } catch (error) {
        throw withWholeChain(error, target);
      }
    },
    async race(endpoints, attempt, signal) {
      const { endpoint, result } = await raceEndpoints(endpoints, attempt, {
        signal,
        discard: (socket: net.Socket) => void socket.destroy(),
        clock: dependencies.clock,
      });
      return { endpoint, socket: result };
    },
    tls: (target, client) => tlsOptions(settings, tlsIdentity(target), client, secureContext),
    report: (endpoint: Endpoint, failed: boolean) => {
      if (failed) balancer.failed(endpoint);
      else balancer.succeeded(endpoint);
    },
    watchAddresses: (name, user) => dns.watchAddresses(name, user),
    close: () => dns.close(),
  };
}

// The target was learned from the Service, and only its own name was asked for here. Whoever reads the error wants both.
function withWholeChain(error: unknown, target: Target): unknown {
  if (!(error instanceof ResolutionError) || target.via.length === 0) return error;
  const { failure, hostname, chain, detail, cause } = error;
  return new ResolutionError(failure, hostname, { via: target.via, chain, detail, cause });
}

// The resolver knows its options by their own names.
function sharedDns({ dns }: PoolSettings, dependencies: { clock: Clock; random: Random }): SharedDns {
  try {
    return shareDns(dns, dependencies);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError(`dns.${error.argument}`, error.message.slice(`${error.argument}: `.length), {
      cause: error,
    });
  }
}

function dnsSource(settings: PoolSettings, policy: TargetPolicy, dns: SharedDns): TargetSource {
  const context = discoverClusterContext({ searchDomains: dns.searchDomains });
  const clusterDomain = settings.clusterDomain ?? context.clusterDomain;
  const namespace = settings.namespace ?? context.namespace;
  const followed = followedName(settings, policy, { namespace, clusterDomain });
  return dns.follow({ ...followed, clusterDomain });
}

// A host that stands on the allow-list itself is a host; any other is the name of a Service.
function followedName(
  settings: PoolSettings,
  policy: TargetPolicy,
  defaults: { namespace: string; clusterDomain: string },
): { name: string } | { service: ServiceReference } {
  const { service, host } = settings;
  if (service !== undefined) return { service: parseServiceReference(service, defaults) };
  const name = host ?? '';
  if (settings.allowedTargets !== 'any' && policy.allows({ externalName: name, via: [] })) return { name };
  try {
    return { service: parseServiceReference(name, defaults) };
  } catch {
    return { name };
  }
}

function tlsOptions(
  settings: PoolSettings,
  identity: ReturnType<typeof tlsIdentity>,
  client: pg.Client,
  secureContext: SharedSecureContext,
): object | false {
  if (settings.tls === 'off') return false;
  const options = copyOfTls(tlsOptionsOf(client));
  const context = secureContext.of(options);
  if (context !== undefined) Object.assign(options, { secureContext: context });
  if (settings.tls === 'unverified') return Object.assign(options, { servername: identity.servername });
  return Object.assign(options, identity, { rejectUnauthorized: true });
}
