/** An answer about a name's addresses of one family. */
export interface AddressAnswer {
  /** Not empty. */
  readonly addresses: readonly string[];
  /** Until when the server would repeat this answer from its cache, in `now()` milliseconds. */
  readonly expiresAt: number;
  readonly ttlMillis: number;
}

/**
 * Distinguishes an address that has left its name from one that a rotating answer omitted this time. Pure.
 *
 * Many names return only some of their addresses with each answer: round robin, Aurora's reader endpoint, Route 53's multivalue answers.
 * For them, a missing address means nothing. So the pattern of the answers decides. Each answer counts once: the same answer from a cache
 * does not count again.
 *
 * - A name that moves gives one answer for a while, and then another. This takes eight answers before and after the change together, at
 *   least three of them after it and equal. It takes twelve if a cache gives the answers, because asking more often shows nothing new.
 * - A name that rotates brings back an address that was missing from fewer than 32 answers. Seen once, this counts for an hour. Then an
 *   address must be missing from twenty times as many answers in a row as it takes to see all addresses of the name. With answers drawn
 *   at random, an address would be missing by chance once in 480 million times (e^-20).
 * - After a name has moved, caches return the old answer for its TTL besides the new one. If an answer was the only one eight times and
 *   comes back within that time, the name does not rotate.
 */
export class AddressHistory {
  /** Runs of equal answers, the oldest first. */
  #runs: Run[] = [];
  /** In which answer (by its number) and in which run each address was last named. */
  readonly #named = new Map<string, { readonly answer: number; readonly run: Run; readonly at: number }>();
  #answers = 0;
  /** The addresses named after a change, before the old answer came back from a cache. Naming them again is not a rotation. */
  #excused: ReadonlySet<string> = new Set();
  #lastExpiresAt = Number.NEGATIVE_INFINITY;
  #longestTtlMillis = 0;
  /** When an address came back too soon, which shows that the name rotates. */
  #rotatedAt = Number.NEGATIVE_INFINITY;

  /** Records an answer. */
  add(answer: AddressAnswer, now: number): void {
    const addresses = new Set(answer.addresses);
    const key = [...addresses].sort().join(' ');
    const last = this.#runs.at(-1);
    const isSame = last?.key === key;
    const isAhead = answer.expiresAt >= this.#lastExpiresAt + ttlStepMillis;
    const hadEnded = now >= this.#lastExpiresAt;
    if (isSame && !isAhead && !hadEnded) return;
    this.#lastExpiresAt = answer.expiresAt;
    this.#longestTtlMillis = Math.max(this.#longestTtlMillis, answer.ttlMillis);
    this.#answers += 1;
    if (isSame) {
      last.count += 1;
      last.isWitnessed ||= isAhead && !hadEnded;
      if (last.count >= (last.settledAgainAt ?? 0)) last.unsettledSince = undefined;
      this.#note(last, now);
    } else if (!this.rotates(now) && this.#isLateCopy(key, now)) {
      const [settled, interim] = this.#runs.slice(-2) as [Run, Run];
      this.#runs.pop();
      this.#excused = interim.addresses;
      settled.unsettledSince ??= interim.since;
      settled.settledAgainAt = settled.count + steadyAnswers;
      this.#note(settled, now);
    } else {
      if (this.#comesBackSoon(addresses)) this.#rotatedAt = now;
      this.#excused = new Set();
      this.#begin({ key, addresses, count: 1, isWitnessed: answer.ttlMillis <= ttlStepMillis, since: now }, now);
    }
  }

  /** Whether there was an answer. */
  get isBegun(): boolean {
    return this.#runs.length > 0;
  }

  /** Whether the last answer names the address. */
  names(address: string): boolean {
    return this.#runs.at(-1)?.addresses.has(address) ?? false;
  }

  /** Whether the name has rotated within the last hour. */
  rotates(now: number): boolean {
    return now - this.#rotatedAt < rememberedMillis;
  }

  /** Whether the answers so far show that an address has left the name. */
  hasLeft(address: string, now: number): boolean {
    const last = this.#runs.at(-1);
    if (last === undefined || last.addresses.has(address)) return false;
    const named = this.#named.get(address);
    const missing = this.#answers - (named?.answer ?? 0);
    if (!this.rotates(now)) {
      const needed = last.isWitnessed ? steadyAnswers : steadyAnswersOfCache;
      return last.count >= fewestAfter && (named?.run.count ?? 0) + missing >= needed;
    }
    const known = this.#named.size + (named === undefined ? 1 : 0);
    const smallest = Math.min(...this.#runs.map((run) => run.addresses.size));
    return missing >= rotationFactor * (known / smallest);
  }

  #begin(run: Run, now: number): void {
    this.#runs = [...this.#runs.slice(1 - mostRuns), run];
    for (const [address, { at }] of this.#named) if (now - at >= rememberedMillis) this.#named.delete(address);
    this.#note(run, now);
  }

  #note(run: Run, at: number): void {
    for (const address of run.addresses) this.#named.set(address, { answer: this.#answers, run, at });
  }

  // Of what was settled, from a cache that has not heard of the change.
  #isLateCopy(key: string, now: number): boolean {
    const [settled, interim] = this.#runs.slice(-2);
    if (settled === undefined || interim === undefined || settled.key !== key || settled.count < steadyAnswers)
      return false;
    const graceMillis = Math.max(this.#longestTtlMillis, shortestGraceMillis);
    return now - (settled.unsettledSince ?? interim.since) <= graceMillis;
  }

  #comesBackSoon(addresses: ReadonlySet<string>): boolean {
    return [...addresses].some((address) => {
      const named = this.#named.get(address);
      if (named === undefined || this.#excused.has(address)) return false;
      const missing = this.#answers - 1 - named.answer;
      return missing > 0 && missing < longestRotation;
    });
  }
}

/** Consecutive equal answers. */
interface Run {
  readonly key: string;
  readonly addresses: ReadonlySet<string>;
  count: number;
  /** Whether asking more often than once a TTL brings new answers, because the server does not answer from a cache. */
  isWitnessed: boolean;
  readonly since: number;
  /** When another answer first came, if this one came back from a cache. */
  unsettledSince?: number | undefined;
  /** At which count that is forgotten. */
  settledAgainAt?: number;
}

/** How many answers show how a name behaves. */
const steadyAnswers = 8;

const steadyAnswersOfCache = 12;

/** A name rotates if an address comes back after it was missing from fewer answers than this. */
const longestRotation = 32;

/** How many equal answers there must be after a change. */
const fewestAfter = 3;

const rotationFactor = 20;

/** TTLs are whole seconds, so the computed end of one cached answer varies by less than this. */
const ttlStepMillis = 1000;

/** CoreDNS caches for 30 s by default. */
const shortestGraceMillis = 30_000;

const rememberedMillis = 3_600_000;

const mostRuns = 512;
