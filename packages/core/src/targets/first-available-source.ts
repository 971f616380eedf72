import { type Clock, systemClock, type Timer } from '../clock.ts';
import { abortable, withDeadline } from '../deadline.ts';
import { ClosedError, DeadlineError, ExternalNameError, InvalidArgumentError } from '../errors.ts';
import { answerIgnored } from '../events/index.ts';
import { NewestTruth } from './newest-truth.ts';
import { TargetFeed } from './target-feed.ts';
import type { CurrentOptions, Target, TargetSource } from './target-source.ts';

/** See {@link FirstAvailableTargetSource}. */
export interface FirstAvailableOptions {
  /**
   * How long a lower source is not believed when it names the target that it also named before a better source named
   * another. Longer than caches of DNS keep an answer. Milliseconds. @defaultValue 60000
   */
  settleMillis?: number | undefined;
  /** How long to wait for one source before the next one is asked. Milliseconds. @defaultValue 5000 */
  timeoutMillis?: number | undefined;
}

/** None of several sources has a target. Code `ERR_EXTERNALNAME_NO_TARGET`; `cause` is an `AggregateError`, one entry a source. */
export class NoTargetError extends ExternalNameError {
  override readonly outcome = 'not-executed';

  constructor(errors: readonly unknown[]) {
    const reasons = errors.map((error) => (error instanceof Error ? error.message : String(error))).join('; ');
    const message = `no source has a target: ${reasons}`;
    super('ERR_EXTERNALNAME_NO_TARGET', message, { cause: new AggregateError(errors, message) });
  }
}

/**
 * Several sources, the best first: the first that has a good answer is believed. A watch on the Kubernetes API before
 * DNS is switched at once while the API is reachable, and still follows the Service when it is not.
 *
 * When a better source goes silent, an old answer of a lower one never undoes what it said last; see `settleMillis`.
 * The sources belong to it: closing it closes them. Channel: `externalname:targets:answer-ignored`.
 *
 * @example
 * ```ts
 * const source = new FirstAvailableTargetSource([kubernetesSource, new DnsTargetSource({ service, resolver })]);
 * ```
 */
export class FirstAvailableTargetSource implements TargetSource {
  readonly #sources: readonly TargetSource[];
  readonly #settleMillis: number;
  readonly #timeoutMillis: number;
  readonly #clock: Clock;
  readonly #truth: NewestTruth;
  readonly #feed = new TargetFeed();
  readonly #closing = new AbortController();
  /** What each source, by its rank, has pushed last. */
  readonly #heard = new Map<number, Target>();
  readonly #rounds = new Map<boolean, Promise<Target>>();
  #unsubscribe: readonly (() => void)[] = [];
  #timer: Timer | undefined;

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` where there is no source, or an option is no time */
  constructor(
    sources: readonly TargetSource[],
    options: FirstAvailableOptions = {},
    { clock }: { clock: Clock } = { clock: systemClock },
  ) {
    const { settleMillis = defaultSettleMillis, timeoutMillis = defaultTimeoutMillis } = options;
    if (sources.length === 0) throw new InvalidArgumentError('sources', 'name one at least');
    if (!(settleMillis >= 0)) throw new InvalidArgumentError('settleMillis', `${settleMillis} is no time: 0 or more`);
    if (!(timeoutMillis > 0)) throw new InvalidArgumentError('timeoutMillis', `${timeoutMillis} is no time`);
    this.#sources = [...sources];
    this.#settleMillis = settleMillis;
    this.#timeoutMillis = timeoutMillis;
    this.#clock = clock;
    this.#truth = new NewestTruth(settleMillis);
  }

  async current(options: CurrentOptions = {}): Promise<Target> {
    const { fresh = false, signal } = options;
    signal?.throwIfAborted();
    return abortable(this.#round(fresh), signal);
  }

  subscribe(listener: (target: Target) => void): () => void {
    this.#closing.signal.throwIfAborted();
    const unsubscribe = this.#feed.subscribe(listener, this.#truth.target);
    if (this.#unsubscribe.length === 0) {
      this.#unsubscribe = this.#sources.map((source, rank) => source.subscribe((target) => this.#hear(rank, target)));
      this.#scheduleRound(0); // A source that knows its target already has nothing to push.
    }
    return () => {
      unsubscribe();
      if (!this.#feed.isFollowed) this.#stopFollowing();
    };
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('the target source'));
    this.#feed.clear();
    this.#stopFollowing();
    await Promise.all(this.#sources.map((source) => source.close()));
    await Promise.allSettled(this.#rounds.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Asks the sources from the best on until one is believed. Callers at the same time share one round. */
  #round(fresh: boolean): Promise<Target> {
    const running = this.#rounds.get(true) ?? (fresh ? undefined : this.#rounds.get(false));
    if (running !== undefined) return running;
    const round = this.#ask(fresh).finally(() => this.#rounds.delete(fresh));
    this.#rounds.set(fresh, round);
    return round;
  }

  async #ask(fresh: boolean): Promise<Target> {
    this.#closing.signal.throwIfAborted();
    const { target, errors } = await this.#consult(this.#sources.length, fresh);
    if (target !== undefined) return target;
    const held = this.#truth.target;
    if (held !== undefined) return held.stale ? held : { ...held, stale: true };
    throw errors.length === 1 ? errors[0] : new NoTargetError(errors);
  }

  /** Asks the sources above `limit`, best first. `target` is there where one of them vouched for it. */
  async #consult(limit: number, fresh: boolean): Promise<{ target: Target | undefined; errors: readonly unknown[] }> {
    const errors: unknown[] = [];
    for (const [rank, source] of this.#sources.slice(0, limit).entries()) {
      try {
        const target = await this.#askOne(source, fresh);
        if (this.#judge(rank, target) && !target.stale) return { target: this.#truth.target, errors };
      } catch (error) {
        this.#closing.signal.throwIfAborted();
        errors.push(error);
      }
    }
    return { target: undefined, errors };
  }

  #askOne(source: TargetSource, fresh: boolean): Promise<Target> {
    return withDeadline((signal) => source.current({ fresh, signal }), {
      signal: this.#closing.signal,
      timeoutMillis: this.#timeoutMillis,
      onTimeout: () => new DeadlineError('asking a target source', this.#timeoutMillis),
      clock: this.#clock,
    });
  }

  /** A source pushed. A lower one is only believed where no better one has a good answer. */
  #hear(rank: number, target: Target): void {
    this.#heard.set(rank, target);
    const weigh = async () => {
      const { target: better } = await this.#consult(rank, false);
      const latest = this.#heard.get(rank) ?? target;
      if (better === undefined) this.#judge(rank, latest);
      else this.#truth.note(rank, latest);
      this.#watchDispute();
    };
    weigh().catch(() => {}); // Closed meanwhile: there is nobody to tell.
  }

  /** Whether what the source said is the target now. Tells subscribers where that is news. */
  #judge(rank: number, target: Target): boolean {
    const before = this.#truth.target;
    const verdict = this.#truth.judge(rank, target, this.#clock.now());
    const held = this.#truth.target;
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
    return held !== undefined && verdict.verdict !== 'ignore';
  }

  /** Sources that agree push what is new. While they do not, the better one may go or come back without a push. */
  #watchDispute(): void {
    if (this.#truth.isDisputed && this.#timer === undefined) this.#scheduleRound(this.#settleMillis);
  }

  #scheduleRound(delayMillis: number): void {
    if (!this.#feed.isFollowed) return;
    this.#timer?.cancel();
    const ask = () => {
      this.#timer = undefined;
      const done = () => this.#watchDispute();
      this.#round(false).then(done, done); // What comes of it is told to subscribers, or will be asked again.
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

const defaultSettleMillis = 60_000;
const defaultTimeoutMillis = 5000;
