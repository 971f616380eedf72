import { inBackground } from '../background.ts';
import type { Clock } from '../clock.ts';
import { abortable, sleep, withDeadline } from '../deadline.ts';
import { ClosedError, DeadlineError } from '../errors.ts';
import type { Target, TargetPolicy, TargetSource } from '../targets/index.ts';

/**
 * What a failed attempt says of the target that was tried.
 *
 * @internal
 */
export interface CandidateFailure {
  /** Failures of the same kind are told once. */
  readonly kind: string;
  /**
   * - `unfit`: the host is no better than one that has failed (no such host, a certificate for another name, refused credentials).
   * - `not-ready`: the host proved its name, and cannot serve yet.
   * - `no-answer`: anything else.
   */
  readonly verdict: 'unfit' | 'not-ready' | 'no-answer';
  /** Whether it takes people to put it right: then it is tried ever more seldom. */
  readonly isLasting: boolean;
}

/**
 * What the follower asks of its host, a pool. It moves, and tells, outside every call that is made to it: what the pool does about a
 * move must not come in the middle of what it was doing when it said that its server was lost.
 *
 * @internal
 */
export interface FollowerHost {
  /**
   * Makes a connection to a target that the pool may move to, and keeps it for the move. Rejects with why it cannot
   * be made. Called for one target at a time; the signal fires when that target is no longer the one to move to.
   */
  vet(target: Target, signal: AbortSignal): Promise<void>;
  /** Says what an error of `vet` means. */
  judge(error: unknown): CandidateFailure;
  /** Moves the pool to a target: from now on only connections to it are handed out. `decisionMillis` since the source named it. */
  move(target: Target, previous: Target | undefined, decisionMillis: number): void;
  /** Whether the current target serves: a connection to it was made or used, and none has failed since. */
  currentServes(): boolean;
  /**
   * Told when the source can confirm a target that nothing speaks against yet: the one where the pool is, or one that it begins to
   * try. What was refused before is not where the Service points any more.
   */
  accepted?(target: Target): void;
  /** Told when a target is not followed, or not yet, and why. */
  refused(target: Target, error: unknown): void;
  /** Told what the source answered when it was asked past its caches. */
  looked?(answer: { readonly target: string; readonly source: string } | { readonly error: unknown }): void;
  /** Told when there is no candidate any more, and the pool has not moved to it. */
  candidateDropped?(): void;
}

/**
 * See {@link TargetFollower}.
 *
 * @internal
 */
export interface FollowerSettings {
  readonly source: TargetSource;
  readonly policy: Pick<TargetPolicy, 'checkTarget'>;
  /** Pause between attempts to reach a target that could not be moved to yet, in milliseconds. */
  readonly vetIntervalMillis: number;
}

/**
 * Follows where a Service points, and decides when the pool goes there.
 *
 * A new target that the policy allows is tried first, with one connection, while the current one goes on serving:
 *
 * | what the attempt meets | what follows |
 * | --- | --- |
 * | a connection | the pool moves |
 * | a host that proved its name, with another role than asked for (a standby not promoted yet) | the pool moves and its callers wait there: what an old primary acknowledges after the switch may be lost. Unless the pool left that target itself a short while ago, as then a stale DNS answer is the likelier reason |
 * | no such host, a certificate for another name, refused credentials, no answer | the pool stays while its current target serves, says so, and tries again |
 *
 * While the current target does not serve, there is nothing to stay for: the pool moves at once.
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
  /** Whether the source gave no answer when it was asked last. */
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
   * Where the pool points now; `undefined` before the first answer. Stale if the source cannot confirm at this moment where the
   * Service points: then a switch would not be seen.
   */
  get target(): Target | undefined {
    return this.#asKnown(this.#current);
  }

  /** Since when the pool has pointed there, in `now()` milliseconds. */
  get targetSince(): number | undefined {
    return this.#currentSince;
  }

  /** How old the source's word is, in milliseconds. */
  get confirmedMillisAgo(): number | undefined {
    return this.#settings.source.confirmedMillisAgo;
  }

  /** A target that the source names and the pool has not moved to (yet). Stale as `target` is. */
  get candidate(): Target | undefined {
    return this.#asKnown(this.#candidate?.target);
  }

  /**
   * The current target; asks the source where none is known yet.
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
   * Asks the source's own authority where the Service points, past every cache. One question at a time, however many
   * ask. Never rejects: while the source does not answer, the last good target stays.
   */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const ask = (signal: AbortSignal) => inBackground(() => this.#settings.source.current({ fresh: true, signal }));
    this.#refreshing ??= withDeadline(ask, {
      signal: this.#closing.signal,
      // The source may be the application's own. One that never answers must not be the last that is asked.
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

  /** The current target has stopped serving: a candidate that is being tried need not prove itself any more. */
  currentLost(): void {
    const candidate = this.#candidate;
    if (candidate === undefined) return;
    later(() => {
      // In the meantime it may have been moved to, or dropped.
      if (this.#closed || this.#candidate !== candidate) return;
      if (this.#lastFailure?.verdict === 'unfit') return;
      this.#dropCandidate();
      this.#moveTo(candidate.target);
    });
  }

  /** Ends the subscription and whatever is under way. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#closing.abort(new ClosedError('the pool'));
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#giveUpCandidate();
  }

  /** What is held, with what the source says of it now. */
  #asKnown(held: Target | undefined): Target | undefined {
    const { source } = this.#settings;
    if (held === undefined) return undefined;
    // One that says nothing by itself: what it said last, and whether it was asked in vain since.
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
      this.#unsubscribe ??= this.#settings.source.subscribe((next) => this.#consider(next));
    }
    return this.#current ?? target;
  }

  #consider(target: Target): void {
    if (this.#closed || this.#current === undefined) return;
    if (target.externalName === this.#current.externalName) {
      // Back where the pool is: whatever was to replace it is off.
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
    let pauseMillis = this.#settings.vetIntervalMillis;
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
        // Once for each kind of trouble, not once an attempt.
        if (reported !== failure.kind) this.#host.refused(target, error);
        reported = failure.kind;
        // A name may come to exist any moment. A certificate or credentials are put right by people, and a server may
        // lock out an account that is refused three times a second.
        pauseMillis = failure.isLasting
          ? Math.min(pauseMillis * 2, longestPauseMillis)
          : this.#settings.vetIntervalMillis;
      }
      try {
        await sleep(pauseMillis, { signal, clock: this.#clock, background: true });
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

// When the call that caused it is over, and in no caller's context.
function later(tell: () => void): void {
  inBackground(() => queueMicrotask(tell));
}

const longestPauseMillis = 15_000;

// DNS caches in a row hold an answer for minutes at most; a switch back that is meant comes with a promoted server.
const rememberedMillis = 60_000;

// Longer than any source of ours takes.
const refreshTimeoutMillis = 10_000;
