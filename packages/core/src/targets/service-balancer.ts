import type { Clock, Random } from '../clock.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { InvalidArgumentError } from '../errors.ts';
import { describeValue, ownOptions } from '../input.ts';
import { aNumber, aText, checkOptions, either, listOf, oneOf, optional, optionsOf } from '../shape.ts';

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
  readonly #dependencies: { readonly clock: Clock; readonly random: Random };
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
      comeBackAfterMillis: optional(either(oneOf('by-hand'), aNumber({ least: 0 }))),
      longestComeBackMillis: optional(aNumber({ least: 0 })),
    });
    const options = ownOptions(given);
    const { comeBackAfterMillis = defaultComeBackMillis } = options;
    const after = comeBackAfterMillis === 'by-hand' ? Number.POSITIVE_INFINITY : comeBackAfterMillis;
    const longest = options.longestComeBackMillis ?? Math.max(defaultLongestComeBackMillis, after);
    if (!(longest >= after)) {
      throw new InvalidArgumentError('longestComeBackMillis', `${longest} is less than comeBackAfterMillis`);
    }
    this.#services = settingsOf(services);
    this.#comeBackAfterMillis = after;
    this.#longestComeBackMillis = longest;
    this.#dependencies = dependenciesOf(dependencies);
  }

  /**
   * The names of all services, the first choice first. A failed service whose pause is over returns to its place for this one
   * call. Other callers do not get it first until its outcome is reported.
   */
  order(): readonly string[] {
    const { clock, random } = this.#dependencies;
    const now = clock.now();
    const inTheirPlace: Settings[] = [];
    const last: SetAside[] = [];
    for (const service of this.#services) {
      const aside = this.#setAside.get(service.name);
      if (aside === undefined) inTheirPlace.push(service);
      else if (now < aside.until) last.push(aside);
      else {
        inTheirPlace.push(service);
        // If the caller never reports the outcome, the next caller tries it after the same time.
        this.#setAside.set(service.name, { ...aside, until: now + aside.pauseMillis });
      }
    }
    // The one that failed longest ago is most likely to be back.
    last.sort((one, other) => one.failedAt - other.failedAt);
    return [...byPriorityAndWeight(inTheirPlace, random), ...last.map((aside) => aside.name)];
  }

  /** Reports that the Service could not do the work. It now comes last. */
  failed(name: string): void {
    const aside = this.#setAside.get(this.#known(name));
    const now = this.#dependencies.clock.now();
    // Many callers see one failure. Only a failed retry makes the pause longer.
    const again = aside !== undefined && now >= aside.failedAt + aside.pauseMillis;
    const doubled = again ? Math.min(aside.pauseMillis * 2, this.#longestComeBackMillis) : aside?.pauseMillis;
    const pauseMillis = doubled ?? this.#comeBackAfterMillis;
    this.#setAside.set(name, { name, failedAt: now, pauseMillis, until: now + pauseMillis });
  }

  /** Reports that the Service did the work. It returns to its place. Operators also call this to bring it back by hand. */
  succeeded(name: string): void {
    this.#setAside.delete(this.#known(name));
  }

  #known(name: string): string {
    if (this.#services.some((service) => service.name === name)) return name;
    throw new InvalidArgumentError('name', `must be one of the services, got ${describeValue(name)}`);
  }
}

type Settings = { readonly [K in keyof BalancedService]-?: NonNullable<BalancedService[K]> };

interface SetAside {
  readonly name: string;
  readonly failedAt: number;
  readonly pauseMillis: number;
  /** When the Service may be tried first again. */
  readonly until: number;
}

function settingsOf(services: readonly BalancedService[]): readonly Settings[] {
  if (services.length === 0) throw new InvalidArgumentError('services', 'must name at least one Service');
  const names = new Set(services.map((service) => service.name));
  if (names.size < services.length) throw new InvalidArgumentError('services', 'two have the same name');
  return services.map(({ name, priority = 0, weight = 1 }) => ({ name, priority, weight }));
}

/** RFC 2782: the lowest priority first. Equals are drawn one by one, with chances by their weights. */
function byPriorityAndWeight(services: readonly Settings[], random: Random): readonly string[] {
  const rest = [...services].sort((one, other) => one.priority - other.priority);
  const names: string[] = [];
  for (let [first] = rest; first !== undefined; [first] = rest) {
    const priority = first.priority;
    const equals = rest.filter((service) => service.priority === priority);
    const chosen = drawn(equals, random);
    rest.splice(rest.indexOf(chosen), 1);
    names.push(chosen.name);
  }
  return names;
}

function drawn(services: readonly Settings[], random: Random): Settings {
  // A weight of 0 keeps a very small chance, as the RFC demands.
  const weights = services.map((service) => Math.max(service.weight, smallestWeight));
  let point = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.findIndex((weight) => {
    point -= weight;
    return point < 0;
  });
  const [last] = services.slice(-1);
  const chosen = services[index] ?? last;
  if (chosen === undefined) throw new Error('nothing to draw from');
  return chosen;
}

const aShare = aNumber({ least: 0, most: 65_535, whole: true });
const aService = optionsOf<BalancedService>({ name: aText, priority: optional(aShare), weight: optional(aShare) });

const defaultComeBackMillis = 30_000;
const defaultLongestComeBackMillis = 300_000;
const smallestWeight = 0.001;
