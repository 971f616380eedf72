import { isIP } from 'node:net';
import { hostname as machineName } from 'node:os';
import { type Clock, type Random, systemClock, systemRandom } from '../clock.ts';
import { abortable, withDeadline } from '../deadline.ts';
import { ClosedError, DeadlineError, InvalidArgumentError } from '../errors.ts';
import { canonicalName } from '../names/index.ts';
import { DnsCache, type Found, keptMillis, resolutionOf } from './cache.ts';
import { type Asked, judge, type Outcome, type Step } from './chain.ts';
import { dnsAddressesChangedChannel, dnsChainChangedChannel } from './channels.ts';
import { ResolutionError } from './errors.ts';
import { type Hosts, isLocalhost, lookupHosts, loopback, parseHosts } from './hosts-file.ts';
import { isQueryName, type RecordType } from './message.ts';
import { type DnsResolverOptions, type DnsResolverSettings, resolverSettings } from './options.ts';
import { type AskSettings, Questioner } from './questioner.ts';
import type { Hop, Resolution, ResolvedAddress, ResolveOptions, Resolver } from './resolution.ts';
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts';
import { searchCandidates } from './search-list.ts';
import { parseServerAddress, type ServerAddress } from './server-address.ts';
import { DnsCounters, type DnsStatistics } from './statistics.ts';
import { Transport } from './transport.ts';
import { WatchedFile } from './watched-file.ts';

/** What a test may own. */
export interface DnsResolverDependencies {
  clock?: Clock | undefined;
  /** For jitter. Query ids come from the system's secure randomness, always. */
  random?: Random | undefined;
}

/**
 * A stub resolver that returns the whole CNAME chain with its TTLs, from one question a family.
 *
 * It asks the servers of resolv.conf (or the ones given), keeps answers for their time, shares queries under way between callers, and
 * tells three failures apart: the last name of the chain does not exist, it has no address, no server answered.
 *
 * Nothing is started or read before the first call, and nothing here keeps the process alive but a caller that waits.
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
  readonly #resolvConf: WatchedFile<ResolvConf>;
  readonly #hosts: WatchedFile<Hosts>;
  readonly #flights = new Map<string, Flight>();
  readonly #freshFlights = new Map<string, FreshFlights>();
  readonly #matched = new Map<string, Match>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  #nameservers: { readonly from: readonly string[]; readonly parsed: readonly ServerAddress[] } | undefined;

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, naming the option at fault. */
  constructor(options: DnsResolverOptions = {}, dependencies: DnsResolverDependencies = {}) {
    const { clock = systemClock, random = systemRandom } = dependencies;
    this.#settings = resolverSettings(options);
    this.#clock = clock;
    this.#cache = this.#settings.cache && new DnsCache(this.#settings.cache, random);
    this.#transport = new Transport(clock, this.#counters);
    this.#questioner = new Questioner(this.#transport, clock, this.#counters);
    const { resolvConfPath, hostsPath } = this.#settings;
    const context = { hostname: machineName(), environment: process.env };
    this.#resolvConf = new WatchedFile(resolvConfPath, (text) => parseResolvConf(text, context), clock);
    this.#hosts = new WatchedFile(hostsPath, parseHosts, clock);
  }

  /** The domains that complete a plain host name: as given, else from resolv.conf as it is now. `discoverClusterContext` reads them. */
  get searchDomains(): readonly string[] {
    return this.#settings.searchDomains ?? this.#resolvConf.current().searchDomains;
  }

  /** The servers that are asked, `address:port`: as given, else from resolv.conf as it is now. */
  get nameservers(): readonly string[] {
    return this.#servers().map((server) => server.text);
  }

  /**
   * Resolves a fully qualified name (the trailing dot may be left out). Neither the search list nor the hosts file counts: what a
   * Service stands for is what DNS says.
   *
   * `fresh` never gets an answer to a query that was sent before the call. It goes past this resolver's cache, not past those of the
   * servers that it asks.
   *
   * @throws ResolutionError where there is no address, see its `failure`.
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what cannot be a name.
   */
  async resolve(name: string, options: ResolveOptions = {}): Promise<Resolution> {
    const { family = 0, fresh = false, signal } = options;
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw new ClosedError('the DNS resolver');
    const canonical = canonicalName(name);
    if (!isQueryName(canonical)) {
      throw new InvalidArgumentError(
        'name',
        `${JSON.stringify(name.slice(0, 300))} is no name that DNS can be asked for`,
      );
    }
    if (isLocalhost(canonical)) return this.#local(canonical, loopback, family);
    const found = fresh ? undefined : this.#find(canonical, family);
    if (found !== undefined) return this.#settle(canonical, family, found, options);
    return this.#wait(canonical, family, options);
  }

  /**
   * Resolves a host name as an application writes it, the way libc does: an address is itself, the hosts file comes before DNS,
   * and a name without a trailing dot is completed from the search list (`search` and `ndots` of resolv.conf(5)).
   * `name` of the result is the candidate that matched.
   *
   * Two differences from glibc, both so that trouble with one name never leads to another host: the search ends at a candidate
   * that no server answered for, and at one that exists as an alias, wherever that leads. The candidate that matched is asked
   * first for the next 60 s.
   *
   * @throws ResolutionError of the candidate that came closest, or of the name itself where none exists.
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what cannot be a name.
   */
  async resolveHost(hostname: string, options: ResolveOptions = {}): Promise<Resolution> {
    const { signal, family = 0, fresh = false } = options;
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw new ClosedError('the DNS resolver');
    const local = this.#localHost(hostname, family);
    if (local !== undefined) return local;
    const known = fresh ? undefined : this.#matchOf(hostname);
    if (known !== undefined) {
      try {
        return await this.resolve(known, options);
      } catch (error) {
        if (!isMiss(error)) throw error;
        this.#matched.delete(hostname);
      }
    }
    return this.#search(hostname, options);
  }

  /**
   * What `resolveHost` would return without asking anybody, or `undefined`. For callers that must not wait, as `lookup` on a hot path.
   *
   * @internal
   */
  knownHost(hostname: string, family: 0 | 4 | 6): Resolution | undefined {
    if (this.#closed !== undefined) return undefined;
    try {
      const local = this.#localHost(hostname, family);
      if (local !== undefined) return local;
    } catch {
      return undefined; // It exists without that family: resolveHost says so in full.
    }
    const match = this.#matchOf(hostname);
    if (match === undefined) return undefined;
    return this.#find(match, family)?.resolution;
  }

  /** Counts since the resolver was made. */
  statistics(): DnsStatistics {
    return this.#counters.report({ evictions: this.#cache?.evictions ?? 0, names: this.#cache?.names ?? 0 });
  }

  /**
   * Forgets what is known of `name`, or of all names: the next call asks. Answers that are under way still reach
   * those who wait for them, and nobody else.
   */
  invalidate(name?: string): void {
    if (name === undefined) {
      this.#cache?.clear();
      this.#matched.clear();
    } else {
      this.#cache?.invalidate(canonicalName(name));
      this.#matched.delete(name);
    }
    for (const flight of this.#flights.values()) flight.obsolete = true;
    for (const flights of this.#freshFlights.values()) for (const flight of flights.running) flight.obsolete = true;
    this.#flights.clear();
  }

  /** Ends queries under way; those who wait get a `ClosedError`. Resolves when every socket is closed. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #end(): Promise<void> {
    this.#closing.abort(new ClosedError('the DNS resolver'));
    await this.#transport.close();
  }

  // What the cache has within its time, refreshed in the background when that is nearly over.
  #find(name: string, family: 0 | 4 | 6): Found | undefined {
    const now = this.#clock.now();
    const found = this.#cache?.find(name, family, now);
    if (found === undefined) return undefined;
    this.#counters.hits++;
    if (now >= found.refreshAt) {
      found.refreshAt = now + prefetchPauseMillis;
      if (!this.#flights.has(flightKey(name, family))) {
        this.#counters.prefetches++;
        this.#flight(name, family);
      }
    }
    return found;
  }

  // Ends a call: addresses are returned, everything else is thrown, unless a stale answer can stand in for no answer.
  #settle(name: string, family: 0 | 4 | 6, found: Landing, options: ResolveOptions): Resolution {
    if (found.resolution !== undefined) return found.resolution;
    const { outcome } = found;
    if (outcome.kind === 'addresses') throw new TypeError('addresses without a resolution');
    if (outcome.kind === 'unavailable') {
      const stale = this.#stale(name, family, options);
      if (stale !== undefined) return stale;
      const { chain, detail, cause } = outcome;
      throw new ResolutionError('unavailable', name, { chain, detail, cause });
    }
    const { kind, chain } = outcome;
    throw new ResolutionError(kind, name, { chain });
  }

  // Good until the servers are asked again, which is once the failure is forgotten.
  #stale(name: string, family: 0 | 4 | 6, options: ResolveOptions): Resolution | undefined {
    if (options.fresh === true) return undefined;
    const now = this.#clock.now();
    const resolution = this.#cache?.findStale(name, family, now)?.resolution;
    if (resolution === undefined) return undefined;
    this.#counters.stale++;
    const failureTtlMillis = (this.#settings.cache?.failureTtlSeconds ?? 0) * 1000;
    return { ...resolution, stale: true, expiresAt: now + failureTtlMillis };
  }

  async #wait(name: string, family: 0 | 4 | 6, options: ResolveOptions): Promise<Resolution> {
    const { signal, fresh = false, timeoutMillis = this.#settings.totalTimeoutMillis } = options;
    this.#counters.misses++;
    const flight = fresh ? this.#freshFlight(name, family) : this.#flight(name, family);
    const onTimeout = () => new DeadlineError(`resolving ${name}`, timeoutMillis);
    try {
      const work = (inner: AbortSignal) => this.#orStale(flight, name, family, options, inner);
      return await withDeadline(work, { signal, timeoutMillis, onTimeout, clock: this.#clock });
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      const stale = this.#stale(name, family, options);
      if (stale !== undefined) return stale;
      const servers = this.nameservers.join(', ');
      const detail = `no answer within ${timeoutMillis} ms from ${servers}`;
      throw new ResolutionError('unavailable', name, { chain: flight.chain, detail, cause: error });
    }
  }

  // RFC 8767 section 5: a stale answer now is worth more than a fresh one after the caller has given up.
  async #orStale(
    flight: Flight,
    name: string,
    family: 0 | 4 | 6,
    options: ResolveOptions,
    signal: AbortSignal,
  ): Promise<Resolution> {
    const landed = flight.landed.then((landing) => this.#settle(name, family, landing, options));
    const now = this.#clock.now();
    const hasStale = options.fresh !== true && this.#cache?.findStale(name, family, now) !== undefined;
    if (!hasStale) return abortable(landed, signal);
    const staleAfterMillis = this.#settings.cache?.staleAfterMillis ?? 0;
    return new Promise<Resolution>((resolve, reject) => {
      const timer = this.#clock.schedule(
        () => {
          const stale = this.#stale(name, family, options);
          if (stale !== undefined) resolve(stale);
        },
        staleAfterMillis,
        { background: true },
      );
      abortable(landed, signal)
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }

  #flight(name: string, family: 0 | 4 | 6): Flight {
    const key = flightKey(name, family);
    const known = this.#flights.get(key);
    if (known !== undefined) {
      this.#counters.coalesced++;
      return known;
    }
    for (const fresh of this.#freshFlights.get(key)?.running ?? []) {
      if (fresh.obsolete) continue;
      this.#counters.coalesced++;
      return fresh;
    }
    const flight = this.#start(name, family);
    this.#flights.set(key, flight);
    const land = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    flight.landed.then(land, land);
    return flight;
  }

  /*
   * A fresh caller may share the queries of another one only where they have not left yet. One that comes later waits for the
   * next round, together with all others that come meanwhile: it begins when the one under way is over, or 100 ms after the last
   * one began. So each caller gets what it was promised, and 10,000 of them cost a handful of queries.
   */
  #freshFlight(name: string, family: 0 | 4 | 6): Flight {
    const key = flightKey(name, family);
    const flights = this.#freshFlights.get(key) ?? { running: new Set(), next: undefined };
    this.#freshFlights.set(key, flights);
    for (const flight of flights.running) {
      if (flight.sent || flight.obsolete) continue;
      this.#counters.coalesced++;
      return flight;
    }
    if (flights.next !== undefined) {
      this.#counters.coalesced++;
      return flights.next;
    }
    const run = (after: Promise<unknown>): Flight => {
      const flight = this.#start(name, family, after);
      flights.next = flight;
      const land = () => {
        flights.running.delete(flight);
        if (flights.next === flight) flights.next = undefined;
        if (flights.running.size === 0 && flights.next === undefined) this.#freshFlights.delete(key);
      };
      after
        .then(() => {
          if (flights.next === flight) flights.next = undefined;
          flights.running.add(flight);
        })
        .catch(() => undefined);
      flight.landed.then(land, land);
      return flight;
    };
    const [latest] = [...flights.running].slice(-1);
    if (latest === undefined) {
      const flight = run(Promise.resolve());
      flights.next = undefined;
      flights.running.add(flight);
      return flight;
    }
    return run(this.#either(latest.landed, freshIntervalMillis));
  }

  // Resolves when the flight is over or the time is, whichever comes first.
  #either(landed: Promise<unknown>, millis: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.schedule(resolve, millis, { background: true });
      const over = () => {
        timer.cancel();
        resolve();
      };
      landed.then(over, over);
    });
  }

  #start(name: string, family: 0 | 4 | 6, after?: Promise<unknown>): Flight {
    const flight: Flight = { sent: false, obsolete: false, chain: [], landed: neverLands };
    const follow = async () => {
      if (after !== undefined) await after;
      return this.#follow(name, family, flight);
    };
    // Ends with the resolver even where a dependency does not listen to the signal.
    flight.landed = abortable(follow(), this.#closing.signal);
    // Those who wait hear of it; a refresh in the background has nobody who does.
    flight.landed.catch(() => undefined);
    return flight;
  }

  /** Asks, and asks on, until the end of the chain is known. Rejects only when the resolver is closed. */
  async #follow(name: string, family: 0 | 4 | 6, flight: Flight): Promise<Landing> {
    const before = this.#cache?.findStale(name, family, this.#clock.now())?.resolution;
    const types: readonly RecordType[] = family === 0 ? ['A', 'AAAA'] : family === 4 ? ['A'] : ['AAAA'];
    let current = name;
    let best: Outcome | undefined;
    let mayAskAgain = true;
    for (;;) {
      const askedAt = this.#clock.now();
      const passed = flight.chain;
      const asked = await this.#ask(current, types, passed, flight);
      let step = judge(asked, { passed, mayAskAgain });
      if (step.kind === 'ask-again') {
        mayAskAgain = false;
        continue;
      }
      if (step.kind === 'ask-alias') {
        step = await this.#askAlias(current, asked, passed, askedAt, flight);
      } else {
        this.#store(flight, current, asked, step, askedAt);
      }
      if (step.kind === 'ask-on') {
        best ??= addressesOf(asked, passed);
        flight.chain = step.chain;
        current = step.chain.at(-1)?.target ?? current;
        mayAskAgain = true;
        continue;
      }
      const outcome = step.kind === 'done' ? step.outcome : undefined;
      if (outcome === undefined) continue;
      const landed = outcome.kind !== 'addresses' && best !== undefined ? best : outcome;
      flight.chain = landed.chain;
      return this.#land(name, landed, before);
    }
  }

  // The name exists and has no address. Whether it is an alias is one more question, asked only here.
  async #askAlias(
    name: string,
    asked: readonly Asked[],
    passed: readonly Hop[],
    askedAt: number,
    flight: Flight,
  ): Promise<Step> {
    const [alias] = await this.#ask(name, ['CNAME'], passed, flight);
    const ttls = asked.flatMap(({ answer }) => (answer.kind === 'no-data' ? [answer.ttlSeconds] : []));
    const noAddress: Step = {
      kind: 'done',
      outcome: { kind: 'no-address', chain: passed, ttlSeconds: ttls.length > 0 ? Math.min(...ttls) : 0 },
    };
    if (alias === undefined || alias.answer.kind === 'failed') {
      this.#store(flight, name, asked, noAddress, askedAt);
      return noAddress;
    }
    const step = judge([alias], { passed, mayAskAgain: false });
    const isAlias = 'chain' in alias.answer && alias.answer.chain.length > 0;
    this.#store(flight, name, isAlias ? [alias] : asked, isAlias ? step : noAddress, askedAt);
    return isAlias ? step : noAddress;
  }

  /** The questions about one name, side by side. */
  async #ask(name: string, types: readonly RecordType[], passed: readonly Hop[], flight: Flight): Promise<Asked[]> {
    const settings = this.#askSettings();
    const onSend = () => {
      flight.sent = true;
    };
    const late = new AbortController();
    const signal = AbortSignal.any([this.#closing.signal, late.signal]);
    const questions = types.map((type) => ({ name, type }) as const);
    const pending = questions.map((question) => {
      const mayBeLate = question.type === 'AAAA' && types.includes('A');
      const answer = this.#questioner.ask(question, {
        settings,
        passed,
        signal: mayBeLate ? signal : this.#closing.signal,
        onSend,
      });
      return mayBeLate ? answer.catch((error: unknown) => givenUp(question, error, late.signal)) : answer;
    });
    const [first] = pending;
    // A host with IPv4 addresses must not wait for a server that chokes on AAAA.
    const limit = first?.then(({ question, answer }) => {
      if (question.type !== 'A' || answer.kind !== 'addresses' || pending.length < 2) return undefined;
      return this.#clock.schedule(() => late.abort(new Error('given up')), secondFamilyMillis, { background: true });
    });
    try {
      return await Promise.all(pending);
    } finally {
      limit?.then(
        (timer) => timer?.cancel(),
        () => undefined,
      );
    }
  }

  #store(flight: Flight, name: string, asked: readonly Asked[], step: Step, askedAt: number): void {
    if (!flight.obsolete) this.#cache?.store({ name, asked, step, askedAt }, this.#clock.now());
  }

  #land(name: string, outcome: Outcome, before: Resolution | undefined): Landing {
    const now = this.#clock.now();
    const limits = this.#settings.cache ?? uncached;
    const ttls =
      outcome.kind === 'addresses'
        ? [...outcome.chain, ...outcome.addresses].map((record) => keptMillis(record.ttlSeconds, limits))
        : [0];
    const expiresAt = now + Math.min(...ttls);
    const resolution = outcome.kind === 'addresses' ? resolutionOf(name, outcome, expiresAt, false) : undefined;
    if (resolution !== undefined && before !== undefined) publishChange(name, before, resolution);
    return { outcome, resolution };
  }

  async #search(hostname: string, options: ResolveOptions): Promise<Resolution> {
    const { timeoutMillis = this.#settings.totalTimeoutMillis } = options;
    const ndots = this.#settings.ndots ?? this.#resolvConf.current().ndots;
    const candidates = searchCandidates(hostname, { searchDomains: this.searchDomains, ndots }).filter(isQueryName);
    if (candidates.length === 0) {
      throw new InvalidArgumentError('hostname', `${JSON.stringify(hostname.slice(0, 300))} is no host name`);
    }
    const deadline = this.#clock.now() + timeoutMillis;
    let closest: ResolutionError | undefined;
    for (const candidate of candidates) {
      // One deadline for the whole search.
      const left = Math.max(deadline - this.#clock.now(), 0);
      try {
        const resolution = await this.resolve(candidate, { ...options, timeoutMillis: left });
        this.#remember(hostname, candidate);
        return resolution;
      } catch (error) {
        if (!isMiss(error)) throw error;
        if (closest === undefined || (closest.failure === 'not-found' && error.failure === 'no-address'))
          closest = error;
      }
    }
    const failure = closest?.failure ?? 'not-found';
    const tried = candidates.length > 1 ? `, tried as ${candidates.join(', ')}` : '';
    const detail = `${failure === 'no-address' ? 'no address' : 'NXDOMAIN'}${tried}`;
    throw new ResolutionError(failure, canonicalName(hostname), { detail, cause: closest });
  }

  #remember(hostname: string, candidate: string): void {
    if (this.#matched.size >= mostRemembered) this.#matched.clear();
    this.#matched.set(hostname, { candidate, until: this.#clock.now() + matchMemoryMillis });
  }

  #matchOf(hostname: string): string | undefined {
    const match = this.#matched.get(hostname);
    if (match === undefined) return undefined;
    if (this.#clock.now() < match.until) return match.candidate;
    this.#matched.delete(hostname);
    return undefined;
  }

  #localHost(hostname: string, family: 0 | 4 | 6): Resolution | undefined {
    const literal = isIP(hostname);
    if (literal === 4 || literal === 6) return this.#local(hostname, [{ address: hostname, family: literal }], family);
    const addresses = lookupHosts(this.#hosts.current(), hostname);
    return addresses === undefined ? undefined : this.#local(canonicalName(hostname), addresses, family);
  }

  // Known without DNS: good until the hosts file is looked at again.
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

/** Queries under way for one name, shared by all who wait for them. */
interface Flight {
  /** Whether a query has left: an answer may then be older than a caller that comes now. */
  sent: boolean;
  /** Whether the answer must not be kept: the name was invalidated meanwhile. */
  obsolete: boolean;
  /** The aliases found so far, for the message of a caller whose time is up. */
  chain: readonly Hop[];
  landed: Promise<Landing>;
}

interface FreshFlights {
  readonly running: Set<Flight>;
  next: Flight | undefined;
}

interface Landing {
  readonly outcome: Outcome;
  /** Set where the outcome is addresses. */
  readonly resolution: Resolution | undefined;
}

interface Match {
  readonly candidate: string;
  readonly until: number;
}

function flightKey(name: string, family: 0 | 4 | 6): string {
  return `${family} ${name}`;
}

// The candidate is no host: the next one may be. One with aliases exists, and its trouble is its own.
function isMiss(error: unknown): error is ResolutionError {
  return (
    error instanceof ResolutionError &&
    (error.failure === 'not-found' || error.failure === 'no-address') &&
    error.chain.length === 0
  );
}

function addressesOf(asked: readonly Asked[], passed: readonly Hop[]): Outcome | undefined {
  const found = asked.find(({ answer }) => answer.kind === 'addresses')?.answer;
  if (found?.kind !== 'addresses') return undefined;
  return { kind: 'addresses', chain: [...passed, ...found.chain], addresses: found.addresses };
}

function givenUp(question: Asked['question'], error: unknown, late: AbortSignal): Asked {
  if (!late.aborted) throw error;
  return {
    question,
    answer: { kind: 'failed', detail: `no answer within ${secondFamilyMillis} ms`, cause: undefined },
  };
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

// A line of resolv.conf that is no address is passed over, as in libc.
function serverOf(text: string): ServerAddress[] {
  try {
    return [parseServerAddress(text)];
  } catch {
    return [];
  }
}

const neverLands = new Promise<never>(() => {});

const uncached = { minTtlSeconds: 0, maxTtlSeconds: Number.POSITIVE_INFINITY };

/** How long AAAA may take once A has brought addresses. */
const secondFamilyMillis = 500;

/** The shortest time between fresh rounds of one name while a server is slow. */
const freshIntervalMillis = 100;

/** A refresh that fails is tried again at most this often. */
const prefetchPauseMillis = 1000;

/** How long the matching candidate of a host name is asked first. */
const matchMemoryMillis = 60_000;

const mostRemembered = 10_000;

/** How often the hosts file is looked at. */
const localTtlSeconds = 5;
