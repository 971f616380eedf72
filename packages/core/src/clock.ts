/**
 * Time as a dependency, so that a test can own it.
 *
 * `now()` is monotonic: use it for differences. `date()` is the wall clock, for people and certificates.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start. Never goes back. */
  now(): number;
  /** The wall clock. It may jump. */
  date(): Date;
  /**
   * Calls back once, `delayMillis` from now, and never inside this call.
   * A timer with `background: true` does not keep the process alive.
   */
  schedule(callback: () => void, delayMillis: number, options?: ScheduleOptions): Timer;
}

/** See {@link Clock.schedule}. */
export interface ScheduleOptions {
  /** Whether the process may end while this timer runs. @defaultValue false */
  background?: boolean | undefined;
}

/** A scheduled call. */
export interface Timer {
  /** Cancels the call for good. Does nothing after the call was made. */
  cancel(): void;
  /**
   * Starts the whole delay over, whether or not the call was made already. Does nothing after `cancel()`.
   * Cheaper than a new timer for a call that is postponed again and again.
   */
  restart(): void;
}

/** Randomness as a dependency: a number from 0 up to, but not including, 1. */
export type Random = () => number;

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  schedule(callback, delayMillis, options) {
    return new SystemTimer(callback, delayMillis, options?.background === true);
  },
};

// A class makes one object for each timer; closures would make three.
class SystemTimer implements Timer {
  #handle: NodeJS.Timeout | undefined;

  constructor(callback: () => void, delayMillis: number, background: boolean) {
    this.#handle = setTimeout(callback, Math.min(Math.max(delayMillis, 0), longestDelayMillis));
    if (background) this.#handle.unref();
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  restart(): void {
    this.#handle?.refresh();
  }
}

/** `Math.random()`. Good for jitter and choices, not for secrets. */
export const systemRandom: Random = () => Math.random();

// setTimeout() fires at once for anything longer (Node.js documentation, timers).
const longestDelayMillis = 2 ** 31 - 1;
