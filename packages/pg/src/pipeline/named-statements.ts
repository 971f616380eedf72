import type { KnownText } from './known-texts.ts';
import type { PreparedStatement } from './lane-query.ts';

/**
 * What a connection has prepared under names of the pool. The one that was used longest ago makes place for the next.
 *
 * Pure bookkeeping: it sends nothing.
 */
export class NamedStatements {
  readonly #most: number;
  // In one map, and without an order that each use would change: that took twice the memory, on each connection.
  readonly #names = new Map<string, PreparedStatement>();
  #uses = 0;
  /** Counts up when names are forgotten: the server may still have them, and for a text that has changed its meaning. */
  #generation = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#names.size;
  }

  /** The name for a text, and the name that has to make place for it. */
  use(text: KnownText): { readonly name: string; readonly fallsOut: string | undefined } {
    const name = this.#generation === 0 ? text.name : `${text.name}_${this.#generation}`;
    this.#uses += 1;
    const known = this.#names.get(name);
    if (known !== undefined) known.usedAt = this.#uses;
    else this.#names.set(name, { rows: undefined, usedAt: this.#uses });
    return { name, fallsOut: this.#names.size > this.#most ? this.#dropOldest() : undefined };
  }

  get(name: string): PreparedStatement | undefined {
    return this.#names.get(name);
  }

  /** The name is prepared again: nothing is known of its statement. */
  replace(name: string): PreparedStatement {
    const { usedAt = this.#uses } = this.#names.get(name) ?? {};
    const prepared: PreparedStatement = { rows: undefined, usedAt };
    this.#names.set(name, prepared);
    return prepared;
  }

  /** Gives up a name. Whether it was there. */
  drop(name: string): boolean {
    return this.#names.delete(name);
  }

  /** The server says of this name that it has lost it, or that it means something else by now. Others may be as old. Returns what is forgotten. */
  forget(name: string): readonly string[] {
    return this.#names.has(name) ? this.forgetAll() : [];
  }

  /** The server has forgotten all names. Returns them. */
  forgetAll(): readonly string[] {
    const names = [...this.#names.keys()];
    this.#names.clear();
    if (names.length > 0) this.#generation += 1;
    return names;
  }

  // Looks at all of them. To prepare the one that comes in their place takes the server much longer.
  #dropOldest(): string | undefined {
    let oldest: string | undefined;
    let oldestUse = Number.POSITIVE_INFINITY;
    for (const [name, { usedAt }] of this.#names) {
      if (usedAt >= oldestUse) continue;
      oldest = name;
      oldestUse = usedAt;
    }
    if (oldest !== undefined) this.#names.delete(oldest);
    return oldest;
  }
}
