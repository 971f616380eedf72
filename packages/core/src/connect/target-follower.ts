import { inBackground } from '../background.ts';
import { backoffMillis } from '../backoff.ts';
import type { Clock } from '../clock.ts';
import { abortable, sleep, withDeadline } from '../deadline.ts';
import { ClosedError, DeadlineError } from '../errors.ts';
import type { PlannedSwitch, Target, TargetPolicy, TargetSource } from '../targets/index.ts';

/**
 * What a failed attempt says about the target.
 *
 * @internal
 */
export interface CandidateFailure {
  /** Failures of the same kind are reported once. */
  readonly kind: string;
  /**
   * - `unfit`: the host is as useless as one that has failed (no such host, a certificate for another name, refused credentials).
   * - `not-ready`: the host proved its name, but cannot serve yet.
   * - `no-answer`: anything else.
   */
  readonly verdict: 'unfit' | 'not-ready' | 'no-answer';
  /** Whether people must fix it: then the pauses between attempts grow. */
  readonly isLasting: boolean;
}

/**
 * What the follower asks of its host, for example a pool. The follower calls the host outside every call that the host makes to it,
 * because the pool's reaction to a move must not interrupt what the pool was doing when it reported that its server was lost.
 *
 * @internal
 */
export interface FollowerHost {
  /**
   * Makes a connection to a target that the pool may move to, and keeps it for the move. Rejects with the reason if that fails.
   * It is called for one target at a time. The signal fires when that target is no longer the candidate.
   */
  vet(target: Target, signal: AbortSignal): Promise<void>;
  /** Says what an error of `vet` means. */
  judge(error: unknown): CandidateFailure;
  /** Moves the pool to a target: from now on it hands out only connections to that target. The source named it `decisionMillis` ago. */
  move(target: Target, previous: Target | undefined, decisionMillis: number): void;
  /** Whether the current target serves: a connection to it was made or used, and no connection has failed since. */
  currentServes(): boolean;
  /**
   * Called when the source confirms a target that has not been refused: the pool's current target, or one that it begins to try. The
   * Service no longer points to a target that was refused before.
   */
  accepted?(target: Target): void;
  /** Called when a target is not followed, or not yet, with the reason. */
  refused(target: Target, error: unknown): void;
  /** Called with the source's answer when it was asked past its caches. */
  looked?(answer: { readonly target: string; readonly source: string } | { readonly error: unknown }): void;
  /** Called when the candidate was dropped, and the pool has not moved to it. */
  candidateDropped?(): void;
  /** Called when the source announced a switch to a target that the policy allows, and with `undefined` when it gave the switch up. */
  planned?(plan: PlannedSwitch | undefined): void;
}

/**
 * See {@link TargetFollower}.
 *
 * @internal
 */
export interface FollowerSettings {
  readonly source: TargetSource;
  readonly policy: Pick<TargetPolicy, 'checkTarget'>;
  /** Pause between attempts to reach a new target, in milliseconds. */
  readonly vetIntervalMillis: number;
}

/**
 * Follows where a Service points, and decides when the pool moves there.
 *
 * A new target that the policy allows is tried first, with one connection, while the current one keeps serving:
 *
 * | result of the attempt | what happens |
 * | --- | --- |
 * | a connection | the pool moves |
 * | a host that proved its name, with another role than asked for (a standby not promoted yet) | the pool moves and its callers wait there, because writes that an old primary acknowledges after the switch may be lost. If the pool left that target a short while ago, it stays, because a stale DNS answer is more likely |
 * | no such host, a certificate for another name, refused credentials, no answer | the pool stays while its current target serves, reports the failure, and tries again |
 *
 * If the current target does not serve, the pool has no reason to stay and moves at once.
 *
 * @internal
 */
export class TargetFollower {
  readonly #settings: FollowerSettings;
  readonly #host: FollowerHost;
  readonly #clock: Clock;
  #current: Target | undefined;
  #currentSince: number | undefined;
  #candidate: { readonly target: Target; readonly controller: AbortController } | undefined;
  /** When the source named the last candidate, in `now()` milliseconds. */
  #namedAt = 0;
  #first: Promise<Target> | undefined;
  #refreshing: Promise<void> | undefined;
  /** Whether the source did not answer the last question. */
  #unanswered = false;
  #unsubscribe: (() => void) | undefined;
  readonly #leftAt = new Map<string, number>();
  readonly #closing = new AbortController();
  #closed = false;

  constructor(settings: FollowerSettings, host: FollowerHost, clock: Clock) {
    this.#settings = settings;
    this.#host = host;
    this.#clock = clock;
  }

  /**
   * The pool's target; `undefined` before the first answer. It is stale if the source cannot confirm at this moment where the
   * Service points: then a switch would go unnoticed.
   */
  get target(): Target | undefined {
    return this.#asKnown(this.#current);
  }

  /** When the pool moved to its target, in `now()` milliseconds. */
  get targetSince(): number | undefined {
    return this.#currentSince;
  }

  /** How long ago the source last confirmed the target, in milliseconds. */
  get confirmedMillisAgo(): number | undefined {
    return this.#settings.source.confirmedMillisAgo;
  }

  /** A target that the source names and the pool has not moved to (yet). It is stale under the same condition as `target`. */
  get candidate(): Target | undefined {
    return this.#asKnown(this.#candidate?.target);
  }

  /**
   * The current target; asks the source if none is known yet.
   *
   * @throws what the source or the policy raises
   */
  async current(signal: AbortSignal): Promise<Target> {
    if (this.#current !== undefined) return this.#current;
    this.#first ??= inBackground(() => this.#begin()).finally(() => {
      this.#first = undefined;
    });
    return await abortable(this.#first, signal);
  }

  /**
   * Asks the source where the Service points, past every cache. One question runs at a time, however many callers ask. It never
   * rejects: while the source does not answer, the last good target stays.
   */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const ask = (signal: AbortSignal) => inBackground(() => this.#settings.source.current({ fresh: true, signal }));
    this.#refreshing ??= withDeadline(ask, {
      signal: this.#closing.signal,
      // The source may be the application's own. If it never answers, the next question must still be possible.
      timeoutMillis: refreshTimeoutMillis,
      onTimeout: () => new DeadlineError('asking where the Service points', refreshTimeoutMillis),
      clock: this.#clock,
      background: true,
    })
      .then(
        (target) => {
          this.#unanswered = false;
          if (!this.#closed) this.#host.looked?.({ target: target.externalName, source: target.source });
          this.#consider(target);
        },
        (error: unknown) => {
          this.#unanswered = true;
          if (!this.#closed) this.#host.looked?.({ error });
        },
      )
      .finally(() => {
        this.#refreshing = undefined;
      });
    return this.#refreshing;
  }

  /** Call it when the current target has stopped serving: a candidate then no longer needs to prove itself. */
  currentLost(): void {
    const candidate = this.#candidate;
    if (candidate === undefined) return;
    later(() => {
      // In the meantime the pool may have moved to it, or dropped it.
      if (this.#closed || this.#candidate !== candidate) return;
      if (this.#lastFailure?.verdict === 'unfit') return;
      this.#dropCandidate();
      this.#moveTo(candidate.target);
    });
  }

  /** Ends the subscription and everything in progress. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#closing.abort(new ClosedError('the pool'));
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#giveUpCandidate();
  }

  /** The given target, marked stale or fresh as the source now says. */
  #asKnown(held: Target | undefined): Target | undefined {
    const { source } = this.#settings;
    if (held === undefined) return undefined;
    // A source without `known` counts by its last answer, and by whether it has failed to answer since.
    if (!('known' in source)) return held.stale || !this.#unanswered ? held : { ...held, stale: true };
    const { known } = source;
    if (known === undefined) return held;
    if (known.externalName === held.externalName) return known;
    return held.stale === known.stale ? held : { ...held, stale: known.stale };
  }

  #lastFailure: CandidateFailure | undefined;

  async #begin(): Promise<Target> {
    const target = await this.#settings.source.current();
    this.#settings.policy.checkTarget(target);
    if (this.#current === undefined && !this.#closed) {
      this.#current = target;
      this.#currentSince = this.#clock.now();
      this.#host.move(target, undefined, 0);
      this.#unsubscribe ??= this.#subscribe();
    }
    return this.#current ?? target;
  }

  #subscribe(): () => void {
    const { source } = this.#settings;
    const ends = [
      source.subscribe((next) => this.#consider(next)),
      source.subscribePlanned?.((plan) => this.#considerPlan(plan)),
    ];
    return () => {
      for (const end of ends) end?.();
    };
  }

  #considerPlan(plan: PlannedSwitch | undefined): void {
    const current = this.#current;
    if (this.#closed || current === undefined || plan?.to === current.externalName) return;
    try {
      if (plan?.to !== undefined) this.#settings.policy.checkTarget({ ...current, externalName: plan.to });
    } catch (error) {
      // The pool would not move there, so it must not wait for the switch.
      later(() => this.#host.refused({ ...current, externalName: plan?.to ?? '' }, error));
      return;
    }
    later(() => this.#host.planned?.(plan));
  }

  #consider(target: Target): void {
    if (this.#closed || this.#current === undefined) return;
    if (target.externalName === this.#current.externalName) {
      // The Service points to the pool's target again, so the candidate is dropped.
      this.#current = target;
      this.#giveUpCandidate();
      if (!target.stale) later(() => this.#host.accepted?.(target));
      return;
    }
    if (target.stale || target.externalName === this.#candidate?.target.externalName) return;
    try {
      this.#settings.policy.checkTarget(target);
    } catch (error) {
      this.#giveUpCandidate();
      later(() => this.#host.refused(target, error));
      return;
    }
    this.#dropCandidate();
    const controller = new AbortController();
    this.#candidate = { target, controller };
    this.#namedAt = this.#clock.now();
    this.#lastFailure = undefined;
    later(() => this.#host.accepted?.(target));
    inBackground(() => this.#tryCandidate(target, controller.signal)).catch((error: unknown) =>
      this.#host.refused(target, error),
    );
  }

  async #tryCandidate(target: Target, signal: AbortSignal): Promise<void> {
    let reported: string | undefined;
    const pauses = { shortestMillis: this.#settings.vetIntervalMillis, longestMillis: longestPauseMillis };
    let lasting = 0;
    while (!signal.aborted) {
      try {
        await this.#host.vet(target, signal);
        if (!signal.aborted) this.#moveTo(target);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const failure = this.#host.judge(error);
        this.#lastFailure = failure;
        if (this.#moveAnyway(target, failure)) {
          this.#moveTo(target);
          return;
        }
        // Once for each kind of failure, not once for each attempt.
        if (reported !== failure.kind) this.#host.refused(target, error);
        reported = failure.kind;
        // A name may appear at any moment. People must fix a certificate or credentials, and a server may lock out an
        // account that it refuses three times a second.
        lasting = failure.isLasting ? lasting + 1 : 0;
      }
      try {
        await sleep(backoffMillis(1 + lasting, pauses), { signal, clock: this.#clock, background: true });
      } catch {
        return;
      }
    }
  }

  #moveAnyway(target: Target, { verdict }: CandidateFailure): boolean {
    if (verdict === 'unfit') return false;
    if (!this.#host.currentServes()) return true;
    const leftAt = this.#leftAt.get(target.externalName);
    const leftLately = leftAt !== undefined && this.#clock.now() - leftAt < rememberedMillis;
    return verdict === 'not-ready' && !leftLately;
  }

  #moveTo(target: Target): void {
    const previous = this.#current;
    this.#candidate = undefined;
    this.#lastFailure = undefined;
    this.#current = target;
    this.#forgetLeft();
    if (previous !== undefined) this.#leftAt.set(previous.externalName, this.#clock.now());
    this.#leftAt.delete(target.externalName);
    this.#currentSince = this.#clock.now();
    this.#host.move(target, previous, this.#currentSince - this.#namedAt);
  }

  #forgetLeft(): void {
    for (const [name, at] of this.#leftAt) {
      if (this.#clock.now() - at >= rememberedMillis) this.#leftAt.delete(name);
    }
  }

  #giveUpCandidate(): void {
    const given = this.#candidate !== undefined;
    this.#dropCandidate();
    if (given) later(() => this.#host.candidateDropped?.());
  }

  #dropCandidate(): void {
    const candidate = this.#candidate;
    this.#candidate = undefined;
    candidate?.controller.abort(new Error('the Service points elsewhere again'));
  }
}

// Runs after the call that caused it, and outside every caller's async context.
function later(tell: () => void): void {
  inBackground(() => queueMicrotask(tell));
}

const longestPauseMillis = 15_000;

// A chain of DNS caches holds an answer for minutes at most. An intended switch back comes with a promoted server.
const rememberedMillis = 60_000;

// Longer than any source of ours takes.
const refreshTimeoutMillis = 10_000;
