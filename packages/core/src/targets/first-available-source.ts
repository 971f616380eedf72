import type { Clock, Timer } from '../clock.ts';
import { abortable, withDeadline } from '../deadline.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { ClosedError, DeadlineError, ExternalNameError, InvalidArgumentError } from '../errors.ts';
import { answerIgnored } from '../events/index.ts';
import { ownOptions } from '../input.ts';
import { aNumber, anObjectWith, checkOptions, listOf, optional } from '../shape.ts';
import { NewestTruth } from './newest-truth.ts';
import { TargetFeed } from './target-feed.ts';
import {
  type CurrentOptions,
  checkCurrentOptions,
  type PlannedSwitch,
  type Target,
  type TargetSource,
} from './target-source.ts';

/** See {@link FirstAvailableTargetSource}. */
export interface FirstAvailableOptions {
  /**
   * How long to ignore a lower source that still names the old target after a better source named another one. Must be longer
   * than DNS caches keep an answer. Milliseconds. @defaultValue 60000
   */
  settleMillis?: number | undefined;
  /** How long to wait for one source before asking the next. Milliseconds. @defaultValue 5000 */
  timeoutMillis?: number | undefined;
}

/** None of several sources has a target. Code `ERR_EXTERNALNAME_NO_TARGET`; `cause` is an `AggregateError` with one entry per source. */
export class NoTargetError extends ExternalNameError {
  /** The work did not happen, so repeating it is safe. */
  override readonly outcome = 'not-executed';

  constructor(errors: readonly unknown[]) {
    const reasons = errors.map((error) => (error instanceof Error ? error.message : String(error))).join('; ');
    const message = `no source has a target: ${reasons}`;
    super('ERR_EXTERNALNAME_NO_TARGET', message, { cause: new AggregateError(errors, message) });
  }
}

/**
 * Several sources, the best first: the first good answer wins. With a watch on the Kubernetes API before DNS, a switch is seen at
 * once while the API is reachable, and the Service is still followed while it is not.
 *
 * When a better source goes silent, an old answer of a lower one never undoes its last answer; see `settleMillis`.
 * Closing it closes the sources. Channel: `externalname:targets:answer-ignored`.
 *
 * @example
 * ```ts
 * const source = new FirstAvailableTargetSource([kubernetesSource, new DnsTargetSource({ service, resolver })]);
 * ```
 */
export class FirstAvailableTargetSource implements TargetSource {
  readonly #sources: readonly TargetSource[];
  readonly #reviewMillis: number;
  readonly #timeoutMillis: number;
  readonly #clock: Clock;
  readonly #truth: NewestTruth;
  readonly #feed = new TargetFeed();
  readonly #closing = new AbortController();
  /** The last push of each source, by rank. */
  readonly #heard = new Map<number, Target>();
  /** The last answer of each source, by rank. Missing if it did not answer. */
  readonly #answered = new Map<number, Target>();
  /** Rounds that a caller may still join. */
  readonly #joinable = new Map<RoundKind, Promise<Target>>();
  readonly #rounds = new Set<Promise<Target>>();
  #unsubscribe: readonly (() => void)[] = [];
  #timer: Timer | undefined;

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if there is no source, or an option is not a number of milliseconds */
  constructor(sources: readonly TargetSource[], options: FirstAvailableOptions = {}, dependencies: Dependencies = {}) {
    listOf(anObjectWith('current', 'subscribe', 'close'))('sources', sources);
    checkOptions(options, {
      settleMillis: optional(aNumber({ least: 0 })),
      timeoutMillis: optional(aNumber({ least: 1 })),
    });
    const { clock } = dependenciesOf(dependencies);
    const { settleMillis = defaultSettleMillis, timeoutMillis = defaultTimeoutMillis } = ownOptions(options);
    if (sources.length === 0) throw new InvalidArgumentError('sources', 'must name at least one source');
    this.#sources = [...sources];
    this.#reviewMillis = Math.max(settleMillis, shortestReviewMillis);
    this.#timeoutMillis = timeoutMillis;
    this.#clock = clock;
    this.#truth = new NewestTruth(settleMillis);
  }

  /** See {@link TargetSource.current}. */
  async current(options: CurrentOptions = {}): Promise<Target> {
    checkCurrentOptions(options);
    const { fresh = false, signal } = options;
    return abortable(this.#round(fresh ? 'fresh' : 'known'), signal);
  }

  /** See {@link TargetSource.known}. */
  get known(): Target | undefined {
    const held = this.#truth.target;
    if (held === undefined || this.#closing.signal.aborted) return undefined;
    const stale = !this.#sources.some((source, rank) => {
      // For a source without `known`, its last answer counts.
      const known = 'known' in source ? source.known : this.#answered.get(rank);
      return known?.externalName === held.externalName && !known.stale;
    });
    return held.stale === stale ? held : { ...held, stale };
  }

  /** See {@link TargetSource.confirmedMillisAgo}: from the source that named the target last. */
  get confirmedMillisAgo(): number | undefined {
    const held = this.#truth.target?.externalName;
    const ages = this.#sources.flatMap((source) =>
      source.known?.externalName === held && source.confirmedMillisAgo !== undefined ? [source.confirmedMillisAgo] : [],
    );
    return held === undefined || ages.length === 0 ? undefined : Math.min(...ages);
  }

  /** See {@link TargetSource.subscribe}. */
  subscribe(listener: (target: Target) => void): () => void {
    this.#closing.signal.throwIfAborted();
    const unsubscribe = this.#feed.subscribe(listener, this.#truth.target);
    if (this.#unsubscribe.length === 0) {
      this.#unsubscribe = this.#sources.map((source, rank) => source.subscribe((target) => this.#hear(rank, target)));
      this.#scheduleRound(0); // A source that already knows its target will not push it.
    }
    return () => {
      unsubscribe();
      if (!this.#feed.isFollowed) this.#stopFollowing();
    };
  }

  /** See {@link TargetSource.subscribePlanned}: the plans of all sources. */
  subscribePlanned(listener: (plan: PlannedSwitch | undefined) => void): () => void {
    const ends = this.#sources.map((source) => source.subscribePlanned?.(listener));
    return () => {
      for (const end of ends) end?.();
    };
  }

  /** See {@link TargetSource.close}. Also closes the sources. */
  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('the target source'));
    this.#feed.clear();
    this.#stopFollowing();
    await Promise.all(this.#sources.map((source) => source.close()));
    await Promise.allSettled(this.#rounds);
  }

  /** Calls `close()`, at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Asks the sources, the best first, until one is believed. Callers share a round. Fresh callers only share it in the turn in which
   * it begins, because later its answers may be older than the call.
   */
  #round(kind: RoundKind): Promise<Target> {
    const joinable = this.#joinable.get(kind);
    if (joinable !== undefined) return joinable;
    const round = this.#ask(kind);
    this.#joinable.set(kind, round);
    this.#rounds.add(round);
    const done = () => {
      this.#rounds.delete(round);
      if (this.#joinable.get(kind) === round) this.#joinable.delete(kind);
    };
    round.then(done, done);
    return round;
  }

  async #ask(kind: RoundKind): Promise<Target> {
    await null;
    if (kind === 'fresh') this.#joinable.delete(kind);
    this.#closing.signal.throwIfAborted();
    const { target, errors } = await this.#consult(this.#sources.length, kind);
    if (target !== undefined) return target;
    const held = this.#truth.target;
    if (held !== undefined) return held.stale ? held : { ...held, stale: true };
    throw errors.length === 1 ? errors[0] : new NoTargetError(errors);
  }

  /** Asks the sources above `limit`, best first. `target` is set if one of them confirmed it. */
  async #consult(limit: number, kind: RoundKind): Promise<{ target: Target | undefined; errors: readonly unknown[] }> {
    const errors: unknown[] = [];
    for (const [rank, source] of this.#sources.slice(0, limit).entries()) {
      try {
        const target = await this.#askOne(source, kind);
        this.#answered.set(rank, target);
        if (this.#judge(rank, target) && !target.stale) return { target: this.#truth.target, errors };
      } catch (error) {
        this.#closing.signal.throwIfAborted();
        this.#answered.delete(rank);
        errors.push(error);
      }
    }
    return { target: undefined, errors };
  }

  #askOne(source: TargetSource, kind: RoundKind): Promise<Target> {
    return withDeadline((signal) => source.current({ fresh: kind === 'fresh', signal }), {
      signal: this.#closing.signal,
      timeoutMillis: this.#timeoutMillis,
      onTimeout: () => new DeadlineError('asking a target source', this.#timeoutMillis),
      clock: this.#clock,
      background: kind === 'background',
    });
  }

  /** A source pushed. A lower one is only believed if no better one has a good answer. */
  #hear(rank: number, target: Target): void {
    this.#heard.set(rank, target);
    this.#answered.set(rank, target);
    const weigh = async () => {
      const { target: better } = await this.#consult(rank, 'background');
      const latest = this.#heard.get(rank) ?? target;
      if (better === undefined) this.#judge(rank, latest);
      else this.#truth.note(rank, latest);
    };
    weigh().catch(() => {}); // Closed meanwhile: no subscriber is left.
  }

  /** Whether the source's answer is now the target. Tells subscribers if it is new. */
  #judge(rank: number, target: Target): boolean {
    const before = this.#truth.target;
    const verdict = this.#truth.judge(rank, target, this.#clock.now());
    if (verdict.verdict === 'adopt') this.#feed.tell(target);
    if (verdict.verdict === 'ignore' && before !== undefined && !target.stale) {
      const { remainingMillis } = verdict;
      answerIgnored.publish(() => ({
        target: before.externalName,
        source: before.source,
        ignoredTarget: target.externalName,
        ignoredSource: target.source,
        remainingMillis,
      }));
      this.#scheduleRound(remainingMillis);
    }
    return verdict.verdict !== 'ignore';
  }

  /**
   * Asks all sources again after a while. They push new targets. But a better source may also go silent, or come back without a new
   * target, and then another source decides.
   */
  #scheduleRound(delayMillis: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#feed.isFollowed) return;
    const ask = () => {
      this.#scheduleRound(this.#reviewMillis);
      this.#round('background').catch(() => {}); // Subscribers get the result, or the next round asks again.
    };
    this.#timer = this.#clock.schedule(ask, delayMillis, { background: true });
  }

  #stopFollowing(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
  }
}

/** For whom a round is: a caller that wants a fresh target, one that takes the known one, or no caller. */
type RoundKind = 'fresh' | 'known' | 'background';

const defaultSettleMillis = 60_000;
const defaultTimeoutMillis = 5000;
const shortestReviewMillis = 1000;
