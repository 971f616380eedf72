import type { Random } from './clock.ts';

/** Bounds of a pause that doubles. Milliseconds. */
export interface BackoffBounds {
  /** The pause after the first failure. */
  readonly shortestMillis: number;
  /** No pause is longer. */
  readonly longestMillis: number;
}

/**
 * The pause after so many failures in a row, in milliseconds: it doubles with each one. With `random`, chance takes up to half of it
 * away, so that many clients of one restarted server do not come back together.
 */
export function backoffMillis(
  failures: number,
  { shortestMillis, longestMillis }: BackoffBounds,
  random?: Random,
): number {
  const pause = Math.min(shortestMillis * 2 ** Math.max(0, failures - 1), longestMillis);
  return random === undefined ? pause : pause * (0.5 + random() / 2);
}
