/**
 * Time as a dependency, so that a test can own it.
 *
 * `now()` is monotonic and only good for differences; `date()` is the calendar's time, for people and certificates.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  now(): number;
  /** The calendar's time. May jump. */
  date(): Date;
  /**
   * Calls back once, `delayMillis` from now, never inside this call.
   * A timer with `background: true` does not keep the process alive.
   */
  schedule(callback: () => void, delayMillis: number, options?: ScheduleOptions): Timer;
}

/** See {@link Clock.schedule}. */
export interface ScheduleOptions {
  /** Whether the process may end while this timer runs. @defaultValue false */
  background?: boolean | undefined;
}

/** A call that is still to come. */
export interface Timer {
  /** Takes the call back. Does nothing once it was made or taken back. */
  cancel(): void;
}

/** Chance as a dependency: a number from 0 up to, not including, 1. */
export type Random = () => number;

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  schedule(callback, delayMillis, options) {
    const handle = setTimeout(callback, Math.min(Math.max(delayMillis, 0), longestDelayMillis));
    if (options?.background) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** The randomness of this machine. Good for jitter and choice, not for secrets. */
export const systemRandom: Random = () => Math.random();

// setTimeout() fires at once for anything longer (Node.js documentation, timers).
const longestDelayMillis = 2 ** 31 - 1;
