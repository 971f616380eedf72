import type { KnownText } from './known-texts.ts';

/**
 * Which texts a connection has prepared under names of the pool. The one that was used longest ago makes place for the next.
 *
 * Pure bookkeeping: it sends nothing.
 */
export class NamedStatements {
  readonly #most: number;
  // In the order of their last use.
  readonly #names = new Map<string, KnownText>();
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
    const wasThere = this.#names.delete(name);
    this.#names.set(name, text);
    let fallsOut: string | undefined;
    if (!wasThere && this.#names.size > this.#most) {
      [fallsOut] = this.#names.keys();
      if (fallsOut !== undefined) this.#names.delete(fallsOut);
    }
    return { name, fallsOut };
  }

  has(name: string): boolean {
    return this.#names.has(name);
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
}
