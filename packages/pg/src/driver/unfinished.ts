import type { Clock, Timer } from '@externalname/core';
import { InvalidArgumentError } from '@externalname/core';
import type * as pg from 'pg';
import { activeStatement, bytesRead, bytesWritten, isInFlight, onProgress, whenQuiet } from './client-internals.ts';
import { destroyClient } from './closing.ts';
import type { SubmittedQuery } from './query-forms.ts';

/**
 * What the statement that a client is busy with needs to come to its end. A query does so by itself. A cursor, a stream of rows
 * and a COPY wait for their reader or writer, and if that has left they wait for ever, with all that is queued behind them.
 */
export type Needs = 'server' | 'caller' | 'unknown';

/** Also `server` if there is no statement. */
export function needsOf(client: pg.ClientBase): Needs {
  const statement = activeStatement(client) as Reader | undefined;
  if (statement === undefined || isQuery(statement)) return 'server';
  const { state, _queue: reads } = statement.cursor ?? statement;
  // It was closed, or it failed, or rows were asked for: the server has the word.
  if (state === 'done' || state === 'error' || state === 'busy' || (reads?.length ?? 0) > 0) return 'server';
  // CopyDone was sent.
  if (statement.writableEnded === true) return 'server';
  // Something reads it: a stream asks for rows as they are taken.
  if (statement.readableFlowing === true || statement.readableFlowing === false) return 'unknown';
  return state === undefined ? 'unknown' : 'caller';
}

/** Whether an object is a `Query` of `pg`, of whatever copy of it, or what this package sends. It needs nothing but the server. */
export function isQuery(statement: object): boolean {
  const { requiresPreparation, needsNobody } = statement as { requiresPreparation?: unknown; needsNobody?: unknown };
  return typeof requiresPreparation === 'function' || needsNobody === true;
}

/** How it ended: all that was asked on the client is answered, or something there waits for a caller that has left. */
export type Finish = 'quiet' | 'left';

/**
 * Calls back once, when all that was asked on a client which nobody holds any more is answered, or it has ended; or when it is
 * clear that this will not come: a cursor is not read, a COPY not ended.
 *
 * Where it cannot be told whether somebody still reads or writes, nothing may come or go for a second.
 */
export function whenFinished(client: pg.ClientBase, clock: Clock, callback: (how: Finish) => void): void {
  let over = false;
  let timer: Timer | undefined;
  let moved = -1;
  const finish = (how: Finish) => {
    if (over) return;
    over = true;
    timer?.cancel();
    stopWatching();
    callback(how);
  };
  const look = () => {
    if (over) return;
    timer?.cancel();
    timer = undefined;
    const needs = needsOf(client);
    const now = bytesRead(client) + bytesWritten(client);
    if (needs === 'caller' || (needs === 'unknown' && now === moved)) {
      finish('left');
      return;
    }
    moved = needs === 'unknown' ? now : -1;
    // A query has its own time.
    if (needs === 'unknown') timer = clock.schedule(look, stillMillis, { background: true });
  };
  // Rows that were asked for have come, or the next statement is being sent.
  const stopWatching = onProgress(client, () => {
    moved = -1;
    look();
  });
  whenQuiet(client, () => finish('quiet'));
  look();
}

/** See {@link superviseObject}. */
export interface Supervision {
  readonly clock: Clock;
  /** The object's own callback, which it was made with. */
  readonly callback: ((error: unknown, result?: unknown) => void) | undefined;
  /** What the object failed with so far. */
  failure(): unknown;
}

/**
 * Sees to it that a query object which `pool.query()` has just sent gives its client back. `pg-pool` waits for the callback that
 * it passed, which a cursor does not call, and which is not used if the object has one of its own.
 *
 * A cursor or stream that nobody has read from after five seconds is given up.
 */
export function superviseObject(client: pg.ClientBase, asked: SubmittedQuery, supervision: Supervision): void {
  const { clock, callback, failure } = supervision;
  // The one of pg-pool, which gives the client back when it is called first.
  const giveBack = asked.callback;
  if (typeof giveBack !== 'function') return;
  if (callback !== undefined) {
    asked.callback = (error: unknown, result: unknown) => {
      try {
        callback(error, result);
      } finally {
        giveBack(error, result);
      }
    };
  }
  const written = bytesWritten(client);
  const timer = clock.schedule(
    () => {
      const isUnread = isInFlight(client, asked) && needsOf(client) === 'caller' && bytesWritten(client) === written;
      if (isUnread) destroyClient(client, new InvalidArgumentError('query', unread));
    },
    unreadMillis,
    { background: true },
  );
  whenQuiet(client, () => {
    timer.cancel();
    // After its own callback, if it has one.
    process.nextTick(() => giveBack(failure() ?? null, undefined));
  });
}

/** An object that asks by itself, as far as it shows what it waits for: a cursor of `pg-cursor`, a stream of Node.js. */
interface Reader extends CursorLike {
  /** Of a stream of rows. */
  readonly cursor?: CursorLike;
  readonly readableFlowing?: boolean | null;
  readonly writableEnded?: boolean;
}

interface CursorLike {
  readonly state?: string;
  /** Reads that wait for it to be ready. */
  readonly _queue?: readonly unknown[];
}

const unread =
  'the cursor or stream that pool.query() was given was not read from for 5 s: read it, or take a client for it (pool.connect())';

// Longer than any pause between two packets of something that is still being read or written.
const stillMillis = 1_000;

// Long enough to set up what reads it.
const unreadMillis = 5_000;
