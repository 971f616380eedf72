import type * as pg from 'pg';
import { isInFlight, lastStatement, queryTimeoutOf } from './client-state.ts';
import { recordOutcome } from './failures.ts';

/** What a client's `query()` is called with, in any of its forms. */
export type QueryArguments = readonly [query: unknown, values?: unknown, callback?: unknown];

/**
 * Calls `onTimeout` when `query_timeout` passes for a statement that was sent. `pg` tells its caller, and leaves the statement
 * running on the server and the connection waiting for it.
 *
 * Records on the error what is known: a statement that still waited in this process was not executed.
 */
export function watchQueryTimeouts(client: pg.Client, onTimeout: () => void): void {
  // What is on the client itself stays in the way; what is on its class is looked up at each call, as tracers patch it.
  const own = Object.hasOwn(client, 'query') ? client.query : undefined;
  Object.defineProperty(client, 'query', {
    configurable: true,
    writable: true,
    enumerable: false,
    value(this: pg.Client, ...query: QueryArguments): unknown {
      const send = own ?? (Object.getPrototypeOf(client) as pg.Client).query;
      if (!mayTimeOut(client, query[0])) return Reflect.apply(send, this, query);
      return sendWatched(client, query, (watched) => Reflect.apply(send, this, watched), onTimeout);
    },
  });
}

/** Sends one statement; see {@link watchQueryTimeouts}. */
export function sendWatched(
  client: pg.Client,
  query: QueryArguments,
  send: (query: QueryArguments) => unknown,
  onTimeout: () => void,
): unknown {
  const [asked] = query;
  if (!mayTimeOut(client, asked)) return send(query);
  let statement: unknown;
  const judge: Judge = (error) => {
    if (!isQueryTimeout(error)) return;
    const sent = isInFlight(client, statement);
    recordOutcome(error, sent ? 'unknown' : 'not-executed');
    if (sent) onTimeout();
  };
  const result = sendObserved(query, send, judge);
  statement = isSubmittable(asked) ? asked : lastStatement(client);
  return result;
}

/** Sends one statement, in any of its forms, and shows its error to `judge` before its caller gets it. */
export function sendObserved(
  query: QueryArguments,
  send: (query: QueryArguments) => unknown,
  judge: (error: unknown) => void,
): unknown {
  const [asked] = query;
  if (isSubmittable(asked)) watchSubmittable(asked, judge);
  const result = send(withCallback(query, judge));
  // Before any handler of the caller's, which gets the promise later.
  if (isThenable(result)) result.then(undefined, judge);
  return result;
}

function mayTimeOut(client: pg.Client, asked: unknown): boolean {
  return Boolean(queryTimeoutOf(client) || (asked as { query_timeout?: unknown } | null | undefined)?.query_timeout);
}

// The number of arguments stays what it was: tracers look for a callback in the last one.
function withCallback(query: QueryArguments, judge: Judge): QueryArguments {
  const [asked, values, callback] = query;
  if (typeof values === 'function') return [asked, judged(values as Callback, judge)];
  if (typeof callback === 'function') return [asked, values, judged(callback as Callback, judge)];
  if (isSubmittable(asked)) return query;
  const inConfig = (asked as { callback?: unknown } | null | undefined)?.callback;
  return typeof inConfig === 'function' ? [asked, values, judged(inConfig as Callback, judge)] : query;
}

// A cursor or a stream has no callback. `pg` tells it of the time-out as of any error, even when it was long read to its end.
function watchSubmittable(submittable: pg.Submittable, judge: Judge): void {
  const watched = submittable as pg.Submittable & {
    callback?: unknown;
    handleError(error: unknown, connection: unknown): unknown;
  };
  if (typeof watched.callback === 'function') watched.callback = judged(watched.callback as Callback, judge);
  const { handleError } = watched;
  watched.handleError = function (this: unknown, error, connection) {
    judge(error);
    return handleError.call(this, error, connection);
  };
}

type Judge = (error: unknown) => void;
type Callback = (error: unknown, result: unknown) => void;

function judged(answer: Callback, judge: Judge): Callback {
  return (error, result) => {
    if (error) judge(error);
    answer(error, result);
  };
}

function isSubmittable(asked: unknown): asked is pg.Submittable {
  return typeof (asked as { submit?: unknown } | null)?.submit === 'function';
}

function isThenable(result: unknown): result is Promise<unknown> {
  return typeof (result as { then?: unknown } | null | undefined)?.then === 'function';
}

// In the words of pg.
function isQueryTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout' && !('code' in error);
}
