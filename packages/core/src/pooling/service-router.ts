import { setMaxListeners } from 'node:events';
import { inBackground } from '../background.ts';
import { type BackoffBounds, backoffMillis } from '../backoff.ts';
import type { Clock, Random } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { DeadlineError, InvalidArgumentError } from '../errors.ts';
import { aNumber, either, oneOf } from '../shape.ts';
import {
  type BalancedService,
  type BalancedServiceStatus,
  type EjectionReason,
  type RequestResult,
  ServiceBalancer,
  type ServiceBalancerOptions,
} from '../targets/index.ts';

/** When callers of a pool over several Services go on to another one, and when they come back. */
export interface ServiceRoutingOptions {
  /**
   * How long a Service that failed must have worked again before it gets work again. It is looked at in the background. Milliseconds;
   * `'by-hand'`: it gets none until `failback()` is called, not even if all others fail: for a database whose old primary must not be
   * written to only because it answers. @defaultValue 30000
   */
  failbackAfterMillis?: number | 'by-hand' | undefined;
  /** How long a caller waits for a connection to one Service before the next one is tried. Milliseconds. @defaultValue 500 */
  tryNextAfterMillis?: number | undefined;
  /** How long a caller waits for a Service that serves. Milliseconds; 0 tries each once. @defaultValue 30000 */
  failoverTimeoutMillis?: number | undefined;
}

/** Checked and complete. @internal */
export interface RoutingSettings
  extends Required<ServiceRoutingOptions>,
    Pick<ServiceBalancerOptions, 'balancing' | 'slowStartMillis' | 'outlierDetection'> {
  readonly services: readonly BalancedService[];
  readonly failbackAfterMillis: number | 'by-hand';
  readonly tryNextAfterMillis: number;
  readonly failoverTimeoutMillis: number;
}

/**
 * Checks what a pool over several Services has of its own.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 * @internal
 */
export function routingSettings(
  given: ServiceRoutingOptions & Omit<RoutingSettings, keyof ServiceRoutingOptions | 'services'>,
  services: readonly Pick<BalancedService, 'weight'>[],
): Omit<RoutingSettings, 'services'> {
  const { failbackAfterMillis = 30_000, tryNextAfterMillis = 500, failoverTimeoutMillis = 30_000 } = given;
  const { balancing = 'round-robin', slowStartMillis = 10_000, outlierDetection = {} } = given;
  either(oneOf('by-hand'), aNumber({ least: 0, unit: 'milliseconds' }))('failbackAfterMillis', failbackAfterMillis);
  aNumber({ above: 0, unit: 'milliseconds' })('tryNextAfterMillis', tryNextAfterMillis);
  aNumber({ least: 0, unit: 'milliseconds' })('failoverTimeoutMillis', failoverTimeoutMillis);
  if (services.length > 0 && services.every(({ weight }) => weight === 0)) {
    throw new InvalidArgumentError('services', 'none gets work: give at least one a weight above 0');
  }
  const balanced = { balancing, slowStartMillis, outlierDetection };
  return { ...balanced, failbackAfterMillis, tryNextAfterMillis, failoverTimeoutMillis };
}

/** What a {@link ServiceRouter} needs of the one who made it. @internal */
export interface RouterHost<Connection> {
  /** How one of the Services is doing. */
  member(name: string): RoutedMember;
  /** Asks one for a connection. `budgetMillis`: how long it may take; `signal`: it is not wanted any more. */
  ask(
    name: string,
    call: RoutedCall<Connection>,
    wait: { readonly budgetMillis: number | undefined; readonly signal: AbortSignal },
    answer: (error: unknown, connection?: Connection) => void,
  ): void;
  /**
   * What an error of `ask()` says: the Service does not serve, is busy, or lets no more callers wait (`full`); or the caller is to blame. The
   * last two give no reason to wait.
   */
  judge(name: string, error: unknown): 'outage' | 'busy' | 'full' | 'caller';
  /** Makes the error of a caller that no Service served in time. */
  timedOut(budgetMillis: number | undefined, cause: unknown): Error;
  /** Why callers are served no more, if that is so. */
  ended(): Error | undefined;
  /** A Service gets no calls any more, and why; or gets them again (`undefined`). */
  changed(service: string, ejected: EjectionReason | undefined): void;
  /** Between the rounds of a caller in which no Service served. */
  readonly pauses: BackoffBounds;
  readonly clock: Clock;
  readonly random: Random;
}

/** One of the Services that a {@link ServiceRouter} chooses from. @internal */
export interface RoutedMember {
  /** Whether nothing speaks against it. */
  readonly serving: boolean;
  /** Whether it takes no callers any more. */
  readonly ending: boolean;
  /** Whether it lets all callers wait: it is paused. */
  readonly held: boolean;
  /** Whether callers wait there. */
  prove(signal: AbortSignal): Promise<void>;
}

/** A caller that needs a connection. @internal */
export interface RoutedCall<Connection> {
  /** Within what time, in milliseconds; `undefined` sets no limit. */
  readonly budgetMillis: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** `end` is to be called with the result of the work on it. */
  deliver(connection: Connection, endOf: (awaitsAnswer: boolean) => (result: RequestResult) => void): void;
  refuse(error: unknown): void;
}

/**
 * Brings callers to one of several Services that do the same work: by priority, and by weight among equals; and to the next one if that
 * fails, or has no connection to give in time. A Service that failed is left, also by those who wait there, until it has worked for a
 * stable time, or until it is given back by hand.
 *
 * @internal
 */
export class ServiceRouter<Connection> {
  readonly #settings: RoutingSettings;
  readonly #host: RouterHost<Connection>;
  readonly #services: ServiceBalancer;
  /** Fires when a Service is set aside. */
  readonly #leaving = new Map<string, AbortController>();
  /** Calls that have no answer yet. */
  #onTheWay = 0;
  #ending: { readonly reason: Error; readonly resolve: () => void } | undefined;

  constructor(settings: RoutingSettings, host: RouterHost<Connection>) {
    this.#settings = settings;
    this.#host = host;
    const { services, balancing, slowStartMillis, outlierDetection, failbackAfterMillis } = settings;
    const failback = this.#isByHand
      ? ({ stableMillis: 1, comeBackAfterMillis: 'by-hand' } as const)
      : {
          stableMillis: Math.max(1, Number(failbackAfterMillis)),
          comeBackAfterMillis: 1_000,
          longestComeBackMillis: 30_000,
        };
    const options = { balancing, slowStartMillis, outlierDetection, ...failback };
    this.#services = new ServiceBalancer(services, options, { clock: host.clock, random: host.random });
    this.#services.subscribe((service, ejected) => host.changed(service, ejected));
  }

  status(): readonly BalancedServiceStatus[] {
    return this.#services.status();
  }

  /** Gives a Service that failed its work back at once. */
  failback(name: string): void {
    this.#services.succeeded(name);
  }

  /** Serves a caller, now or later. */
  route(call: RoutedCall<Connection>): void {
    const { budgetMillis } = call;
    const deadlineAt = budgetMillis === undefined ? Number.POSITIVE_INFINITY : this.#host.clock.now() + budgetMillis;
    this.#probe();
    this.#onTheWay += 1;
    this.#route({ call, deadlineAt, tried: new Set(), rounds: 0, isWorthWaiting: false, isCrowded: false });
  }

  /**
   * No call comes any more. Calls on their way are served as before, but wait no longer for a Service that does not serve.
   * Resolves when all have their answer; `undefined` if there are none.
   *
   * @param reason what calls are refused with
   */
  end(reason: Error): Promise<void> | undefined {
    if (this.#onTheWay === 0) return undefined;
    return new Promise((resolve) => {
      this.#ending = { reason, resolve };
    });
  }

  get #isByHand(): boolean {
    return this.#settings.failbackAfterMillis === 'by-hand';
  }

  // To the first choice; if that has no connection to give in time, to the next one.
  #route(way: Way<Connection>): void {
    const { call, deadlineAt, tried } = way;
    const ended = this.#host.ended();
    const isOver = ended !== undefined || call.signal?.aborted === true;
    const name = isOver ? undefined : this.#choose(tried);
    if (name === undefined) {
      if (isOver) this.#refuse(call, ended ?? call.signal?.reason);
      else this.#routeLater(way);
      return;
    }
    tried.add(name);
    const { services, tryNextAfterMillis } = this.#settings;
    const patienceMillis = services.length > 1 ? tryNextAfterMillis * 2 ** way.rounds : deadlineAt;
    const budgetMillis = Math.min(deadlineAt - this.#host.clock.now(), patienceMillis);
    const { signal: leaving } = this.#leavingOf(name);
    const wait = {
      budgetMillis: Number.isFinite(budgetMillis) ? budgetMillis : undefined,
      signal: call.signal === undefined ? leaving : AbortSignal.any([call.signal, leaving]),
    };
    this.#host.ask(name, call, wait, (error, connection) => {
      if (connection === undefined) this.#failed(way, name, error);
      else this.#deliver(way, name, connection);
    });
  }

  // What the balancer says; of those set aside, one that serves, as far as it knows. One that is paused comes after all that serve.
  #choose(tried: ReadonlySet<string>): string | undefined {
    const names = this.#services.order().filter((name) => {
      const isKept = this.#isByHand && this.#services.isSetAside(name);
      return !tried.has(name) && !isKept && !this.#host.member(name).ending;
    });
    const serves = (name: string, isHeldToo: boolean) => {
      const { held, serving } = this.#host.member(name);
      return (isHeldToo || !held) && (serving || !this.#services.isSetAside(name));
    };
    return names.find((name) => serves(name, false)) ?? names.find((name) => serves(name, true)) ?? names[0];
  }

  #failed(way: Way<Connection>, name: string, error: unknown): void {
    const isLeft = error instanceof ServiceLeft;
    const verdict = isLeft ? 'busy' : this.#host.judge(name, error);
    if (verdict === 'outage' && !way.call.signal?.aborted) this.#setAside(name, error);
    way.isWorthWaiting ||= verdict === 'outage' || verdict === 'busy';
    way.isCrowded ||= verdict === 'busy' && !isLeft;
    way.lastError = isLeft ? error.cause : error;
    this.#route(way);
  }

  #setAside(name: string, cause: unknown): void {
    const others = this.#settings.services.filter(
      (each) => each.name !== name && !this.#services.isSetAside(each.name),
    );
    // By hand, the last one stays: nothing else may be used instead.
    if (this.#isByHand && others.length === 0) return;
    this.#services.failed(name);
    // Callers that wait there go on to the next one.
    const leaving = this.#leavingOf(name);
    this.#leaving.delete(name);
    leaving.abort(new ServiceLeft(name, { cause }));
  }

  // All were tried.
  #routeLater(way: Way<Connection>): void {
    const { call, deadlineAt, lastError } = way;
    const { clock, random, pauses, timedOut } = this.#host;
    way.rounds += 1;
    const pauseMillis = backoffMillis(way.rounds, pauses, random);
    const isInTime = clock.now() + pauseMillis < deadlineAt;
    if (!way.isWorthWaiting || this.#settings.failoverTimeoutMillis === 0) {
      this.#refuse(call, lastError ?? timedOut(call.budgetMillis, lastError));
    } else if (this.#refuseAtEnd(way)) {
      return;
    } else if (isInTime) {
      clock.schedule(() => {
        if (this.#refuseAtEnd(way)) return;
        way.tried.clear();
        way.isWorthWaiting = false;
        way.isCrowded = false;
        this.#route(way);
      }, pauseMillis);
    } else {
      this.#refuse(call, timedOut(call.budgetMillis, lastError));
    }
  }

  // A connection that is in use comes back. A Service that does not serve may never do.
  #refuseAtEnd({ call, isCrowded }: Way<Connection>): boolean {
    if (this.#ending === undefined || isCrowded) return false;
    this.#refuse(call, this.#ending.reason);
    return true;
  }

  #deliver({ call }: Way<Connection>, name: string, connection: Connection): void {
    if (this.#services.isSetAside(name)) this.#services.probed(name);
    try {
      call.deliver(connection, (awaitsAnswer) => this.#services.requested(name, awaitsAnswer));
    } finally {
      this.#answered();
    }
  }

  #refuse(call: RoutedCall<Connection>, error: unknown): void {
    try {
      call.refuse(error);
    } finally {
      this.#answered();
    }
  }

  #answered(): void {
    this.#onTheWay -= 1;
    if (this.#onTheWay === 0) this.#ending?.resolve();
  }

  // Tries the Services that failed, for no caller.
  #probe(): void {
    for (const name of this.#services.toProbe()) {
      const proof = () =>
        withDeadline((signal) => this.#host.member(name).prove(signal), {
          timeoutMillis: probeTimeoutMillis,
          onTimeout: () => new DeadlineError(`looking whether ${name} serves again`, probeTimeoutMillis),
          clock: this.#host.clock,
          background: true,
        });
      inBackground(proof).then(
        () => this.#services.probed(name),
        () => this.#services.failed(name),
      );
    }
  }

  #leavingOf(name: string): AbortController {
    let leaving = this.#leaving.get(name);
    if (leaving === undefined) {
      leaving = new AbortController();
      // Each caller listens to it while it waits.
      setMaxListeners(0, leaving.signal);
      this.#leaving.set(name, leaving);
    }
    return leaving;
  }
}

/** Why a caller does not wait for that Service any longer. */
class ServiceLeft extends Error {}

/** A call on its way to a Service. */
interface Way<Connection> {
  readonly call: RoutedCall<Connection>;
  readonly deadlineAt: number;
  /** The Services that were tried in this round. */
  readonly tried: Set<string>;
  rounds: number;
  /** Whether a failure of this round may pass. */
  isWorthWaiting: boolean;
  /** Whether a Service of this round serves, but has all its connections in use. */
  isCrowded: boolean;
  lastError?: unknown;
}

const probeTimeoutMillis = 1_000;
