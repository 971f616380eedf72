import type { Random } from '@externalname/core';
import { backoffMillis } from '@externalname/core/internal';

/** How fast a broken watch is retried. All in milliseconds. */
export interface ReconnectSettings {
  /** Delay before the first retry, on average three quarters of it. */
  readonly initialMillis: number;
  /** Longest delay. */
  readonly maxMillis: number;
  /** A connection that lasted this long was a good one: the next failure starts from the beginning. */
  readonly stableMillis: number;
}

/** What one connection was like. */
export interface ConnectionEnd {
  /** From the request to the end of the connection, in milliseconds. */
  readonly lastedMillis: number;
  /** `Retry-After` of the server, in seconds. */
  readonly retryAfterSeconds?: number | undefined;
}

/** How many connections in a row were bad, and how long to wait before the next. */
export interface Reconnect {
  readonly failures: number;
  readonly delayMillis: number;
}

/**
 * Exponential backoff with jitter over half of the wait, so that many clients of a restarted server do not come back
 * together. How long a connection lasted decides whether it was good, not what it delivered: if a server (or a proxy)
 * answers and closes at once, again and again, it is retried at the slow pace and not a thousand times a second.
 */
export function nextConnection(
  failures: number,
  end: ConnectionEnd,
  settings: ReconnectSettings,
  random: Random,
): Reconnect {
  const next = end.lastedMillis >= settings.stableMillis ? 0 : failures + 1;
  const bounds = { shortestMillis: settings.initialMillis, longestMillis: settings.maxMillis };
  const delayMillis = Math.max(backoffMillis(next, bounds, random), (end.retryAfterSeconds ?? 0) * 1000);
  return { failures: next, delayMillis };
}
