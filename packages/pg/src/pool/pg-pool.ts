import type * as pg from 'pg';

/**
 * What `pg-pool` has and its types do not show. The parts of our pool that need something of it get this, and not the pool: its
 * options, its log, its events.
 */
export interface PgPool extends NodeJS.EventEmitter {
  Client: new (options: object) => pg.Client;
  /** The words are those of pg-pool, which applications may look for. */
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
  ending: boolean;
  ended: boolean;
  _clients: pg.Client[];
}

/** A pool as `pg-pool` knows it. */
export function pgPoolOf(pool: pg.Pool): PgPool {
  return pool as unknown as PgPool;
}

/** Gives a client back, with the error that it is given back for. */
export type Release = (error?: Error | boolean) => void;

/** What `pg-pool` hands to `newClient()`: who asks for a client. */
export interface PendingItem {
  readonly callback: (error: unknown, client: pg.PoolClient | undefined, release: Release) => void;
}

/** In the words of pg-pool. */
export function poolEndedError(): Error {
  return new Error('Cannot use a pool after calling end on the pool');
}

/** Calls what is the application's own. What it throws must not become a rejection of ours, nor cost a place in the pool. */
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
 * Takes away the listener that `pg-pool` has just put on a client for its statement. It leaves that behind when `pg` throws on
 * the statement, and would give the client back a second time.
 */
export function removeLastErrorListener(client: pg.ClientBase): void {
  const last = client.listeners('error').at(-1);
  if (last !== undefined) client.removeListener('error', last as (error: Error) => void);
}
