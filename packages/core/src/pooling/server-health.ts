import type { Clock } from '../clock.ts';

/**
 * What is known about the server behind a pool.
 *
 * | state | the server |
 * | --- | --- |
 * | `unknown` | was never asked for anything |
 * | `untried` | of this epoch was not reached yet, and may not be there |
 * | `serving` | was reached or used, and nothing has failed since |
 * | `suspected` | became suspect: connections that were idle then must be checked |
 */
export class ServerHealth {
  readonly #clock: Clock;
  #state: 'unknown' | 'untried' | 'serving' | 'suspected' = 'unknown';
  #suspectedAt = Number.NEGATIVE_INFINITY;
  #everServed = false;
  #servedAt: number | undefined;
  #address: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get serving(): boolean {
    return this.#state === 'serving';
  }

  /** Whether nothing speaks against it: also true before the first attempt, or a pod's readiness check would never let a request in. */
  get seemsToServe(): boolean {
    return this.#state === 'serving' || this.#state === 'unknown';
  }

  /** When this epoch's server last became suspect, in `now()` milliseconds, even if it serves again. */
  get suspectedAt(): number {
    return this.#suspectedAt;
  }

  /** When this epoch's server was last heard from, in `now()` milliseconds. */
  get servedAt(): number | undefined {
    return this.#servedAt;
  }

  /** Whether any server ever served. Before that, a name that does not resolve is an error, not an outage. */
  get everServed(): boolean {
    return this.#everServed;
  }

  /** Where the last connection that was made leads: `address:port`. */
  get address(): string | undefined {
    return this.#address;
  }

  /** A connection was made, to that address if it is known. */
  reached(address?: string): void {
    this.#address = address ?? this.#address;
    this.#everServed = true;
    this.confirmed();
  }

  /** A connection was used, and its server has the wanted role. */
  confirmed(at = this.#clock.now()): void {
    this.#state = 'serving';
    this.#servedAt = at;
  }

  /** No connection could be made. */
  failed(): void {
    if (this.#state === 'unknown') this.#state = 'untried';
  }

  suspect(): void {
    this.#state = 'suspected';
    this.#suspectedAt = this.#clock.now();
  }

  /** From now on it is another server; `serving` if there is already a connection to it. */
  targetChanged(serving: boolean): void {
    this.#state = serving ? 'serving' : 'untried';
    this.#servedAt = serving ? this.#clock.now() : undefined;
    this.#suspectedAt = Number.NEGATIVE_INFINITY;
  }
}
