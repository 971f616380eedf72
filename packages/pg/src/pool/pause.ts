import type { Clock } from '@externalname/core';
import { type Connections, Pause } from '@externalname/core/internal';
import { PauseEndedError } from '../errors.ts';
import { paused, resumed } from '../events.ts';
import type { PoolSettings } from '../options.ts';
import type { CheckoutQueue } from './checkout-queue.ts';
import { poolEndedError } from './pg-pool.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** Holds the callers of a pool, and tells so. */
export function pauseOf(parts: {
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly queue: CheckoutQueue;
  readonly connections: Connections<PooledConnection>;
}): Pause {
  const { clock, queue, connections } = parts;
  const { name, plannedHoldMillis } = parts.settings;
  return new Pause({
    ...{ clock, queue, plannedHoldMillis },
    isQuiet: () => [...connections.open()].every((each) => !each.isBusy),
    endedEarly: (reason) => new PauseEndedError(name, reason),
    poolEnded: poolEndedError,
    paused: (cause) => paused.publish(() => ({ name, cause })),
    resumed: (end) => resumed.publish(() => ({ name, ...end })),
  });
}
