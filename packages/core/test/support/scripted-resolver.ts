import type { Clock } from '../../src/clock.ts';
import {
  type Hop,
  type Resolution,
  ResolutionError,
  type ResolutionFailure,
  type ResolveOptions,
  type Resolver,
} from '../../src/dns/index.ts';

/** What a {@link ScriptedResolver} says of one name. */
export type ScriptedRecord =
  | { readonly alias: string; readonly ttlSeconds: number }
  | { readonly addresses: readonly string[]; readonly ttlSeconds: number }
  | { readonly failure: ResolutionFailure };

/**
 * A resolver for tests: it answers from a table that the test writes, and counts what it is asked.
 * A name that is not in the table does not exist.
 *
 * @internal
 */
export class ScriptedResolver implements Resolver {
  /** What it was asked, in order. */
  readonly asked: { readonly name: string; readonly fresh: boolean }[] = [];
  /** Set to make every question fail as if no server answered. */
  isDown = false;
  /** Set to have it serve what it said before, marked stale, while it is down. */
  servesStale = false;
  /** Seconds by which its answers have aged in its cache; for questions that are not fresh. */
  ageSeconds = 0;
  readonly #clock: Clock;
  readonly #records = new Map<string, ScriptedRecord>();
  readonly #held: (() => void)[] = [];
  #holds = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Writes the table. */
  set(name: string, record: ScriptedRecord): void {
    this.#records.set(name, record);
  }

  /** Takes a name out of the table. */
  delete(name: string): void {
    this.#records.delete(name);
  }

  /** Answers are found at once from here on, but not given before `release` says so. */
  hold(): void {
    this.#holds = true;
  }

  /** Gives the answers that were held back: the one at `index`, or all of them, and holds back no more. */
  release(index?: number): void {
    if (index !== undefined) {
      for (const give of this.#held.splice(index, 1)) give();
      return;
    }
    this.#holds = false;
    for (const give of this.#held.splice(0)) give();
  }

  async resolve(name: string, options: ResolveOptions = {}): Promise<Resolution> {
    const fresh = options.fresh ?? false;
    this.asked.push({ name, fresh });
    const answer = this.#answer(name, fresh);
    answer.catch(() => {}); // It may be held back, and an error is no less handled for that.
    if (this.#holds) await new Promise<void>((resolve) => this.#held.push(resolve));
    return answer;
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  async #answer(name: string, fresh: boolean): Promise<Resolution> {
    if (this.isDown && !this.servesStale) throw new ResolutionError('unavailable', name);
    const chain: Hop[] = [];
    for (let current = name; ; ) {
      const record = this.#records.get(current) ?? { failure: 'not-found' };
      if ('failure' in record) throw new ResolutionError(record.failure, name, { chain });
      const { ttlSeconds } = record;
      if ('alias' in record) {
        if (chain.length > 10) throw new ResolutionError('loop', name, { chain });
        chain.push({ name: current, target: record.alias, ttlSeconds, server: '10.96.0.10:53', elapsedMillis: 1 });
        current = record.alias;
        continue;
      }
      const ttls = [...chain.map((hop) => hop.ttlSeconds), ttlSeconds];
      const age = fresh ? 0 : this.ageSeconds;
      return {
        name,
        chain,
        canonicalName: current,
        addresses: record.addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4, ttlSeconds })),
        expiresAt: this.#clock.now() + (Math.min(...ttls) - age) * 1000,
        stale: this.isDown,
      };
    }
  }
}
