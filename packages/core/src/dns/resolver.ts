import { setMaxListeners } from 'node:events';
import { isIP } from 'node:net';
import { hostname as machineName } from 'node:os';
import type { Clock, Timer } from '../clock.ts';
import { onAbort, withDeadline } from '../deadline.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { ClosedError, DeadlineError, InvalidArgumentError } from '../errors.ts';
import { checkText } from '../input.ts';
import { canonicalName } from '../names/index.ts';
import { checkCallOptions } from '../shape.ts';
import { DnsCache, isResolution, keptMillis, resolutionOf, type Settled } from './cache.ts';
import type { Outcome } from './chain.ts';
import {
  type DnsAnswerEvent,
  dnsAddressesChangedChannel,
  dnsAnswerChannel,
  dnsChainChangedChannel,
} from './channels.ts';
import { ResolutionError } from './errors.ts';
import { type Flight, Flights, type Launch } from './flights.ts';
import { ChainFollower } from './follower.ts';
import { HostSearch, isMiss } from './host-search.ts';
import { type Hosts, isLocalhost, lookupHosts, loopback, parseHosts } from './hosts-file.ts';
import { isQueryName } from './message.ts';
import { type DnsResolverOptions, type DnsResolverSettings, resolverSettings, resolveShapes } from './options.ts';
import { type AskSettings, Questioner } from './questioner.ts';
import type { Resolution, ResolvedAddress, ResolveOptions, Resolver } from './resolution.ts';
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts';
import { parseServerAddress, type ServerAddress } from './server-address.ts';
import { DnsCounters, type DnsStatistics } from './statistics.ts';
import { Transport } from './transport.ts';
import { WatchedFile } from './watched-file.ts';

/**
 * A stub resolver that returns the whole CNAME chain with its TTLs, from one question for each family.
 *
 * It asks the servers of resolv.conf (or the given ones), caches answers for their TTL, shares queries between callers, and
 * distinguishes three failures: the last name of the chain does not exist, it has no address, no server answered.
 *
 * It starts and reads nothing before the first call. Only a waiting caller keeps the process alive.
 *
 * @example
 * ```ts
 * const resolver = new DnsResolver();
 * const { chain, addresses } = await resolver.resolve('webscaler-db.default.svc.cluster.local');
 * console.log(chain[0]?.target, addresses[0]?.address); // primary-db.example.com 192.0.2.10
 * await resolver.close();
 * ```
 */
export class DnsResolver implements Resolver {
  readonly #settings: DnsResolverSettings;
  readonly #clock: Clock;
  readonly #counters = new DnsCounters();
  readonly #cache: DnsCache | undefined;
  readonly #transport: Transport;
  readonly #questioner: Questioner;
  readonly #follower: ChainFollower;
  readonly #resolvConf: WatchedFile<ResolvConf>;
  readonly #hosts: WatchedFile<Hosts>;
  readonly #flights: Flights;
  readonly #hostSearch: HostSearch;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #nameservers: { readonly from: readonly string[]; readonly parsed: readonly ServerAddress[] } | undefined;

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, that names the invalid option. */
  constructor(options: DnsResolverOptions = {}, dependencies: Dependencies = {}) {
    const { clock, random } = dependenciesOf(dependencies);
    this.#settings = resolverSettings(options);
    this.#clock = clock;
    this.#cache = this.#settings.cache && new DnsCache(this.#settings.cache, random);
    // One listener for each query under way is not a leak.
    setMaxListeners(0, this.#closing.signal);
    this.#transport = new Transport(clock, this.#counters);
    this.#flights = new Flights(clock);
    this.#hostSearch = new HostSearch({ clock, resolve: (name, asked) => this.resolve(name, asked) });
    this.#questioner = new Questioner(this.#transport, clock, this.#counters);
    this.#follower = new ChainFollower({
      questioner: this.#questioner,
      cache: this.#cache,
      clock,
      settings: () => this.#askSettings(),
      closing: this.#closing.signal,
    });
    const { resolvConfPath, hostsPath } = this.#settings;
    const context = { hostname: machineName(), environment: process.env };
    this.#resolvConf = new WatchedFile(resolvConfPath, (text) => parseResolvConf(text, context), clock);
    this.#hosts = new WatchedFile(hostsPath, parseHosts, clock);
  }

  /** The domains that complete a plain host name: the given ones, or those of the current resolv.conf. Pass them to
   * `discoverClusterContext`. */
  get searchDomains(): readonly string[] {
    return this.#settings.searchDomains ?? this.#resolvConf.current().searchDomains;
  }

  /** The servers, as `address:port`: the given ones, or those of the current resolv.conf. */
  get nameservers(): readonly string[] {
    return this.#servers().map((server) => server.text);
  }

  /**
   * Resolves a fully qualified name, with or without the trailing dot. Uses neither the search list nor the hosts file, because DNS alone
   * decides what a Service stands for.
   *
   * With `fresh`, the answer is never to a query that was sent before the call. This bypasses the cache of this resolver, not those of
   * the servers.
   *
   * @throws ResolutionError if there is no address, see its `failure`.
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what cannot be a name.
   */
  async resolve(name: string, options: ResolveOptions = {}): Promise<Resolution> {
    this.#check(options);
    const { family = 0, fresh = false } = options;
    const canonical = canonicalName(name);
    if (!isQueryName(canonical)) {
      throw new InvalidArgumentError(
        'name',
        `${JSON.stringify(name.slice(0, 300))} is not a name that DNS can look up`,
      );
    }
    if (isLocalhost(canonical)) return this.#local(canonical, loopback, family);
    const askedAt = this.#clock.now();
    const found = fresh ? undefined : this.#find(canonical, family, askedAt);
    const source = found === undefined ? 'server' : 'cache';
    const answered = (from: DnsAnswerEvent['from'], result: DnsAnswerEvent['result']) =>
      dnsAnswerChannel.publish(() => ({
        name: canonical,
        from,
        result,
        elapsedMillis: this.#clock.now() - askedAt,
      }));
    try {
      const resolution =
        found === undefined
          ? await this.#wait(canonical, family, options)
          : this.#settle(canonical, family, found, options);
      answered(resolution.stale ? 'stale' : source, 'found');
      return resolution;
    } catch (error) {
      answered(source, error instanceof ResolutionError ? error.failure : 'ended');
      throw error;
    }
  }

  /**
   * Resolves a host name as an application writes it, like libc: an address stands for itself, the hosts file comes before DNS, and the
   * search list completes a name without a trailing dot (`search` and `ndots` of resolv.conf(5)).
   * `name` of the result is the candidate that matched.
   *
   * Two differences from glibc keep a failure of one name from leading to another host. The search ends at a candidate that exists as
   * an alias, wherever the alias leads. And after a search domain for which no server answered (SERVFAIL, REFUSED, timeout), only the
   * name as it is is tried, if it has a dot and has not stood for another name in this process. The channel
   * `externalname:dns:search-domain-failed` reports that.
   *
   * The candidate that matched is tried first for the next 60 s, or 10 s if a search domain did not answer.
   *
   * @throws ResolutionError of the candidate that came closest, or of the name itself if none exists.
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what cannot be a name.
   */
  async resolveHost(hostname: string, options: ResolveOptions = {}): Promise<Resolution> {
    this.#check(options);
    checkText('hostname', hostname);
    const { family = 0, fresh = false } = options;
    const local = this.#localHost(hostname, family);
    if (local !== undefined) return local;
    const known = fresh ? undefined : this.#hostSearch.current(hostname, family);
    if (known !== undefined) {
      try {
        return await this.resolve(known.candidate, options);
      } catch (error) {
        if (!isMiss(error)) throw error;
        this.#hostSearch.forget(hostname, family);
      }
    }
    try {
      return await this.#search(hostname, options);
    } catch (error) {
      const stale = isUnavailable(error) ? this.#staleHost(hostname, family, options) : undefined;
      if (stale === undefined) throw error;
      return stale;
    }
  }

  /**
   * The result of `resolveHost` if the host is known and the answer is still valid; `undefined` otherwise. For `lookup`, which is
   * called for every connection.
   *
   * @internal
   */
  knownHost(hostname: string, family: 0 | 4 | 6): Resolution | undefined {
    const match = this.#hostSearch.last(hostname, family);
    if (match === undefined || this.#closed !== undefined) return undefined;
    const now = this.#clock.now();
    if (now >= match.until || this.#hosts.current(now).has(match.canonical)) return undefined;
    const settled = this.#find(match.candidate, family, now);
    return settled !== undefined && isResolution(settled) ? settled : undefined;
  }

  /**
   * Asks all servers at the same time, each by itself, without the cache: for decisions that must not depend on a single server. Returns the
   * answer of each by `address:port`: an empty list if it has no addresses, `undefined` if it did not answer within `timeoutMillis`.
   *
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`, or the signal's reason
   *
   * @internal
   */
  async resolveAtEach(
    name: string,
    options: ResolveOptions = {},
  ): Promise<ReadonlyMap<string, readonly ResolvedAddress[] | undefined>> {
    this.#check(options);
    const { family = 0, timeoutMillis = this.#settings.totalTimeoutMillis, signal } = options;
    const servers = new Map(this.#servers().map((server) => [server.text, server]));
    const answers = [...servers].map(async ([text, server]) => {
      const outcome = await this.#resolveAt(server, canonicalName(name), family, timeoutMillis, signal);
      if (outcome === undefined || outcome.kind === 'unavailable') return [text, undefined] as const;
      return [text, outcome.kind === 'addresses' ? outcome.addresses : []] as const;
    });
    return new Map(await Promise.all(answers));
  }

  /** Counts since the resolver was made. */
  statistics(): DnsStatistics {
    return this.#counters.report({ evictions: this.#cache?.evictions ?? 0, names: this.#cache?.names ?? 0 });
  }

  /**
   * Forgets `name`, or all names: the next call asks the servers. Answers under way only reach the callers that
   * already wait for them.
   */
  invalidate(name?: string): void {
    if (name === undefined) {
      this.#cache?.clear();
      this.#hostSearch.forget();
    } else {
      this.#cache?.invalidate(canonicalName(name));
      this.#hostSearch.forget(name);
    }
    this.#flights.abandon();
  }

  /** Ends queries under way; their callers get a `ClosedError`. Resolves when every socket is closed. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  /** Calls `close()`, at the end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #check(options: ResolveOptions): void {
    checkCallOptions(options, resolveShapes);
    options.signal?.throwIfAborted();
    if (this.#closed !== undefined) throw new ClosedError('the DNS resolver');
  }

  async #end(): Promise<void> {
    this.#closing.abort(new ClosedError('the DNS resolver'));
    await this.#transport.close();
  }

  // The unexpired answer of the cache, refreshed in the background when it is about to expire.
  #find(name: string, family: 0 | 4 | 6, now: number): Settled | undefined {
    const found = this.#cache?.find(name, family, now);
    if (found === undefined) return undefined;
    this.#counters.hits++;
    if (now >= found.refreshAt) {
      this.#cache?.postponeRefresh(name, now + prefetchPauseMillis);
      const key = flightKey(name, family);
      if (!this.#flights.has(key)) {
        this.#counters.prefetches++;
        this.#flights.board(key, this.#launch(name, family));
      }
    }
    return found.settled;
  }

  // Ends a call: returns addresses and throws everything else, unless a stale answer can be served instead.
  #settle(name: string, family: 0 | 4 | 6, settled: Settled, options: ResolveOptions): Resolution {
    if (isResolution(settled)) return settled;
    const { kind, chain } = settled;
    if (kind !== 'unavailable') throw new ResolutionError(kind, name, { chain });
    const stale = this.#stale(name, family, options);
    if (stale !== undefined) return stale;
    const { detail, cause } = settled;
    throw new ResolutionError('unavailable', name, { chain, detail, cause });
  }

  // Valid until the servers are asked again, when the failure is forgotten.
  #stale(name: string, family: 0 | 4 | 6, options: ResolveOptions): Resolution | undefined {
    if (options.fresh === true) return undefined;
    const now = this.#clock.now();
    const resolution = this.#cache?.findStale(name, family, now);
    if (resolution === undefined) return undefined;
    this.#counters.stale++;
    const failureTtlMillis = (this.#settings.cache?.failureTtlSeconds ?? 0) * 1000;
    return { ...resolution, stale: true, expiresAt: now + failureTtlMillis };
  }

  #wait(name: string, family: 0 | 4 | 6, options: ResolveOptions): Promise<Resolution> {
    const { signal, fresh = false, timeoutMillis = this.#settings.totalTimeoutMillis } = options;
    const key = flightKey(name, family);
    const launch = this.#launch(name, family);
    const { flight, shared } = fresh ? this.#flights.boardFresh(key, launch) : this.#flights.board(key, launch);
    this.#counters.misses++;
    if (shared) this.#counters.coalesced++;
    // Ten thousand callers may wait for one answer: one promise and one timer each.
    return new Promise<Resolution>((resolve, reject) => {
      const abort = () => end(() => reject(signal?.reason));
      const end = (settle: () => void) => {
        deadline.cancel();
        patience?.cancel();
        stopListening?.();
        settle();
      };
      const serveStale = () => {
        const stale = this.#stale(name, family, options);
        if (stale !== undefined) end(() => resolve(stale));
      };
      const expire = () => {
        serveStale();
        const detail = `no answer within ${timeoutMillis} ms from ${this.nameservers.join(', ')}`;
        const cause = new DeadlineError(`resolving ${name}`, timeoutMillis);
        end(() => reject(new ResolutionError('unavailable', name, { chain: flight.chain, detail, cause })));
      };
      // This timer keeps the process alive while a caller waits, so there always is one.
      const deadline = this.#clock.schedule(expire, Math.min(timeoutMillis, longestTimeoutMillis));
      const patience = this.#patience(flight, name, family, options, serveStale);
      const stopListening = signal && onAbort(signal, abort);
      flight.landed.then(
        (settled) =>
          end(() => {
            try {
              resolve(this.#settle(name, family, settled, options));
            } catch (error) {
              reject(error);
            }
          }),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }

  // RFC 8767 section 5: a stale answer now is better than a fresh one after the caller has given up. If the servers have kept other
  // callers waiting already, no caller waits again: the servers are asked, and the stale answer is served meanwhile.
  #patience(
    flight: Flight,
    name: string,
    family: 0 | 4 | 6,
    options: ResolveOptions,
    serveStale: () => void,
  ): Timer | undefined {
    const now = this.#clock.now();
    if (options.fresh === true || this.#cache?.findStale(name, family, now) === undefined) return undefined;
    const staleAfterMillis = this.#settings.cache?.staleAfterMillis ?? 0;
    const waitMillis = this.#cache.hasFailed(name) ? 0 : flight.begunAt + staleAfterMillis - now;
    return this.#clock.schedule(serveStale, waitMillis, { background: true });
  }

  async #resolveAt(
    server: ServerAddress,
    name: string,
    family: 0 | 4 | 6,
    timeoutMillis: number,
    signal: AbortSignal | undefined,
  ): Promise<Outcome | undefined> {
    const tooLate = new DeadlineError(`asking ${server.text}`, timeoutMillis);
    const ask = (ending: AbortSignal) => {
      const follower = new ChainFollower({
        questioner: this.#questioner,
        cache: undefined,
        clock: this.#clock,
        settings: () => ({ ...this.#askSettings(), nameservers: [server], attempts: 1, timeoutMillis }),
        closing: ending,
      });
      return follower.follow(name, family, { begunAt: this.#clock.now(), sent: false, obsolete: false, chain: [] });
    };
    const end = () => controller.abort(this.#closing.signal.reason);
    const abandon = () => controller.abort(signal?.reason);
    const controller = new AbortController();
    const stopListening = [
      onAbort(this.#closing.signal, end),
      ...(signal === undefined ? [] : [onAbort(signal, abandon)]),
    ];
    try {
      return await withDeadline(ask, {
        signal: controller.signal,
        timeoutMillis,
        onTimeout: () => tooLate,
        clock: this.#clock,
        background: true,
      });
    } catch (error) {
      if (error === tooLate) return undefined;
      throw error;
    } finally {
      for (const stop of stopListening) stop();
    }
  }

  #launch(name: string, family: 0 | 4 | 6): Launch {
    return async (flight) => {
      const before = this.#cache?.findLast(name, family, this.#clock.now());
      const outcome = await this.#follower.follow(name, family, flight);
      if (outcome.kind !== 'addresses') return outcome;
      const limits = this.#settings.cache ?? uncached;
      const times = [...outcome.chain, ...outcome.addresses].map((record) => keptMillis(record.ttlSeconds, limits));
      const resolution = resolutionOf(name, outcome, this.#clock.now() + Math.min(...times), false);
      if (before !== undefined) publishChange(name, before, resolution);
      return resolution;
    };
  }

  async #search(hostname: string, options: ResolveOptions): Promise<Resolution> {
    const { timeoutMillis = this.#settings.totalTimeoutMillis } = options;
    const ndots = this.#settings.ndots ?? this.#resolvConf.current().ndots;
    return this.#hostSearch.find(hostname, { searchDomains: this.searchDomains, ndots }, { ...options, timeoutMillis });
  }

  // No server answers for any candidate. The one that matched last time is meant.
  #staleHost(hostname: string, family: 0 | 4 | 6, options: ResolveOptions): Resolution | undefined {
    const match = this.#hostSearch.last(hostname, family);
    return match === undefined ? undefined : this.#stale(match.candidate, family, options);
  }

  #localHost(hostname: string, family: 0 | 4 | 6): Resolution | undefined {
    const literal = isIP(hostname);
    if (literal === 4 || literal === 6) return this.#local(hostname, [{ address: hostname, family: literal }], family);
    const addresses = lookupHosts(this.#hosts.current(), hostname);
    return addresses === undefined ? undefined : this.#local(canonicalName(hostname), addresses, family);
  }

  // Known without DNS: valid until the hosts file is checked again.
  #local(name: string, addresses: readonly Omit<ResolvedAddress, 'ttlSeconds'>[], family: 0 | 4 | 6): Resolution {
    const wanted = addresses.filter((entry) => family === 0 || entry.family === family);
    if (wanted.length === 0) throw new ResolutionError('no-address', name);
    return {
      name,
      chain: [],
      canonicalName: name,
      addresses: wanted.map((entry) => ({ ...entry, ttlSeconds: localTtlSeconds })),
      expiresAt: this.#clock.now() + localTtlSeconds * 1000,
      stale: false,
    };
  }

  #askSettings(): AskSettings {
    const { timeoutMillis, attempts, rotate, useTcp, edns0 } = this.#settings;
    const conf = this.#resolvConf.current();
    return {
      nameservers: this.#servers(),
      timeoutMillis: timeoutMillis ?? conf.timeoutMillis ?? 2000,
      attempts: attempts ?? conf.attempts ?? 3,
      rotate: rotate ?? conf.rotate,
      useTcp: useTcp ?? conf.useTcp,
      edns0,
    };
  }

  #servers(): readonly ServerAddress[] {
    if (this.#settings.nameservers !== undefined) return this.#settings.nameservers;
    const from = this.#resolvConf.current().nameservers;
    if (this.#nameservers?.from !== from) this.#nameservers = { from, parsed: from.flatMap(serverOf) };
    return this.#nameservers.parsed;
  }
}

function flightKey(name: string, family: 0 | 4 | 6): string {
  return `${family} ${name}`;
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ResolutionError && error.failure === 'unavailable';
}

function publishChange(name: string, before: Resolution, after: Resolution): void {
  const targets = ({ chain }: Resolution) => chain.map((hop) => hop.target).join(' ');
  const addresses = ({ addresses: list }: Resolution) =>
    list
      .map((entry) => entry.address)
      .sort()
      .join(' ');
  if (targets(before) !== targets(after)) dnsChainChangedChannel.publish(() => ({ name, before, after }));
  else if (addresses(before) !== addresses(after)) dnsAddressesChangedChannel.publish(() => ({ name, before, after }));
}

// A line of resolv.conf that is not an address is skipped, as in libc.
function serverOf(text: string): ServerAddress[] {
  try {
    return [parseServerAddress(text)];
  } catch {
    return [];
  }
}

const uncached = { minTtlSeconds: 0, maxTtlSeconds: Number.POSITIVE_INFINITY };

/** How often a failed refresh is retried at most. */
const prefetchPauseMillis = 1000;

/** The longest timer. */
const longestTimeoutMillis = 2 ** 31 - 1;

/** How often the hosts file is checked. */
const localTtlSeconds = 5;
