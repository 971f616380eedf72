/**
 * How many of a pool's connections are with texts that are known to be slow. While quick ones come, it is all but one, so that however
 * many slow ones come at a time, quick ones get through.
 */
export class SlowShare {
  readonly #most: number;
  #running = 0;
  #isQuickAsked = false;
  #looksWithoutQuick = looksUntilAll;

  /** @param max how many connections the pool has */
  constructor(max: number) {
    this.#most = Math.max(1, max - 1);
  }

  /** How many more may run. */
  get room(): number {
    return this.#looksWithoutQuick >= looksUntilAll
      ? Number.POSITIVE_INFINITY
      : Math.max(0, this.#most - this.#running);
  }

  begin(): void {
    this.#running += 1;
  }

  end(): void {
    this.#running -= 1;
  }

  /** A quick one comes. */
  quickAsked(): void {
    this.#isQuickAsked = true;
    this.#looksWithoutQuick = 0;
  }

  /** Called again and again while queries run. Whether there is room for more since then. */
  look(): boolean {
    this.#looksWithoutQuick = this.#isQuickAsked ? 0 : this.#looksWithoutQuick + 1;
    this.#isQuickAsked = false;
    return this.#looksWithoutQuick === looksUntilAll;
  }
}

const looksUntilAll = 20;
