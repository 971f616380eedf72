import type * as pg from 'pg';

/**
 * What `pg-pool` has but its types do not show. The parts of our pool that need it get this instead of the pool: its
 * options, its log, its events.
 */
export interface PgPool extends NodeJS.EventEmitter {
  Client: new (options: object) => pg.Client;
  /** The words of pg-pool, which applications may look for. */
  readonly log: (message: string) => void;
  readonly options: {
    readonly max: number;
    readonly min: number;
    readonly maxUses: number;
    readonly maxLifetimeSeconds: number;
    readonly idleTimeoutMillis: number;
    readonly allowExitOnIdle: boolean;
    readonly onConnect?: (client: pg.Client) => void | Promise<void>;
    readonly verify?: (client: pg.Client, done: (error?: Error) => void) => void;
  };
  readonly totalCount: number;
  ending: boolean;
  ended: boolean;
  _clients: pg.Client[];
}

/** A pool as `pg-pool` sees it. */
export function pgPoolOf(pool: pg.Pool): PgPool {
  return pool as unknown as PgPool;
}

/** Releases a client, with the error that it is released with. */
export type Release = (error?: Error | boolean) => void;

/** What `pg-pool` passes to `newClient()`: who asks for a client. */
export interface PendingItem {
  readonly callback: (error: unknown, client: pg.PoolClient | undefined, release: Release) => void;
}

/** In the words of pg-pool. */
export function poolEndedError(): Error {
  return new Error('Cannot use a pool after calling end on the pool');
}

/** Calls a function of the application. An exception of it must neither become a rejection of ours nor cost a place in the pool. */
export function throwLater(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/**
 * Removes the listener that `pg-pool` has just put on a client for its statement. If `pg` throws on the statement, the listener
 * stays behind, and would release the client a second time.
 */
export function removeLastErrorListener(client: pg.ClientBase): void {
  const last = client.listeners('error').at(-1);
  if (last !== undefined) client.removeListener('error', last as (error: Error) => void);
}
