import type { Clock, ScheduleOptions, Timer } from '../../src/clock.ts';

interface Entry {
  at: number;
  order: number;
  readonly callback: () => void;
  readonly background: boolean;
}

/**
 * A clock that a test moves by hand.
 *
 * `advance()` runs due timers in order and lets promises settle in between, so that timers which set other timers run as
 * they would in real time.
 *
 * @internal
 */
export class ManualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #start: Date;
  readonly #entries = new Set<Entry>();

  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    this.#start = start;
  }

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(this.#start.getTime() + this.#now);
  }

  /** Timers that are set and not yet due, so that a test can assert that none is left. */
  get pending(): number {
    return this.#entries.size;
  }

  schedule(callback: () => void, delayMillis: number, options?: ScheduleOptions): Timer {
    let cancelled = false;
    const entry: Entry = { at: 0, order: 0, callback, background: options?.background ?? false };
    const begin = () => {
      entry.at = this.#now + Math.max(delayMillis, 0);
      entry.order = this.#order++;
      this.#entries.add(entry);
    };
    begin();
    return {
      cancel: () => {
        cancelled = true;
        this.#entries.delete(entry);
      },
      restart: () => {
        if (!cancelled) begin();
      },
    };
  }

  /** Moves time forward by `millis` and runs the timers that become due. */
  async advance(millis: number): Promise<void> {
    const end = this.#now + millis;
    await settle();
    for (let due = this.#next(end); due !== undefined; due = this.#next(end)) {
      this.#entries.delete(due);
      this.#now = due.at;
      due.callback();
      await settle();
    }
    this.#now = end;
  }

  /**
   * Waits for a promise while time stands still: what is due now is called, and what takes any time never settles. For work with real
   * sockets that has to be over at this very moment of the clock, however long the machine takes for it.
   */
  async atOnce<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    while (!isSettled) await this.advance(0);
    return promise;
  }

  #next(end: number): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.at > end) continue;
      if (first === undefined || entry.at < first.at || (entry.at === first.at && entry.order < first.order)) {
        first = entry;
      }
    }
    return first;
  }
}

// A turn of the event loop's check phase comes after every microtask, however long their chain.
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
