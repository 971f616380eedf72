import type { Clock, Random } from '../clock.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { checkFunction, checkNumber, ownOptions } from '../input.ts';
import { aFunction, aNumber, anything, aText, checkOptions, listOf, objectOf, oneOf, optional } from '../shape.ts';
import type { Endpoint } from './endpoint.ts';
import { type EjectionReason, OutlierDetection, type OutlierDetectionOptions, Vitals } from './outlier-detection.ts';

/**
 * Which endpoint comes first.
 *
 * - `ordered`: as DNS gave them.
 * - `random`: any, with chances by their weights.
 * - `round-robin`: each in turn, as often as its weight says.
 * - `least-connections`: the one with the fewest open connections (for a request: with the fewest requests in flight), relative to its
 *   weight; among equals, any (for a request: each in turn).
 */
export type Balancing = 'ordered' | 'random' | 'round-robin' | 'least-connections';

/** See {@link Balancer}. */
export interface BalancerOptions {
  /** Which endpoint comes first. @defaultValue 'ordered' */
  balancing?: Balancing | undefined;
  /**
   * How long a failed endpoint comes after all others. Milliseconds; 0 forgets at once, `Infinity` waits for `succeeded()`.
   * @defaultValue 10000
   */
  failureMemoryMillis?: number | undefined;
  /**
   * The weight of an endpoint that is seen for the first time, 0 or more; see {@link Balancer.setWeight}. @defaultValue 1 for each
   */
  weightOf?: ((endpoint: Endpoint) => number) | undefined;
  /**
   * How long a new endpoint, and one that comes back, takes to get its full share: its weight grows from a tenth to the whole.
   * The endpoints of the first `order()` are not new. Milliseconds; 0 gives the whole at once. @defaultValue 0
   */
  slowStartMillis?: number | undefined;
  /** Ejects endpoints whose requests fail or are slow, as reported by {@link Balancer.requested}. @defaultValue false */
  outlierDetection?: OutlierDetectionOptions | false | undefined;
}

/** How a request ended; see {@link Balancer.requested}. */
export type RequestResult = 'answered' | 'failed' | 'unjudged';

/** What a {@link Balancer} knows about an endpoint. */
export interface EndpointStatus {
  /** IPv4 or IPv6 address. */
  readonly address: string;
  /** The port to connect to. */
  readonly port: number;
  /** The weight that was set. */
  readonly weight: number;
  /** Its share of the requests now, 0 to 1: by weight, slow start and ejections. */
  readonly share: number;
  /** Open connections. */
  readonly connections: number;
  /** Requests in flight. */
  readonly inFlight: number;
  /** Requests that were answered since it is known. */
  readonly answered: number;
  /** Requests and connection attempts that failed since it is known. */
  readonly failed: number;
  /** The requests among them, for which the endpoint was to blame. */
  readonly failedRequests: number;
  /** How long its answers took lately, in milliseconds (a moving average); `undefined` before the first. */
  readonly latencyMillis: number | undefined;
  /** Why it gets no requests; `undefined` if it does. */
  readonly ejected: EjectionReason | undefined;
  /** For how long it has got no requests, in milliseconds. */
  readonly ejectedMillis: number | undefined;
}

/** An endpoint gets no requests any more, or gets them again. */
export interface BalancerChange {
  /** The endpoint. */
  readonly endpoint: Endpoint;
  /** Why it gets none; `undefined` if it gets them again. */
  readonly ejected: EjectionReason | undefined;
  /** For how long at most, in milliseconds, if that is known. */
  readonly forMillis: number | undefined;
}

/**
 * Decides in which order to try the endpoints of a target, and which of them gets a request.
 *
 * It never removes an endpoint: ejected and failed ones come last, those that failed longest ago first, so that some endpoint is
 * tried even if all have failed. It knows endpoints by address and port, so it remembers them from one DNS answer to the next. It has
 * no timers and no sockets, and needs no `close()`.
 *
 * @example
 * ```ts
 * const balancer = new Balancer({ balancing: 'least-connections' });
 * const { result: socket, endpoint, failures } = await raceEndpoints(balancer.order(endpoints), connect);
 * for (const failure of failures) balancer.failed(failure.endpoint);
 * balancer.succeeded(endpoint);
 * socket.once('close', balancer.connected(endpoint));
 * ```
 */
export class Balancer {
  readonly #balancing: Balancing;
  readonly #failureMemoryMillis: number;
  readonly #slowStartMillis: number;
  readonly #weightOf: (endpoint: Endpoint) => number;
  readonly #outliers: OutlierDetection | undefined;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #standings = new Map<string, Standing>();
  /** Endpoints live as long as their connections, so each request finds its standing without making a key. */
  readonly #known = new WeakMap<Endpoint, Standing>();
  /** Those of the last order, and those with connections. */
  #present: readonly Standing[] = [];
  /** Counts failures, so that those of one millisecond have an order. */
  #failures = 0;
  #isBegun = false;
  readonly #listeners = new Set<(change: BalancerChange) => void>();

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
  constructor(options: BalancerOptions = {}, dependencies: Dependencies = {}) {
    checkOptions(options, {
      balancing: optional(oneOf(...Object.keys(arrange))),
      failureMemoryMillis: optional(aNumber({ least: 0 })),
      weightOf: optional(aFunction),
      slowStartMillis: optional(aNumber({ least: 0 })),
      // Checked by the class that takes it.
      outlierDetection: anything,
    });
    const { clock, random } = dependenciesOf(dependencies);
    const { balancing = 'ordered', failureMemoryMillis = defaultFailureMemoryMillis } = ownOptions(options);
    const { weightOf = () => 1, slowStartMillis = 0, outlierDetection = false } = ownOptions(options);
    this.#balancing = balancing;
    this.#failureMemoryMillis = failureMemoryMillis;
    this.#slowStartMillis = slowStartMillis;
    this.#weightOf = weightOf;
    this.#outliers = outlierDetection === false ? undefined : new OutlierDetection(outlierDetection);
    this.#clock = clock;
    this.#random = random;
  }

  /** All of `endpoints`, the first choice for a new connection first. */
  order(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    listOf(anEndpoint)('endpoints', endpoints);
    const now = this.#clock.now();
    const listed = endpoints.map((endpoint) => this.#standingOf(endpoint));
    this.#isBegun = true;
    const isListed = new Set(listed);
    this.#present = [...isListed, ...this.#present.filter((each) => each.connections > 0 && !isListed.has(each))];
    this.#sweep(now);
    const rows = endpoints.map((endpoint, index) => {
      const standing = listed[index] as Standing;
      return { endpoint, standing, weight: this.#weightNow(standing, now), isOut: this.#isOut(standing, now) };
    });
    const arranged = arrange[this.#balancing](rows, this.#random);
    // The sort is stable: endpoints that have not failed keep their places.
    arranged.sort((one, other) => placeOf(one) - placeOf(other));
    this.#forgetTheGone(now);
    return arranged.map(({ endpoint }) => endpoint);
  }

  /**
   * The one of `endpoints` that gets the next request; `undefined` for an empty list. For choosing among open connections. An ejected,
   * failed or silent one, or one with weight 0, is only chosen if there is no other. If all endpoints can be chosen each time, requests are
   * shared exactly by weight; `round-robin` and `least-connections` also make up for the times when only some could.
   */
  pick(endpoints: readonly Endpoint[]): Endpoint | undefined {
    listOf(anEndpoint)('endpoints', endpoints);
    const now = this.#clock.now();
    this.#sweep(now);
    const weighty = endpoints.filter((endpoint) => this.#weightNow(this.#standingOf(endpoint), now) > 0);
    const answering = weighty.filter((endpoint) => !this.#standingOf(endpoint).isSilent(now));
    const usable = answering.length > 0 ? answering : weighty;
    const [first] = usable;
    if (first === undefined) return this.#leastBad(endpoints, now);
    if (this.#balancing === 'ordered') return first;
    if (this.#balancing === 'random')
      return drawn(usable, (each) => this.#weightNow(this.#standingOf(each), now), this.#random);
    this.#giveCredit(usable, now);
    let chosen = first;
    for (const each of usable) {
      if (rounded(this.#standingOf(each).credit - this.#standingOf(chosen).credit) > 0) chosen = each;
    }
    const standing = this.#standingOf(chosen);
    standing.credit = Math.max(standing.credit - 1, -mostCredit);
    return chosen;
  }

  /** Remembers that the endpoint could not be used. */
  failed(endpoint: Endpoint): void {
    anEndpoint('endpoint', endpoint);
    const standing = this.#standingOf(endpoint);
    standing.failed += 1;
    if (this.#failureMemoryMillis === 0) return;
    const isNews = standing.failedAt === undefined;
    standing.failedAt = this.#clock.now();
    if (isNews) standing.outSince = standing.failedAt;
    standing.failureNumber = this.#failures++;
    if (isNews) this.#tell({ endpoint, ejected: 'unreachable', forMillis: undefined });
  }

  /** Forgets that the endpoint failed. It starts slowly, unless that lasted less than a tenth of `slowStartMillis`. */
  succeeded(endpoint: Endpoint): void {
    anEndpoint('endpoint', endpoint);
    const standing = this.#standingOf(endpoint);
    if (standing.failedAt !== undefined) this.#comesBack(standing, this.#clock.now());
  }

  /** Counts a connection until the returned function is called. Calling it again does nothing. */
  connected(endpoint: Endpoint): () => void {
    anEndpoint('endpoint', endpoint);
    const standing = this.#standingOf(endpoint);
    standing.connections += 1;
    if (!this.#present.includes(standing)) this.#present = [...this.#present, standing];
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      standing.connections -= 1;
    };
  }

  /**
   * Counts a request until the returned function is called with its result. `failed` means that the endpoint is to blame; a request that says nothing
   * about it, or whose time does not, is `unjudged`. Calling it again does nothing.
   *
   * @param awaitsAnswer whether the endpoint owes an answer now; `false` for one that sends its work later, as a lent connection does
   */
  requested(endpoint: Endpoint, awaitsAnswer = true): (result: RequestResult) => void {
    const standing = this.#standingOf(endpoint);
    const startedAt = this.#clock.now();
    standing.inFlight += 1;
    if (awaitsAnswer && standing.owed++ === 0) standing.heardAt = startedAt;
    let isOpen = true;
    return (result) => {
      if (!isOpen) return;
      isOpen = false;
      standing.inFlight -= 1;
      if (awaitsAnswer) standing.owed -= 1;
      if (result === 'answered') standing.heardAt = this.#clock.now();
      if (result === 'answered') standing.tookMillis(this.#clock.now() - startedAt);
      else if (result === 'failed') {
        standing.failed += 1;
        standing.failedRequests += 1;
        standing.vitals.failed += 1;
      }
    };
  }

  /**
   * Changes the weight of an endpoint: its share relative to the others. With 0 it gets connections and requests only if there is no other.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a weight below 0
   */
  setWeight(endpoint: Endpoint, weight: number): void {
    anEndpoint('endpoint', endpoint);
    aWeight('weight', weight);
    this.#standingOf(endpoint).weight = weight;
  }

  /** The share of each endpoint in the requests, 0 to 1, by weight, slow start and ejections. All 0 if none is usable. */
  shares(endpoints: readonly Endpoint[]): readonly number[] {
    listOf(anEndpoint)('endpoints', endpoints);
    const now = this.#clock.now();
    this.#sweep(now);
    const weights = endpoints.map((endpoint) => this.#weightNow(this.#standingOf(endpoint), now));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => (total === 0 ? 0 : weight / total));
  }

  /**
   * Whether it owes answers and has given none for half a second, whatever it owes: frozen, or busy with one slow request and nothing
   * else. Others are preferred until it answers. Outlier detection needs many requests for that, and the end of an interval.
   */
  isSilent(endpoint: Endpoint): boolean {
    return this.#standingOf(endpoint).isSilent(this.#clock.now());
  }

  /** How many connections are open to it. */
  connectionsTo(endpoint: Endpoint): number {
    return this.#standingOf(endpoint).connections;
  }

  /** What is known about the endpoints of the last `order()`, and of those with connections. */
  status(): readonly EndpointStatus[] {
    const now = this.#clock.now();
    this.#sweep(now);
    const present = this.#present;
    const total = present.reduce((sum, standing) => sum + this.#weightNow(standing, now), 0);
    return present.map((standing) => {
      const { endpoint, weight, connections, inFlight, answered, failed, failedRequests } = standing;
      const { latencyMillis, vitals } = standing;
      const ejected = this.#whyOut(standing, now);
      const since = ejected === 'unreachable' ? standing.outSince : vitals.ejectedAt;
      return {
        address: endpoint.address,
        port: endpoint.port,
        weight,
        share: total === 0 ? 0 : this.#weightNow(standing, now) / total,
        connections,
        inFlight,
        answered,
        failed,
        failedRequests,
        latencyMillis,
        ejected,
        ejectedMillis: ejected === undefined || since === undefined ? undefined : now - since,
      };
    });
  }

  /** Calls `listener` for each endpoint that gets no requests any more, or gets them again. Returns the function that ends it. */
  subscribe(listener: (change: BalancerChange) => void): () => void {
    checkFunction('listener', listener);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #standingOf(endpoint: Endpoint): Standing {
    const known = this.#known.get(endpoint);
    if (known?.isForgotten === false) return known;
    anEndpoint('endpoint', endpoint);
    const key = keyOf(endpoint);
    let standing = this.#standings.get(key);
    if (standing === undefined) {
      const weight = this.#weightOf(endpoint);
      checkNumber('weightOf()', weight, { least: 0 });
      // One that joins others is new; those of the first answer have always been there.
      standing = new Standing(endpoint, key, weight, this.#isBegun ? this.#clock.now() : Number.NEGATIVE_INFINITY);
      this.#standings.set(key, standing);
    }
    standing.endpoint = endpoint;
    this.#known.set(endpoint, standing);
    return standing;
  }

  #whyOut(standing: Standing, now: number): EjectionReason | undefined {
    if (standing.failedAt !== undefined) {
      if (now < standing.failedAt + this.#failureMemoryMillis) return 'unreachable';
      this.#comesBack(standing, standing.failedAt + this.#failureMemoryMillis);
    }
    const { vitals } = standing;
    if (vitals.ejectedAt === undefined) return undefined;
    if (vitals.isEjected(now)) return vitals.reason;
    this.#comesBack(standing, vitals.ejectedUntil);
    return undefined;
  }

  #isOut(standing: Standing, now: number): boolean {
    return this.#whyOut(standing, now) !== undefined;
  }

  #comesBack(standing: Standing, at: number): void {
    const wasBrief = standing.failedAt !== undefined && at - standing.outSince < this.#slowStartMillis * slowestStart;
    standing.failedAt = undefined;
    if (!standing.vitals.isEjected(at)) standing.vitals.ejectedAt = undefined;
    if (!wasBrief) standing.startedAt = at;
    standing.credit = 0;
    this.#tell({ endpoint: standing.endpoint, ejected: undefined, forMillis: undefined });
  }

  // 0 if it should get nothing.
  #weightNow(standing: Standing, now: number): number {
    if (standing.weight === 0 || this.#isOut(standing, now)) return 0;
    const sofar = this.#slowStartMillis === 0 ? 1 : (now - standing.startedAt) / this.#slowStartMillis;
    return standing.weight * Math.min(1, Math.max(slowestStart, sofar));
  }

  // Smooth weighted round robin, over all that have connections: one without an idle connection gets its turn later.
  #giveCredit(usable: readonly Endpoint[], now: number): void {
    const isBusy = this.#balancing === 'least-connections' ? 1 : 0;
    const standings = usable.map((endpoint) => this.#standingOf(endpoint));
    for (const standing of this.#present) {
      if (standing.connections === 0 || standings.includes(standing)) continue;
      // A silent one does not get later what it misses now.
      if (standing.isSilent(now)) standing.credit = 0;
      else standings.push(standing);
    }
    let total = 0;
    for (const standing of standings) {
      standing.due = this.#weightNow(standing, now) / (1 + isBusy * standing.inFlight);
      total += standing.due;
    }
    for (const standing of standings) {
      standing.credit = standing.due === 0 ? 0 : Math.min(standing.credit + standing.due / total, mostCredit);
    }
  }

  // Weight 0 before an ejected one, that before a failed one, and of those the one that failed longest ago.
  #leastBad(endpoints: readonly Endpoint[], now: number): Endpoint | undefined {
    const badness = (endpoint: Endpoint) => {
      const standing = this.#standingOf(endpoint);
      const why = this.#whyOut(standing, now);
      if (why === undefined) return -2;
      return why === 'unreachable' ? standing.failureNumber : -1;
    };
    let [best] = endpoints;
    for (const each of endpoints) if (best !== undefined && badness(each) < badness(best)) best = each;
    return best;
  }

  #sweep(now: number): void {
    const ejections = this.#outliers?.sweep(
      now,
      () => this.#present,
      (standing) => standing.weight > 0 && standing.failedAt === undefined,
    );
    for (const { member, reason, millis } of ejections ?? []) {
      member.credit = 0;
      this.#tell({ endpoint: member.endpoint, ejected: reason, forMillis: millis });
    }
  }

  // Addresses come and go: a name may have had thousands.
  #forgetTheGone(now: number): void {
    if (this.#standings.size <= this.#present.length + rememberedGone) return;
    for (const [key, standing] of this.#standings) {
      const isGone = !this.#present.includes(standing) && standing.inFlight === 0 && !this.#isOut(standing, now);
      if (!isGone) continue;
      standing.isForgotten = true;
      this.#standings.delete(key);
    }
  }

  #tell(change: BalancerChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

/** What is known about one endpoint. */
class Standing {
  /** As it was last given. */
  endpoint: Endpoint;
  readonly key: string;
  weight: number;
  readonly vitals = new Vitals();
  isForgotten = false;
  /** When its slow start began. */
  startedAt: number;
  connections = 0;
  inFlight = 0;
  /** Answers that it owes, and when it last gave one, or began to owe one. */
  owed = 0;
  heardAt = 0;
  answered = 0;
  failed = 0;
  failedRequests = 0;
  latencyMillis: number | undefined;
  /** When it last failed, and when it first did since it worked. */
  failedAt: number | undefined;
  outSince = 0;
  failureNumber = 0;
  /** What round robin owes it: requests, and connections. */
  credit = 0;
  turns = 0;
  /** What this request adds to its credit. */
  due = 0;

  constructor(endpoint: Endpoint, key: string, weight: number, startedAt: number) {
    this.endpoint = endpoint;
    this.key = key;
    this.weight = weight;
    this.startedAt = startedAt;
  }

  isSilent(now: number): boolean {
    return this.owed > 0 && now - this.heardAt > longestSilenceMillis;
  }

  tookMillis(millis: number): void {
    this.answered += 1;
    this.vitals.answered += 1;
    this.vitals.millis += millis;
    this.latencyMillis ??= millis;
    this.latencyMillis += (millis - this.latencyMillis) * latencySmoothing;
  }
}

/** An endpoint to arrange. */
interface Row {
  readonly endpoint: Endpoint;
  readonly standing: Standing;
  readonly weight: number;
  readonly isOut: boolean;
}

const arrange: Record<Balancing, (rows: Row[], random: Random) => Row[]> = {
  ordered: (rows) => rows,
  random: (rows, random) => shuffled(rows, random),
  // Smooth weighted round robin. DNS servers shuffle their answers, so turns are only fair over an order of our own.
  'round-robin': (rows) => {
    const total = rows.reduce((sum, { weight }) => sum + weight, 0);
    for (const { standing, weight } of rows) standing.turns = weight === 0 ? 0 : standing.turns + weight / total;
    const sorted = rows.sort(
      (one, other) =>
        rounded(other.standing.turns - one.standing.turns) || (one.standing.key < other.standing.key ? -1 : 1),
    );
    const [first] = sorted;
    if (first !== undefined && first.weight > 0) first.standing.turns -= 1;
    return sorted;
  },
  'least-connections': (rows, random) => shuffled(rows, random).sort((one, other) => load(one) - load(other)),
};

// Sums of thirds are not exact.
function rounded(difference: number): number {
  return Math.abs(difference) < 1e-9 ? 0 : difference;
}

function load({ standing, weight }: Row): number {
  return weight === 0 ? Number.MAX_VALUE : standing.connections / weight;
}

// In order: usable ones, those with weight 0, ejected ones, failed ones.
function placeOf({ standing, isOut }: Row): number {
  if (standing.failedAt !== undefined) return standing.failureNumber;
  if (isOut) return -1;
  return standing.weight === 0 ? -2 : -3;
}

/** Draws one after the other, with chances by weight (with equal weights: a uniform shuffle). */
function shuffled(rows: readonly Row[], random: Random): Row[] {
  const rest = [...rows];
  const result: Row[] = [];
  while (rest.length > 0) {
    const next = drawn(rest, ({ weight }) => weight, random);
    rest.splice(rest.indexOf(next), 1);
    result.push(next);
  }
  return result;
}

/** If all weights are 0, any. */
function drawn<T>(list: readonly T[], weightOf: (each: T) => number, random: Random): T {
  const total = list.reduce((sum, each) => sum + weightOf(each), 0);
  let point = random() * (total || list.length);
  for (const each of list) {
    point -= total === 0 ? 1 : weightOf(each);
    if (point < 0) return each;
  }
  return list[list.length - 1] as T;
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address} ${endpoint.port}`;
}

const anEndpoint = objectOf({ address: aText, port: aNumber() });
const aWeight = aNumber({ least: 0, most: Number.MAX_SAFE_INTEGER });

const defaultFailureMemoryMillis = 10_000;
/** A share of 0 would never be seen to work. */
const slowestStart = 0.1;
/** An endpoint that could not be chosen for long does not get all of that time back. */
const mostCredit = 8;
const latencySmoothing = 0.05;
const longestSilenceMillis = 500;
const rememberedGone = 64;
