import type { Target } from './target-source.ts';

/** What to do with what a source said. */
export type Verdict =
  /** It is the target from now on. */
  | { readonly verdict: 'adopt' }
  /** It is what is held already. */
  | { readonly verdict: 'confirm' }
  /** It may be old: keep what is held, at least for this long. */
  | { readonly verdict: 'ignore'; readonly remainingMillis: number };

/**
 * Decides between sources that disagree, where a better one has gone silent.
 *
 * A watch on the Service tells of a switch at once; caches of DNS go on with the old answer until its TTL ends. When the
 * watch breaks just after the switch, that old answer must not undo it. So a lower source that names another
 * target than the better one did is believed only
 *
 * - after it has once named the same target: it has caught up, and what it says next is news;
 * - when it names one that it did not name when the better one spoke: an old answer would be the old name;
 * - or when it still says so after `settleMillis`, longer than caches keep an answer.
 *
 * Pure but for its memory: time comes in with each call. Ranks count from 0, the best source.
 */
export class NewestTruth {
  readonly #settleMillis: number;
  #held: Held | undefined;
  /** What each source said last. */
  readonly #said = new Map<number, string>();

  constructor(settleMillis: number) {
    this.#settleMillis = settleMillis;
  }

  /** The target to go by. */
  get target(): Target | undefined {
    return this.#held?.target;
  }

  /** What the source of that rank said. Call for a lower rank only while no better source has a good answer. */
  judge(rank: number, target: Target, now: number): Verdict {
    const verdict = this.#verdict(rank, target, now);
    if (!target.stale) this.#said.set(rank, target.externalName);
    if (verdict.verdict === 'adopt') this.#hold(rank, target, now);
    if (verdict.verdict === 'confirm') this.#confirm(rank, target, now);
    return verdict;
  }

  /** Remembers what a lower source said while a better one is heard, and vouches for what is held. */
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
    // As good a source as the one that named it: from here on it is this word that an old answer must not undo.
    held.rank = rank;
    held.since = now;
    held.saidThen = new Map(this.#said);
  }
}

interface Held {
  rank: number;
  target: Target;
  /** When the source of that rank named it last, in milliseconds of the caller's clock. */
  since: number;
  /** Whether no source has vouched for it: it was stale when it came. */
  unconfirmed: boolean;
  /** What each source said when it did. */
  saidThen: ReadonlyMap<number, string>;
  /** Who has named it since. */
  readonly caughtUp: Set<number>;
}
