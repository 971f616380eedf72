/** An answer about the addresses of one family that a name has. */
export interface AddressAnswer {
  /** Not empty. */
  readonly addresses: readonly string[];
  /** Until when the server that gave it would give the same again out of a cache, in `now()` milliseconds. */
  readonly expiresAt: number;
  readonly ttlMillis: number;
}

/**
 * Tells an address that has left its name from one that a rotating answer did not name this time. Pure.
 *
 * Many names give a part of their addresses with each answer: round robin, Aurora's reader endpoint, Route 53's multivalue answers. There
 * an address that is missing means nothing. So what counts is how the answers behave, each of them once (one out of a cache that
 * says the same again is no second witness):
 *
 * - A name that moves has one answer for a while, and then another one. Eight answers say so, before and after the change together, and
 *   at least three after it, which must be the same. Twelve, if a cache gives them: then nothing can be learned by asking more often.
 * - A name that rotates brings an address back that was missing from less than 32 answers. Seen once, this counts for an hour. Then an
 *   address must be missing from twenty times as many answers in a row as it takes to name all that the name was seen to have. Were the
 *   answers drawn at random, it would be missing by chance once in 480 million times (e^-20).
 * - After a name has moved, caches give the old answer for its TTL beside the new one. An answer that was the only one eight times over
 *   and comes back within that time is no rotation.
 */
export class AddressHistory {
  /** Runs of equal answers, the oldest first. */
  #runs: Run[] = [];
  /** When each address was named last, by the number of the answer, and in which run. */
  readonly #named = new Map<string, { readonly answer: number; readonly run: Run; readonly at: number }>();
  #answers = 0;
  /** What a change named before the old answer came back from a cache: it does not rotate for being named again. */
  #excused: ReadonlySet<string> = new Set();
  #lastExpiresAt = Number.NEGATIVE_INFINITY;
  #longestTtlMillis = 0;
  /** When an address came back too soon for a name that does not rotate. */
  #rotatedAt = Number.NEGATIVE_INFINITY;

  /** Takes an answer. */
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

  /** Whether the last answer names it. */
  names(address: string): boolean {
    return this.#runs.at(-1)?.addresses.has(address) ?? false;
  }

  /** Whether the name was seen to rotate, within the hour. */
  rotates(now: number): boolean {
    return now - this.#rotatedAt < rememberedMillis;
  }

  /** Whether the answers so far say that an address has left the name. */
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

/** Equal answers, one after the other. */
interface Run {
  readonly key: string;
  readonly addresses: ReadonlySet<string>;
  count: number;
  /** Whether asking more often than once a TTL brings answers of their own: the server does not give them out of a cache. */
  isWitnessed: boolean;
  readonly since: number;
  /** When another answer came first, where this one came back from a cache. */
  unsettledSince?: number | undefined;
  /** At which count that is forgotten. */
  settledAgainAt?: number;
}

/** How many answers show how a name behaves. */
const steadyAnswers = 8;

const steadyAnswersOfCache = 12;

/** How many answers may be without an address that comes back for its name to rotate. */
const longestRotation = 32;

/** How many equal answers there must be after a change. */
const fewestAfter = 3;

const rotationFactor = 20;

/** TTLs are whole seconds: of one cached answer, the end that they give moves by less than this. */
const ttlStepMillis = 1000;

/** CoreDNS keeps what it has for 30 s unless told otherwise. */
const shortestGraceMillis = 30_000;

const rememberedMillis = 3_600_000;

const mostRuns = 512;
