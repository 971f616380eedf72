import type { Target } from './target-source.ts';

/** What to do with the answer of a source. */
export type Verdict =
  /** It is the new target. */
  | { readonly verdict: 'adopt' }
  /** It is the target that we have. */
  | { readonly verdict: 'confirm' }
  /** It may be old: keep the target that we have, for at least this long. */
  | { readonly verdict: 'ignore'; readonly remainingMillis: number };

/**
 * Decides between sources that disagree after a better one has gone silent.
 *
 * A watch on the Service sees a switch at once; DNS caches keep the old answer until its TTL ends. If the watch breaks just after
 * the switch, that old answer must not undo it. So a lower source that names another target than the better one is believed only
 *
 * - after it has named the same target once: it has caught up, and its next answer is new;
 * - if it names a target that it did not name when the better source spoke: an old answer would be the old name;
 * - or if it still says so after `settleMillis`, longer than caches keep an answer.
 *
 * Pure except for its memory: each call takes the time. Ranks count from 0, the best source.
 */
export class NewestTruth {
  readonly #settleMillis: number;
  #held: Held | undefined;
  /** The last answer of each source. */
  readonly #said = new Map<number, string>();

  constructor(settleMillis: number) {
    this.#settleMillis = settleMillis;
  }

  /** The current target. */
  get target(): Target | undefined {
    return this.#held?.target;
  }

  /** Records the answer of a source. Call it for a lower rank only while no better source has a good answer. */
  judge(rank: number, target: Target, now: number): Verdict {
    const verdict = this.#verdict(rank, target, now);
    if (!target.stale) this.#said.set(rank, target.externalName);
    if (verdict.verdict === 'adopt') this.#hold(rank, target, now);
    if (verdict.verdict === 'confirm') this.#confirm(rank, target, now);
    return verdict;
  }

  /** Remembers what a lower source says while a better one answers and confirms the target. */
  note(rank: number, target: Target): void {
    if (target.stale) return;
    this.#said.set(rank, target.externalName);
    if (this.#held === undefined) return;
    this.#held.saidThen = new Map(this.#said);
    if (this.#held.target.externalName === target.externalName) this.#held.caughtUp.add(rank);
    else this.#held.caughtUp.delete(rank);
  }

  #verdict(rank: number, target: Target, now: number): Verdict {
    const held = this.#held;
    if (held === undefined) return { verdict: 'adopt' };
    if (held.target.externalName === target.externalName) return { verdict: 'confirm' };
    if (target.stale) return { verdict: 'ignore', remainingMillis: 0 };
    if (rank <= held.rank || held.unconfirmed || held.caughtUp.has(rank)) return { verdict: 'adopt' };
    const saidThen = held.saidThen.get(rank);
    if (saidThen !== undefined && saidThen !== target.externalName) return { verdict: 'adopt' };
    const remainingMillis = held.since + this.#settleMillis - now;
    return remainingMillis <= 0 ? { verdict: 'adopt' } : { verdict: 'ignore', remainingMillis };
  }

  #hold(rank: number, target: Target, now: number): void {
    const agreeing = [...this.#said].filter(([, name]) => name === target.externalName).map(([other]) => other);
    this.#held = {
      rank,
      target,
      since: now,
      unconfirmed: target.stale,
      saidThen: new Map(this.#said),
      caughtUp: new Set(agreeing),
    };
  }

  #confirm(rank: number, target: Target, now: number): void {
    const held = this.#held;
    if (held === undefined || target.stale) return;
    held.caughtUp.add(rank);
    held.target = target;
    held.unconfirmed = false;
    if (rank > held.rank) return;
    // As good a source as the one that named it: from now on, an old answer must not undo this one.
    held.rank = rank;
    held.since = now;
    held.saidThen = new Map(this.#said);
  }
}

interface Held {
  rank: number;
  target: Target;
  /** When the source of that rank last named it, in milliseconds of the caller's clock. */
  since: number;
  /** Whether no source has confirmed it: it was stale when it came. */
  unconfirmed: boolean;
  /** What each source said at that time. */
  saidThen: ReadonlyMap<number, string>;
  /** The sources that have named it since. */
  readonly caughtUp: Set<number>;
}
