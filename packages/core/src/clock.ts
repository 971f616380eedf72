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
  /** Takes the call back, for good. Does nothing once it was made. */
  cancel(): void;
  /**
   * Begins its whole delay anew, whether the call is still to come or was made already. Does nothing once it was taken back.
   * Cheaper than a new timer, for what is put off again and again.
   */
  restart(): void;
}

/** Chance as a dependency: a number from 0 up to, not including, 1. */
export type Random = () => number;

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  schedule(callback, delayMillis, options) {
    return new SystemTimer(callback, delayMillis, options?.background === true);
  },
};

// A class, as it makes one object for each timer, where closures would make three.
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

/** The randomness of this machine. Good for jitter and choice, not for secrets. */
export const systemRandom: Random = () => Math.random();

// setTimeout() fires at once for anything longer (Node.js documentation, timers).
const longestDelayMillis = 2 ** 31 - 1;
