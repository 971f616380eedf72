import type { Socket } from 'node:net';
import type { Clock, Random } from '../clock.ts';
import { type DnsResolverOptions, ResolutionError, type ResolveOptions, type Resolver } from '../dns/index.ts';
import { InvalidArgumentError } from '../errors.ts';
import {
  type ClusterContext,
  discoverClusterContext,
  parseServiceReference,
  type ServiceReference,
} from '../names/index.ts';
import {
  type AddressUser,
  Balancer,
  createTargetPolicy,
  type Endpoint,
  raceEndpoints,
  resolveEndpoints,
  type SharedDns,
  shareDns,
  type Target,
  type TargetPolicy,
  type TargetSource,
} from '../targets/index.ts';

/**
 * The Service and the hosts that it may point to.
 *
 * @internal
 */
export interface ServiceRouteSettings {
  /** The Service as it was written. Either this or `host` is set. */
  readonly service: string | undefined;
  /** A host: the name of a Service, or a host on the allow-list. */
  readonly host: string | undefined;
  /** The port to dial if the caller of `endpoints` gives none. */
  readonly port?: number | undefined;
  readonly allowedTargets: readonly string[] | 'any' | undefined;
  readonly allowedNetworks: readonly string[] | 'any' | undefined;
  readonly namespace: string | undefined;
  readonly clusterDomain: string | undefined;
  /** The source that tells where the Service points. Its owner closes it. */
  readonly source: TargetSource | undefined;
  readonly dns: DnsResolverOptions | Resolver | undefined;
}

/**
 * The way from the name of a Service to sockets: source, policy, addresses and race.
 *
 * @internal
 */
export interface ServiceRoute {
  readonly source: TargetSource;
  readonly policy: TargetPolicy;
  /** What completes a short name of the Service. */
  readonly context: ClusterContext;
  /** The addresses to try, checked against the policy, in the order of preference. */
  endpoints(
    target: Target,
    options: Pick<ResolveOptions, 'fresh' | 'signal'> & { port?: number | undefined },
  ): Promise<readonly Endpoint[]>;
  /** Races connections to the endpoints; see `raceEndpoints`. */
  race(
    endpoints: readonly Endpoint[],
    attempt: (endpoint: Endpoint, signal: AbortSignal) => Promise<Socket>,
    signal: AbortSignal,
  ): Promise<{ endpoint: Endpoint; socket: Socket }>;
  /** Tells the balancer whether an address worked. */
  report(endpoint: Endpoint, failed: boolean): void;
  /** Reports addresses that have left a name. Returns the function that ends the watch. */
  watchAddresses(name: string, user: AddressUser): () => void;
  /** Releases the shared resolver and source. A source or resolver that was passed in stays open. */
  close(): Promise<void>;
}

/**
 * Puts together resolver, source, policy and balancer for one Service. Its only I/O is to read resolv.conf and the service account's
 * namespace. All routes of this process with the same `dns` share resolver and source. Each has its own policy and balancer: the
 * given one, or one that keeps the order of DNS.
 *
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` if there is no allow-list
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for an entry or a name that cannot be read
 *
 * @internal
 */
export function serviceRoute(
  settings: ServiceRouteSettings,
  dependencies: { clock: Clock; random: Random; balancer?: Balancer | undefined },
): ServiceRoute {
  const { service, host, allowedTargets, allowedNetworks } = settings;
  const policy = createTargetPolicy({ service, host, allowedTargets, allowedNetworks });
  const { clock, random, balancer = new Balancer({}, { clock, random }) } = dependencies;
  const dns = sharedDns(settings.dns, { clock, random });
  const found = discoverClusterContext({ searchDomains: dns.searchDomains });
  const context = {
    namespace: settings.namespace ?? found.namespace,
    clusterDomain: settings.clusterDomain ?? found.clusterDomain,
  };
  const source = settings.source ?? dnsSource(settings, policy, dns, context);

  return {
    source,
    policy,
    context,
    // Callers may have options of their own beside these.
    async endpoints(target, { fresh, signal, port = settings.port ?? 0 }) {
      try {
        const { resolver } = dns;
        return balancer.order(await resolveEndpoints(target, { fresh, signal, resolver, policy, port }));
      } catch (error) {
        throw withWholeChain(error, target);
      }
    },
    async race(endpoints, attempt, signal) {
      const discard = (socket: Socket) => void socket.destroy();
      const { endpoint, result } = await raceEndpoints(endpoints, attempt, { signal, discard }, { clock, random });
      return { endpoint, socket: result };
    },
    report: (endpoint, failed) => {
      if (failed) balancer.failed(endpoint);
      else balancer.succeeded(endpoint);
    },
    watchAddresses: (name, user) => dns.watchAddresses(name, user),
    close: () => dns.close(),
  };
}

// Only the target's own name was looked up here, but a reader of the error also wants the names that led to it.
function withWholeChain(error: unknown, target: Target): unknown {
  if (!(error instanceof ResolutionError) || target.via.length === 0) return error;
  const { failure, hostname, chain, detail, cause } = error;
  return new ResolutionError(failure, hostname, { via: target.via, chain, detail, cause });
}

// The resolver's errors name its options without the prefix `dns.`.
function sharedDns(
  dns: DnsResolverOptions | Resolver | undefined,
  dependencies: { clock: Clock; random: Random },
): SharedDns {
  try {
    return shareDns(dns, dependencies);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError(`dns.${error.argument}`, error.message.slice(`${error.argument}: `.length), {
      cause: error,
    });
  }
}

function dnsSource(
  settings: ServiceRouteSettings,
  policy: TargetPolicy,
  dns: SharedDns,
  context: ClusterContext,
): TargetSource {
  return dns.follow({ ...followedName(settings, policy, context), clusterDomain: context.clusterDomain });
}

// A host on the allow-list is a plain host. Any other is the name of a Service.
function followedName(
  settings: ServiceRouteSettings,
  policy: TargetPolicy,
  defaults: ClusterContext,
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
