/** What has failed, and when to try it again: after a pause that doubles each time a try fails, too. @internal */
export class RetryPause {
  readonly #longestMillis: number;
  #failedAt: number;
  #millis: number;
  #until: number;

  constructor(now: number, millis: number, longestMillis: number) {
    this.#longestMillis = longestMillis;
    this.#failedAt = now;
    this.#millis = millis;
    this.#until = now + millis;
  }

  /** When it failed last. */
  get failedAt(): number {
    return this.#failedAt;
  }

  /** Whether it is never tried again. */
  get isEndless(): boolean {
    return !Number.isFinite(this.#millis);
  }

  isOver(now: number): boolean {
    return now >= this.#until;
  }

  /** Many see one failure. Only one that comes after the pause makes it longer. */
  failed(now: number): void {
    if (now >= this.#failedAt + this.#millis) this.#millis = Math.min(this.#millis * 2, this.#longestMillis);
    this.#failedAt = now;
    this.#until = now + this.#millis;
  }

  /** One caller tries it: others do not, until that is reported, or for as long again. */
  tried(now: number, millis = this.#millis): void {
    this.#until = now + millis;
  }
}
