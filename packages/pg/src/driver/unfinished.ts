import type { Clock, Timer } from '@externalname/core';
import { InvalidArgumentError } from '@externalname/core';
import type * as pg from 'pg';
import { activeStatement, bytesRead, bytesWritten, isInFlight, onProgress, whenQuiet } from './client-internals.ts';
import { destroyClient } from './closing.ts';
import type { SubmittedQuery } from './query-forms.ts';

/**
 * What the current statement of a client needs to finish. A query finishes by itself. A cursor, a stream of rows
 * and a COPY wait for their reader or writer; if that has left, they wait forever, with everything queued behind them.
 */
export type Needs = 'server' | 'caller' | 'unknown';

/** Also `server` if there is no statement. */
export function needsOf(client: pg.ClientBase): Needs {
  const statement = activeStatement(client) as Reader | undefined;
  if (statement === undefined || isQuery(statement)) return 'server';
  const { state, _queue: reads } = statement.cursor ?? statement;
  // It was closed, it failed, or rows were asked for: the server has to act.
  if (state === 'done' || state === 'error' || state === 'busy' || (reads?.length ?? 0) > 0) return 'server';
  // CopyDone was sent.
  if (statement.writableEnded === true) return 'server';
  // It is being read: a stream asks for rows as they are taken.
  if (statement.readableFlowing === true || statement.readableFlowing === false) return 'unknown';
  return state === undefined ? 'unknown' : 'caller';
}

/** Whether an object is a `Query` of `pg`, from any copy of it, or one that this package sends. It needs only the server. */
export function isQuery(statement: object): boolean {
  const { requiresPreparation, needsNobody } = statement as { requiresPreparation?: unknown; needsNobody?: unknown };
  return typeof requiresPreparation === 'function' || needsNobody === true;
}

/** How it ended: everything sent on the client is answered, or something waits for a caller that has left. */
export type Finish = 'quiet' | 'left';

/**
 * Calls back once, when everything sent on a released client is answered, or the client has ended; or when it is
 * clear that this will not happen: a cursor is not read, a COPY not ended.
 *
 * If it cannot be told whether it is still read or written, nothing may be sent or received for a second.
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
    // A query takes the time that it takes.
    if (needs === 'unknown') timer = clock.schedule(look, stillMillis, { background: true });
  };
  // Requested rows have arrived, or the next statement is being sent.
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
  /** The error of the object so far. */
  failure(): unknown;
}

/**
 * Makes a query object that `pool.query()` has just sent release its client. `pg-pool` waits for the callback that it
 * passed, which a cursor does not call, and which is not used if the object has its own.
 *
 * A cursor or stream that is not read for five seconds is given up.
 */
export function superviseObject(client: pg.ClientBase, asked: SubmittedQuery, supervision: Supervision): void {
  const { clock, callback, failure } = supervision;
  // The callback of pg-pool, which releases the client at its first call.
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

/** An object that sends itself, as far as it shows what it waits for: a cursor of `pg-cursor`, a stream of Node.js. */
interface Reader extends CursorLike {
  /** Of a stream of rows. */
  readonly cursor?: CursorLike;
  readonly readableFlowing?: boolean | null;
  readonly writableEnded?: boolean;
}

interface CursorLike {
  readonly state?: string;
  /** Reads that wait until it is ready. */
  readonly _queue?: readonly unknown[];
}

const unread =
  'the cursor or stream that pool.query() was given was not read from for 5 s: read it, or take a client for it (pool.connect())';

// Longer than any pause between two packets of something that is still read or written.
const stillMillis = 1_000;

// Long enough to set up its reader.
const unreadMillis = 5_000;
