import type { Clock } from '../clock.ts';
import { addressOf } from '../connect/index.ts';
import type { Endpoint } from '../targets/index.ts';

/** The addresses that could not be used lately: for ten seconds, they are left out if there are others. @internal */
export class FailedAddresses {
  readonly #clock: Clock;
  readonly #failedAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  report(endpoint: Endpoint, failed: boolean): void {
    if (failed) this.#failedAt.set(addressOf(endpoint), this.#clock.now());
    else this.#failedAt.delete(addressOf(endpoint));
  }

  usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    const oldest = this.#clock.now() - memoryMillis;
    const usable = endpoints.filter(
      (each) => (this.#failedAt.get(addressOf(each)) ?? Number.NEGATIVE_INFINITY) < oldest,
    );
    return usable.length === 0 ? endpoints : usable;
  }
}

const memoryMillis = 10_000;
