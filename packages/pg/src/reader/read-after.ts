import type { Clock } from '@externalname/core';
import { CatchUp, recordOutcome } from '@externalname/core/internal';
import type * as pg from 'pg';
import { hasReached, readPosition, type ServerPosition, type WalPosition } from '../connect/wal-position.ts';
import { NotReplayedError } from '../errors.ts';
import { tokenAwaited } from '../events.ts';
import type { ReaderLink, ReaderWait } from './reader-link.ts';

/** What {@link ReadAfter} needs. */
export interface ReadAfterParts {
  readonly name: string;
  readonly failoverTimeoutMillis: number;
  readonly clock: Clock;
  readonly link: ReaderLink | undefined;
  /** A connection of the pool itself. */
  connect(wait: ReaderWait): Promise<pg.PoolClient>;
}

/** Reads that see what a token names: read-your-writes. */
export class ReadAfter extends CatchUp<pg.PoolClient, WalPosition, ServerPosition, ReaderWait> {
  constructor({ name, failoverTimeoutMillis, clock, link, connect }: ReadAfterParts) {
    const { connectPrimary, settings: { catchUpMillis } = { catchUpMillis: 0 } } = link ?? {};
    // A pool that does not wait for servers does not do so here either.
    const asAsked = (wait: ReaderWait) => (failoverTimeoutMillis === 0 ? { ...wait, budgetMillis: undefined } : wait);
    super({
      ...{ clock, catchUpMillis, hasReached },
      limitMillis: failoverTimeoutMillis || catchUpMillis,
      connect: (wait) => connect(asAsked(wait)),
      connectPrimary: connectPrimary && ((wait) => connectPrimary(asAsked(wait))),
      release: (client, error) => {
        if (error !== undefined) recordOutcome(error, 'not-executed');
        client.release(error as Error | undefined);
      },
      positionOf: readPosition,
      hasForGood: (reached, token) => reached.inRecovery && hasReached(reached, token),
      notReplayed: (limitMillis) => new NotReplayedError(name, limitMillis),
      waited: (server, durationMillis) => tokenAwaited.publish(() => ({ name, server, durationMillis })),
    });
  }

  /** Runs a query once, on a server that has replayed the token. */
  async query(token: WalPosition, text: unknown, values: unknown, wait: ReaderWait): Promise<unknown> {
    const { client, isPrimary } = await this.connect(token, wait);
    try {
      // What a reader sends must not write, on a session of the primary neither.
      if (isPrimary) await client.query('BEGIN READ ONLY');
      const result = await client.query(text as string, values as unknown[]);
      if (isPrimary) await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      client.release(error as Error);
      throw error;
    }
  }
}
