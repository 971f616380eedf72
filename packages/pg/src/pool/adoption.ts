import type { Clock } from '@externalname/core';
import { type Connections, withDeadline } from '@externalname/core/internal';
import { ConnectTimeoutError } from '../errors.ts';
import type { MadeConnection } from '../failover/connection-factory.ts';
import type { PoolSettings } from '../options.ts';
import type { Lending } from './lending.ts';
import { type PgPool, throwLater } from './pg-pool.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { Preparation } from './preparation.ts';

/** What {@link adoptIdle} needs. */
export interface AdoptionParts {
  readonly pool: PgPool;
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly connections: Connections<PooledConnection>;
  readonly preparation: Preparation;
  readonly lending: Lending;
}

/**
 * Adds a new connection that no caller waits for, runs the application's hook on it, and makes it idle.
 *
 * @throws what the hook throws, or that it took too long: then the connection is closed
 */
export async function adoptIdle(parts: AdoptionParts, made: MadeConnection): Promise<void> {
  const { pool, settings, clock, connections, preparation, lending } = parts;
  const { attemptTimeoutMillis, name } = settings;
  const connection = preparation.adopt(made);
  connections.add(connection);
  connection.hearIdleErrors();
  try {
    await withDeadline(() => preparation.runHook(connection), {
      timeoutMillis: attemptTimeoutMillis,
      onTimeout: () => new ConnectTimeoutError(name, attemptTimeoutMillis),
      clock,
    });
  } catch (error) {
    connection.close('broken');
    throw error;
  }
  if (!connections.isCurrent(connection) || lending.isOver) {
    connection.close();
    return;
  }
  throwLater(() => pool.emit('connect', connection.client));
  lending.makeIdle(connection);
}
