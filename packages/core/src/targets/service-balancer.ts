import type { Clock } from '../clock.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { InvalidArgumentError } from '../errors.ts';
import { checkFunction, describeValue, ownOptions } from '../input.ts';
import { aNumber, anything, aText, checkOptions, either, listOf, oneOf, optional, optionsOf } from '../shape.ts';
import { Balancer, type Balancing, type EndpointStatus, type RequestResult } from './balancer.ts';
import type { Endpoint } from './endpoint.ts';
import type { EjectionReason, OutlierDetectionOptions } from './outlier-detection.ts';
import { RetryPause } from './retry-pause.ts';
import type { Target } from './target-source.ts';

/** One of several Services (or sources, or hosts) that can do the same work. */
export interface BalancedService {
  /** Identifies the Service among the others. */
  name: string;
  /** The lowest number is preferred; others are fallbacks (RFC 2782). 0 to 65535. @defaultValue 0 */
  priority?: number | undefined;
  /** Its share among Services of the same priority; with 0 it is hardly ever first (RFC 2782). 0 to 65535. @defaultValue 1 */
  weight?: number | undefined;
}

/** See {@link ServiceBalancer}. */
export interface ServiceBalancerOptions {
  /** Which of several Services with the same priority comes first; shares are by weight. @defaultValue 'random' */
  balancing?: Balancing | undefined;
  /**
   * When a failed Service is preferred again.
   *
   * - milliseconds: after that time one caller tries it first. If that fails, too, the time doubles, up to
   *   `longestComeBackMillis`.
   * - `'by-hand'`: only after {@link ServiceBalancer.succeeded} is called for it. For a database whose old primary must not be
   *   written to again only because it answers.
   *
   * @defaultValue 30000
   */
  comeBackAfterMillis?: number | 'by-hand' | undefined;
  /** Milliseconds. @defaultValue 300000, or `comeBackAfterMillis` if that is more */
  longestComeBackMillis?: number | undefined;
  /**
   * How long a failed Service must have worked again before it returns to its place. With a time above 0 no caller tries it:
   * {@link ServiceBalancer.toProbe} says when to look at it. Milliseconds. @defaultValue 0
   */
  stableMillis?: number | undefined;
  /** How long a Service that returns takes to get its full share; see `Balancer`. Milliseconds. @defaultValue 0 */
  slowStartMillis?: number | undefined;
  /** Ejects Services whose requests fail or are slow, as reported by {@link ServiceBalancer.requested}. @defaultValue false */
  outlierDetection?: OutlierDetectionOptions | false | undefined;
}

/** What a {@link ServiceBalancer} knows about a Service. */
export interface BalancedServiceStatus extends Omit<EndpointStatus, 'address' | 'port' | 'connections'> {
  /** The Service. */
  readonly name: string;
  /** Its priority. */
  readonly priority: number;
  /** Whether it failed and waits to come back, although it may work again already. */
  readonly setAside: boolean;
}

/**
 * Decides in which order to try several Services: by priority, and by weight among equals. Failed ones come last until a rule
 * brings them back. It has no timers.
 *
 * @example
 * ```ts
 * const services = new ServiceBalancer([{ name: 'webscaler-db' }, { name: 'webscaler-db-dr', priority: 1 }]);
 * for (const service of services.order()) { ... } // then services.succeeded(service) or services.failed(service)
 * ```
 */
export class ServiceBalancer {
  readonly #services: readonly Settings[];
  readonly #comeBackAfterMillis: number;
  readonly #longestComeBackMillis: number;
  readonly #stableMillis: number;
  readonly #clock: Clock;
  /** Services as endpoints: strategy, weights, slow start and outliers are the same for both. */
  readonly #balancer: Balancer;
  /** The services that failed last time. */
  readonly #setAside = new Map<string, SetAside>();

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
  constructor(
    services: readonly BalancedService[],
    given: ServiceBalancerOptions = {},
    dependencies: Dependencies = {},
  ) {
    listOf(aService)('services', services);
    checkOptions(given, {
      // Checked by the class that takes them.
      balancing: anything,
      comeBackAfterMillis: optional(either(oneOf('by-hand'), aNumber({ least: 0 }))),
      longestComeBackMillis: optional(aNumber({ least: 0 })),
      stableMillis: optional(aNumber({ least: 0 })),
      slowStartMillis: anything,
      outlierDetection: anything,
    });
    const options = ownOptions(given);
    const { comeBackAfterMillis = defaultComeBackMillis } = options;
    const after = comeBackAfterMillis === 'by-hand' ? Number.POSITIVE_INFINITY : comeBackAfterMillis;
    const longest = options.longestComeBackMillis ?? Math.max(defaultLongestComeBackMillis, after);
    if (!(longest >= after)) {
      throw new InvalidArgumentError('longestComeBackMillis', `${longest} is less than comeBackAfterMillis`);
    }
    const { clock, random } = dependenciesOf(dependencies);
    const { balancing = 'random', slowStartMillis, outlierDetection } = options;
    const all = settingsOf(services);
    this.#services = all;
    this.#comeBackAfterMillis = after;
    this.#longestComeBackMillis = longest;
    this.#stableMillis = options.stableMillis ?? 0;
    this.#clock = clock;
    this.#balancer = new Balancer(
      {
        balancing,
        slowStartMillis,
        outlierDetection,
        // A weight of 0 keeps a very small chance, as the RFC demands.
        weightOf: ({ address }) => Math.max(all.find(({ name }) => name === address)?.weight ?? 1, smallestWeight),
        failureMemoryMillis: Number.POSITIVE_INFINITY,
      },
      { clock, random },
    );
    // Otherwise each would be new when it is first used.
    this.#balancer.order(all.map(({ endpoint }) => endpoint));
  }

  /**
   * The names of all services, the first choice first. A failed service whose pause is over returns to its place for this one
   * call. Other callers do not get it first until its outcome is reported.
   */
  order(): readonly string[] {
    const now = this.#clock.now();
    const inTheirPlace: Settings[] = [];
    const ejected: Settings[] = [];
    const last: SetAside[] = [];
    for (const service of this.#services) {
      const aside = this.#setAside.get(service.name);
      if (aside === undefined) inTheirPlace.push(service);
      else if (this.#stableMillis > 0 || !aside.pause.isOver(now)) last.push(aside);
      else {
        inTheirPlace.push(service);
        // If the caller never reports the outcome, the next caller tries it after the same time.
        aside.pause.tried(now);
      }
    }
    // The one that failed longest ago is most likely to be back.
    last.sort((one, other) => one.pause.failedAt - other.pause.failedAt);
    const names: string[] = [];
    for (const priority of new Set(inTheirPlace.map((service) => service.priority))) {
      const equals = inTheirPlace.filter((service) => service.priority === priority);
      const endpoints = equals.map(({ endpoint }) => endpoint);
      const shares = this.#balancer.shares(endpoints);
      const chosen = this.#balancer.pick(endpoints);
      const usable = equals.filter((_, index) => shares[index] !== 0);
      for (const { endpoint, name } of usable) if (endpoint === chosen) names.push(name);
      for (const { endpoint, name } of usable) if (endpoint !== chosen) names.push(name);
      ejected.push(...equals.filter((_, index) => shares[index] === 0));
    }
    return [...names, ...ejected.map(({ name }) => name), ...last.map(({ name }) => name)];
  }

  /** Reports that the Service could not do the work. It now comes last. */
  failed(name: string): void {
    const { endpoint } = this.#known(name);
    const aside = this.#setAside.get(name);
    const now = this.#clock.now();
    const pause = aside?.pause ?? new RetryPause(now, this.#comeBackAfterMillis, this.#longestComeBackMillis);
    if (aside !== undefined) pause.failed(now);
    this.#setAside.set(name, { name, pause, worksSince: undefined });
    // Without a stable time, callers try it: it must have its share then.
    if (this.#stableMillis > 0) this.#balancer.failed(endpoint);
  }

  /** Reports that the Service did the work. It returns to its place. Operators also call this to bring it back by hand. */
  succeeded(name: string): void {
    const { endpoint } = this.#known(name);
    this.#setAside.delete(name);
    this.#balancer.succeeded(endpoint);
  }

  /**
   * With `stableMillis`: the failed services to look at now, for no caller. Report each result by {@link probed}. A service is named
   * again when it is time for the next look.
   */
  toProbe(): readonly string[] {
    const now = this.#clock.now();
    const due = [...this.#setAside.values()].filter(({ pause }) => this.#stableMillis > 0 && pause.isOver(now));
    for (const { pause } of due) pause.tried(now, this.#stableMillis / looksUntilStable);
    return due.map(({ name }) => name);
  }

  /** Reports that a set aside Service was seen to work, for no caller. It returns when it has worked for `stableMillis`. */
  probed(name: string): void {
    this.#known(name);
    const aside = this.#setAside.get(name);
    if (aside === undefined) return;
    // By hand: whether it works does not matter.
    if (aside.pause.isEndless) return;
    const now = this.#clock.now();
    aside.worksSince ??= now;
    if (now - aside.worksSince >= this.#stableMillis) this.succeeded(name);
    else aside.pause.tried(now, this.#stableMillis / looksUntilStable);
  }

  /** Whether it failed and waits to come back. */
  isSetAside(name: string): boolean {
    return this.#setAside.has(name);
  }

  /** Counts a request until the returned function is called with its result; see `Balancer.requested()`. */
  requested(name: string, awaitsAnswer = true): (result: RequestResult) => void {
    return this.#balancer.requested(this.#known(name).endpoint, awaitsAnswer);
  }

  /** What is known about each Service. */
  status(): readonly BalancedServiceStatus[] {
    const known = this.#balancer.status();
    return this.#services.flatMap(({ name, priority, weight }) =>
      known
        .filter(({ address }) => address === name)
        .map(({ address: _, port: __, connections: ___, ...rest }) => {
          return { ...rest, name, priority, weight, setAside: this.#setAside.has(name) };
        }),
    );
  }

  /**
   * Calls `listener` with the name of each Service that gets no requests any more, and why, or that gets them again (`undefined`).
   * Returns the function that ends it.
   */
  subscribe(listener: (name: string, ejected: EjectionReason | undefined) => void): () => void {
    checkFunction('listener', listener);
    return this.#balancer.subscribe(({ endpoint, ejected }) => listener(endpoint.address, ejected));
  }

  #known(name: string): Settings {
    const found = this.#services.find((service) => service.name === name);
    if (found !== undefined) return found;
    throw new InvalidArgumentError('name', `must be one of the services, got ${describeValue(name)}`);
  }
}

interface Settings {
  readonly name: string;
  readonly priority: number;
  readonly weight: number;
  readonly endpoint: Endpoint;
}

interface SetAside {
  readonly name: string;
  /** Until it may be tried first, or looked at, again. */
  readonly pause: RetryPause;
  /** Since when every look has found that it works. */
  worksSince: number | undefined;
}

function settingsOf(services: readonly BalancedService[]): readonly Settings[] {
  if (services.length === 0) throw new InvalidArgumentError('services', 'must name at least one Service');
  const names = new Set(services.map((service) => service.name));
  if (names.size < services.length) throw new InvalidArgumentError('services', 'two have the same name');
  return services
    .map(({ name, priority = 0, weight = 1 }) => ({ name, priority, weight, endpoint: asEndpoint(name) }))
    .sort((one, other) => one.priority - other.priority);
}

function asEndpoint(name: string): Endpoint {
  const target: Target = { externalName: name, via: [], version: '', source: 'static', stale: false };
  return { target, address: name, family: 4, port: 0 };
}

const aShare = aNumber({ least: 0, most: 65_535, whole: true });
const aService = optionsOf<BalancedService>({ name: aText, priority: optional(aShare), weight: optional(aShare) });

const defaultComeBackMillis = 30_000;
const defaultLongestComeBackMillis = 300_000;
const smallestWeight = 0.001;
/** A Service that returns after a stable time is looked at this often meanwhile. */
const looksUntilStable = 4;
