import type { Clock, Random } from '@externalname/core';
import { withDeadline } from '@externalname/core/internal';
import type * as pg from 'pg';
import { askRole } from '../connect/session-role.ts';
import { hasWork, isUsable } from '../driver/client-internals.ts';
import { destroyClient } from '../driver/closing.ts';
import { isForgotten } from '../driver/prepared-statements.ts';
import { needsOf } from '../driver/unfinished.ts';
import { classifyFailure } from '../failures/classify.ts';
import type { RecentEvent } from '../recent-events.ts';
import type { Scope } from './scope.ts';

/** What a transaction needs from the pool. */
export interface TransactionHost {
  readonly name: string;
  readonly failoverTimeoutMillis: number;
  readonly clock: Clock;
  readonly random: Random;
  connect(options: { budgetMillis: number | undefined; signal: AbortSignal | undefined }): Promise<pg.PoolClient>;
  /** Gives up a client with its running statement: the statement fails with the given error, and ends on the server too. */
  abandon(client: pg.PoolClient, error: Error): void;
  /** Where the pool points. */
  target(): string | undefined;
  /** What was tried last on the way to a server. */
  recentEvents(): readonly RecentEvent[];
}

/** Rolls back and releases the client. Returns whether the server itself takes no writes. */
export async function endTransaction(
  host: TransactionHost,
  client: pg.PoolClient,
  scope: Scope,
  reason: unknown,
  how: 'polite' | 'at once' = 'polite',
): Promise<boolean> {
  scope.stopWatching();
  const failure = scope.failure === undefined ? undefined : classifyFailure(scope.failure, 'connected');
  let demoted = true;
  try {
    // Behind a cursor that is not read any more, ROLLBACK would never be sent.
    const isBlocked = needsOf(client) === 'caller' || (how === 'at once' && hasWork(client));
    if (!isUsable(client) || isBlocked) throw reason;
    demoted = await withDeadline(
      async () => {
        await client.query('ROLLBACK');
        if (failure?.kind !== 'read-only') return false;
        const role = await askRole(client);
        return role !== undefined && (role.inHotStandby || role.defaultReadOnly);
      },
      {
        clock: host.clock,
        timeoutMillis: rollbackTimeoutMillis,
        onTimeout: () => new Error(`the server did not roll back within ${rollbackTimeoutMillis} ms`),
      },
    );
  } catch (error) {
    // A client in an unknown state is not lent again; the server rolls back when the connection is gone.
    const broken = error instanceof Error ? error : new Error(String(error));
    giveUp(host, client, broken);
    client.release(scope.failure instanceof Error ? scope.failure : broken);
    return demoted;
  }
  const isInOrder = failure === undefined || failure.keepConnection || isForgotten(scope.failure);
  const keep = isInOrder || (failure.kind === 'read-only' && !demoted);
  client.release(keep ? undefined : (scope.failure as Error));
  return demoted;
}

/** Asks one question on a separate client, which is released whatever happens. */
export async function askWith<T>(
  host: TransactionHost,
  client: pg.PoolClient,
  ask: () => Promise<T>,
  { budgetMillis, signal }: { budgetMillis: number; signal: AbortSignal | undefined },
): Promise<T> {
  try {
    const answer = await withDeadline(ask, {
      signal,
      clock: host.clock,
      timeoutMillis: budgetMillis,
      onTimeout: () => new Error(`no answer within ${Math.round(budgetMillis)} ms`),
    });
    client.release();
    return answer;
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    if (!classifyFailure(error, 'connected').keepConnection) giveUp(host, client, failure);
    client.release(failure);
    throw error;
  }
}

/** Gives up a client, with its running statement. */
export function giveUp(host: TransactionHost, client: pg.PoolClient, error: Error): void {
  if (!isUsable(client)) return;
  if (hasWork(client)) host.abandon(client, error);
  else destroyClient(client, error);
}

// A statement of the application may still run before it.
const rollbackTimeoutMillis = 5_000;
