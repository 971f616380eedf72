import type { Clock, Random } from '@externalname/core';
import type { Connections } from '@externalname/core/internal';
import type * as pg from 'pg';
import { destroyClient } from '../driver/closing.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import type { PoolSettings } from '../options.ts';
import type { TransactionHost } from '../transaction/rollback.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** What {@link transactionHost} needs. */
export interface TransactionHostParts {
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly factory: ConnectionFactory;
  readonly connections: Connections<PooledConnection>;
  readonly connect: TransactionHost['connect'];
}

/** What the transactions of a pool need from it. */
export function transactionHost({ settings, factory, connections, ...parts }: TransactionHostParts): TransactionHost {
  const { name, failoverTimeoutMillis } = settings;
  return {
    ...parts,
    name,
    failoverTimeoutMillis,
    abandon: (client, error) => {
      if (!abandonOwn(connections, client, error)) destroyClient(client, error);
    },
    target: () => factory.target?.externalName,
    recentEvents: () => factory.recentEvents,
  };
}

/** Gives up a client with its running statement, if it is one of these. Whether it is. */
export function abandonOwn(connections: Connections<PooledConnection>, client: pg.PoolClient, error: Error): boolean {
  const connection = [...connections.open()].find((each) => each.client === client);
  connection?.abandon(error);
  return connection !== undefined;
}
