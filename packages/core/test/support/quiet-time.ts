import { setTimeout as pause } from 'node:timers/promises';
import type { ManualClock } from './manual-clock.ts';

/** See {@link inQuietTime}. */
export interface QuietTimeOptions {
  readonly clock: ManualClock;
  /** Changes with everything that is sent or has arrived. */
  readonly traffic: () => number;
  /** How much time passes at once. Milliseconds. */
  readonly stepMillis: number;
}

/**
 * Waits for a promise while the clock moves, but only as long as nothing goes to or fro: an answer that is on its way is then never late, however
 * busy the machine is.
 */
export async function inQuietTime<T>(
  promise: Promise<T>,
  { clock, traffic, stepMillis }: QuietTimeOptions,
): Promise<T> {
  let isSettled = false;
  const settle = () => {
    isSettled = true;
  };
  promise.then(settle, settle);
  while (!isSettled) {
    for (let before = -1; before !== traffic(); await pause(10)) before = traffic();
    if (!isSettled) await clock.advance(stepMillis);
  }
  return promise;
}
