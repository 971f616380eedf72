import { recordOutcome } from '@externalname/core/internal';
import { FailoverTimeoutError } from '../errors.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import type { PoolSettings } from '../options.ts';
import { attachRecentEvents } from '../recent-events.ts';
import type { Checkout } from './checkout.ts';

/** The error of a checkout that ran out of time. */
export function checkoutTimeout(
  { hasPermit, hadToWait, lastError }: Checkout,
  timeoutMillis: number,
  { connectionTimeoutMillis, name, follows }: PoolSettings,
  { recentEvents }: ConnectionFactory,
): Error {
  if (hasPermit && lastError !== undefined && connectionTimeoutMillis === 0) {
    return new FailoverTimeoutError(name, timeoutMillis, { cause: lastError, recentEvents });
  }
  // In the words of pg-pool.
  const text = hasPermit
    ? 'Connection terminated due to connection timeout'
    : 'timeout exceeded when trying to connect';
  const error = new Error(text, lastError === undefined ? undefined : { cause: lastError });
  if (!hasPermit || hadToWait) crowdedOut.add(error);
  recordOutcome(error, 'not-executed');
  if (follows) attachRecentEvents(error, recentEvents);
  return error;
}

/** Whether a checkout ran out of time because others had all connections, at least for a part of it. */
export function isCrowdedOut(error: unknown): boolean {
  return error instanceof Error && crowdedOut.has(error);
}

const crowdedOut = new WeakSet<Error>();
