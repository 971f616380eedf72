import type * as pg from 'pg';
import type { RecentEvent } from '../recent-events.ts';
import type { Borrower } from './checkout.ts';
import type { PendingItem } from './pg-pool.ts';
import type { Attempt, SharedAttempt } from './query.ts';

/** How `query()` and `transaction()` mark the `connect()` that they make. */
export interface Origin extends Attempt {
  readonly borrower: Borrower;
  /** Ends the wait for a connection. */
  readonly signal?: AbortSignal | undefined;
}

/** A pool as one of several. */
export interface Member {
  readonly factory: {
    readonly serving: boolean;
    readonly servedAt: number | undefined;
    readonly recentEvents: readonly RecentEvent[];
  };
  readonly queue: {
    /** Whether all callers wait: it is paused. */
    readonly isHeld: boolean;
  };
  /** Queues a caller. */
  enter(item: PendingItem, origin: Origin): void;
  /** Set if its queries share connections, or are prepared by the pool. */
  readonly sharing: MemberSharing | undefined;
  readonly endTimeoutMillis: number;
  /** Ends it within its `endTimeoutMillis`, of which so many are spent. If it ends already, resolves when that is over. */
  end(spentMillis: number): Promise<void>;
  /** See `TransactionHost`. Whether the client is one of its own: nothing is done with others. */
  abandon(client: pg.PoolClient, error: Error): boolean;
}

/** How the queries of a member share its connections. See `Sharing`, of whose types the published ones must know nothing. */
export interface MemberSharing {
  mayShare(given: unknown, values: unknown): boolean;
  query(given: unknown, values: unknown, attempt: SharedAttempt | undefined): Promise<unknown> | undefined;
}

/** How pg-pool runs a query. */
export type QueryOnce = (this: pg.Pool, text: unknown, values: unknown, callback: unknown) => unknown;
