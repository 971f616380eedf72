import type { Clock } from '@externalname/core';
import type { Connections } from '@externalname/core/internal';
import type * as pg from 'pg';
import { requestCancel, serverAddressOf } from '../driver/cancel-request.ts';
import { destroyClient } from '../driver/closing.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import { classifyFailure } from '../failures/classify.ts';
import type { PoolSettings } from '../options.ts';
import type { CheckoutQueue } from './checkout-queue.ts';
import { type PgPool, throwLater } from './pg-pool.ts';
import type { ConnectionHost, PooledConnection } from './pooled-connection.ts';

/** What {@link connectionHost} needs. */
export interface ConnectionHostParts {
  readonly pool: PgPool;
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly factory: ConnectionFactory;
  readonly connections: Connections<PooledConnection>;
  readonly queue: CheckoutQueue;
  /** Fires when waiting for the end of the pool is over. */
  cutting(): AbortSignal;
  /** A draining connection is closing. */
  drained(): void;
  /** A connection is closed. */
  closed(): void;
}

/** What {@link requestCancelOf} needs. */
export type CancelParts = Pick<ConnectionHostParts, 'settings' | 'clock' | 'factory' | 'connections' | 'cutting'>;

/** What the pool does with its connections. */
export function connectionHost(parts: ConnectionHostParts): ConnectionHost {
  const { pool, settings, clock, factory, connections, queue, drained, closed } = parts;
  return {
    clock,
    forget: (connection) => {
      pool._clients = pool._clients.filter((other) => other !== connection.client);
      return connections.drop(connection);
    },
    drained,
    releasePermit: (permit) => queue.release(permit),
    closed: (connection, announced) => {
      connections.forget(connection);
      if (announced) throwLater(() => pool.emit('remove', connection.client));
      connection.releasePermit();
      closed();
    },
    failed: ({ endpoint }, error) => {
      if (classifyFailure(error, 'connected').condemnsServer) factory.suspect(error, endpoint);
    },
    // A connection that ends while a caller has it does not need its place any more, and its caller may never release it: some
    // libraries forget a client whose ROLLBACK fails. Nor may `end()` wait for it.
    ended: (connection) => {
      if (connection.isOver) return;
      const { isOut } = connection;
      connection.lose();
      // For a plain host, its caller still releases it, as in `pg`.
      if (isOut && !settings.follows) return;
      connection.close();
    },
    idleFailed: (connection, error) => {
      if (connection.isOver) return;
      (error as Error & { client?: unknown }).client = connection.client;
      Object.defineProperty(error, 'client', { enumerable: false });
      connection.ignoreIdleErrors();
      connection.close();
      if (pool.listenerCount('error') > 0) pool.emit('error', error, connection.client as pg.PoolClient);
    },
    cancelStatement: (connection) => cancelStatement(parts, connection),
  };
}

// Never rejects.
async function cancelStatement(parts: ConnectionHostParts, connection: PooledConnection): Promise<void> {
  await requestCancelOf(parts, connection);
  destroyClient(connection.client);
}

/** Asks the server of a connection to end what it runs. Never rejects. If a server does not accept the request in time, it is suspect. */
export async function requestCancelOf(parts: CancelParts, connection: PooledConnection): Promise<void> {
  const { settings, clock, factory, connections, cutting } = parts;
  const { client, endpoint, epoch } = connection;
  const wasCurrent = connections.isCurrent(connection);
  const signal = cutting();
  try {
    await requestCancel(client, endpoint ?? serverAddressOf(client), { clock, signal });
  } catch (error) {
    const isCurrent = wasCurrent && epoch === connections.epoch;
    if (settings.follows && isCurrent && !signal.aborted) factory.suspect(error, endpoint);
  }
}
