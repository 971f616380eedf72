import { recordOutcome } from '@externalname/core/internal';
import type * as pg from 'pg';
import { hasStatement, isInFlight, lastStatement, onProgress, queryTimeoutOf } from './client-internals.ts';
import {
  callbackAmong,
  callbackOfObject,
  type Interceptor,
  interceptQueries,
  isSubmitted,
  type QueryArguments,
  type QueryCallback,
  sendObserved,
} from './query-forms.ts';
import { isQuery } from './unfinished.ts';

/**
 * Makes what watches the statements of clients, and calls `onTimeout` when `query_timeout` passes for one that was sent. `pg` only tells its
 * caller, and leaves the statement running on the server and the connection waiting for it.
 *
 * Records the outcome on the error: a statement that was still queued in this process did not run.
 */
export function queryTimeoutWatch(onTimeout: (client: pg.ClientBase) => void): (client: pg.ClientBase) => void {
  const interceptor: Interceptor = {
    concerns: mayTimeOut,
    intercept: (client, query, send) => sendWatched(client, query, send, () => onTimeout(client)),
  };
  return (client) => interceptQueries(client, interceptor);
}

/** Sends one statement; see {@link queryTimeoutWatch}. */
export function sendWatched(
  client: pg.ClientBase,
  query: QueryArguments,
  send: (query: QueryArguments) => unknown,
  onTimeout: () => void,
): unknown {
  const [asked] = query;
  if (!mayTimeOut(client, asked)) return send(query);
  let statement: unknown;
  const judge = (error: unknown) => {
    if (!isQueryTimeout(error)) return;
    const sent = isInFlight(client, statement);
    recordOutcome(error, sent ? 'unknown' : 'not-executed');
    if (sent) onTimeout();
  };
  const result = sendObserved(query, send, judge);
  statement = isSubmitted(asked) ? asked : lastStatement(client);
  return result;
}

/**
 * Ends the timer of `query_timeout` with a cursor, a stream of rows or a COPY. `pg` ends it only with the callback of a query, which these
 * do not call: it passes later, and breaks the connection if that pipelines by then, with the queries of others.
 */
export function endTimersOfObjects(client: pg.ClientBase): void {
  interceptQueries(client, timersOfObjects);
}

const timersOfObjects: Interceptor = {
  concerns: (client, asked) => isSubmitted(asked) && !isQuery(asked) && mayTimeOut(client, asked),
  intercept: (client, query, send) => {
    const [asked, values, callback] = query;
    if (!isSubmitted(asked)) return send(query);
    const own = callbackOfObject(asked) ?? callbackAmong(values, callback);
    let isOver = false;
    asked.callback = (error: unknown, result: unknown) => {
      if (!isOver) own?.(error, result);
    };
    const result = send(query);
    // That of `pg` around ours: it ends the timer.
    const ended = asked.callback as QueryCallback;
    const stop = onProgress(client, () => {
      if (hasStatement(client, asked)) return;
      stop();
      isOver = true;
      ended(null);
    });
    return result;
  },
};

function mayTimeOut(client: pg.ClientBase, asked: unknown): boolean {
  return Boolean(queryTimeoutOf(client) || (asked as { query_timeout?: unknown } | null | undefined)?.query_timeout);
}

// The words of pg.
function isQueryTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout' && !('code' in error);
}
