import type { Clock } from '@externalname/core';
import { recordOutcome, sleep } from '@externalname/core/internal';
import type * as pg from 'pg';
import { hasReached, readPosition, type WalPosition } from '../connect/wal-position.ts';
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

/** How reads with a token were served. */
export interface TokenReads {
  /** How many there were. */
  readonly total: number;
  /** How many had to wait for a server to replay their token. */
  readonly waited: number;
  /** How many went to the primary, because the standby did not replay it in time. */
  readonly toPrimary: number;
}

/** Finds connections to servers that have what a token names: read-your-writes. */
export class ReadAfter {
  readonly #parts: ReadAfterParts;
  readonly #counts = { total: 0, waited: 0, toPrimary: 0 };
  /** How far the server of a session was when it was last asked. A session does not change its server. */
  readonly #reached = new WeakMap<pg.PoolClient, Awaited<ReturnType<typeof readPosition>>>();
  /** Whether the last standby that was waited for did not replay in time: the next read does not wait as long again. */
  #isBehind = false;

  constructor(parts: ReadAfterParts) {
    this.#parts = parts;
  }

  counts(): TokenReads {
    return { ...this.#counts };
  }

  /**
   * A connection to a server that has replayed the token.
   *
   * @throws NotReplayedError `ERR_EXTERNALNAME_NOT_REPLAYED` if there is none in time, and what `connect` throws
   */
  async connect(token: WalPosition, { borrower, budgetMillis, signal }: ReaderWait): Promise<Found> {
    const { clock, link, name, failoverTimeoutMillis, connect } = this.#parts;
    const beganAt = clock.now();
    const limitMillis = budgetMillis ?? (failoverTimeoutMillis || (link?.settings.catchUpMillis ?? 0));
    const left = () => limitMillis - (clock.now() - beganAt);
    const wait = () => ({
      budgetMillis: failoverTimeoutMillis === 0 ? undefined : Math.max(1, left()),
      signal,
      borrower,
    });
    const catchUpMillis = link?.connectPrimary === undefined ? limitMillis : link.settings.catchUpMillis;
    this.#counts.total += 1;
    for (let first = true; ; first = false) {
      const client = await connect(wait());
      const patience = Math.min(left(), this.#isBehind && link?.connectPrimary !== undefined ? 0 : catchUpMillis);
      const asks = await this.#asksUntilThere(client, token, patience, signal);
      if (asks !== undefined) {
        this.#isBehind = false;
        if (!first || asks > 1) this.#tell('standby', beganAt);
        return { client, isReadOnly: link !== undefined };
      }
      this.#isBehind = true;
      client.release();
      const primary = await link?.connectPrimary?.(wait());
      if (primary !== undefined && (await this.#asksUntilThere(primary, token, 0, signal)) !== undefined) {
        this.#counts.toPrimary += 1;
        this.#tell('primary', beganAt);
        return { client: primary, isReadOnly: false };
      }
      primary?.release();
      // The pool may still be at an old primary, which does not have it, and learn of the switch in a moment.
      if (left() <= 0) throw new NotReplayedError(name, limitMillis);
      await sleep(Math.min(longestPauseMillis, left()), { signal, clock });
    }
  }

  /** Runs a query once, on a server that has replayed the token. */
  async query(token: WalPosition, text: unknown, values: unknown, wait: ReaderWait): Promise<unknown> {
    const { client, isReadOnly } = await this.connect(token, wait);
    const isGuarded = !isReadOnly && this.#parts.link !== undefined;
    try {
      // What a reader sends must not write, on a session of the primary neither.
      if (isGuarded) await client.query('BEGIN READ ONLY');
      const result = await client.query(text as string, values as unknown[]);
      if (isGuarded) await client.query('COMMIT');
      client.release();
      return result;
    } catch (error) {
      client.release(error as Error);
      throw error;
    }
  }

  #tell(server: 'standby' | 'primary', beganAt: number): void {
    const { name, clock } = this.#parts;
    this.#counts.waited += 1;
    tokenAwaited.publish(() => ({ name, server, durationMillis: clock.now() - beganAt }));
  }

  // How often the server was asked until it had the token; `undefined` if it did not in time.
  async #asksUntilThere(
    client: pg.PoolClient,
    token: WalPosition,
    patience: number,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    const { clock } = this.#parts;
    const known = this.#reached.get(client);
    if (known?.inRecovery === true && hasReached(known, token)) return 0;
    const until = clock.now() + patience;
    try {
      for (let asks = 1; ; asks += 1) {
        const reached = await readPosition(client);
        this.#reached.set(client, reached);
        if (hasReached(reached, token)) return asks;
        const left = until - clock.now();
        if (left <= 0) return undefined;
        await sleep(Math.min(2 ** (asks - 1), longestPauseMillis, left), { signal, clock });
      }
    } catch (error) {
      recordOutcome(error, 'not-executed');
      client.release(error as Error);
      throw error;
    }
  }
}

/** A connection that has the token. */
interface Found {
  readonly client: pg.PoolClient;
  /** Whether its session writes nothing. That of a pool itself may. */
  readonly isReadOnly: boolean;
}

const longestPauseMillis = 20;
