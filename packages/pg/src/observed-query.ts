import type * as pg from 'pg';

/** What a client's `query()` is called with, in any of its forms. */
export type QueryArguments = readonly [query: unknown, values?: unknown, callback?: unknown];

/** An object that asks and takes its answer by itself: a `Query` of `pg`, a cursor, a stream. */
export interface SubmittedQuery extends pg.Submittable {
  callback?: unknown;
  handleError(error: unknown, connection: unknown): unknown;
}

export function isSubmitted(asked: unknown): asked is SubmittedQuery {
  return typeof (asked as { submit?: unknown } | null | undefined)?.submit === 'function';
}

/**
 * Comes between a client and those who call its `query()`, where the query is of concern. `send` does what the client would have
 * done.
 */
export function interceptQueries(
  client: pg.ClientBase,
  intercept: (query: QueryArguments, send: (query: QueryArguments) => unknown) => unknown,
  concerns: (asked: unknown) => boolean = () => true,
): void {
  // What is on the client itself stays in the way; what is on its class is looked up at each call, as tracers patch it.
  const own = Object.hasOwn(client, 'query') ? client.query : undefined;
  Object.defineProperty(client, 'query', {
    configurable: true,
    writable: true,
    enumerable: false,
    value(this: unknown, ...query: QueryArguments): unknown {
      const send = own ?? (Object.getPrototypeOf(client) as pg.ClientBase).query;
      if (!concerns(query[0])) return Reflect.apply(send, this, query);
      return intercept(query, (sent) => Reflect.apply(send, this, sent));
    },
  });
}

/** Sends one statement, in any of its forms, and shows its error to `judge` before its caller gets it. */
export function sendObserved(
  query: QueryArguments,
  send: (query: QueryArguments) => unknown,
  judge: (error: unknown) => void,
): unknown {
  const [asked] = query;
  if (isSubmitted(asked)) watchSubmitted(asked, judge);
  const result = send(withCallback(query, judge));
  // Before any handler of the caller's, which gets the promise later.
  if (isThenable(result)) result.then(undefined, judge);
  return result;
}

// The number of arguments stays what it was: tracers look for a callback in the last one.
function withCallback(query: QueryArguments, judge: Judge): QueryArguments {
  const [asked, values, callback] = query;
  if (typeof values === 'function') return [asked, judged(values as Callback, judge)];
  if (typeof callback === 'function') return [asked, values, judged(callback as Callback, judge)];
  if (isSubmitted(asked)) return query;
  const inConfig = (asked as { callback?: unknown } | null | undefined)?.callback;
  return typeof inConfig === 'function' ? [asked, values, judged(inConfig as Callback, judge)] : query;
}

// A cursor or a stream has no callback. `pg` tells it of the time-out as of any error, even when it was long read to its end.
function watchSubmitted(watched: SubmittedQuery, judge: Judge): void {
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

function isThenable(result: unknown): result is Promise<unknown> {
  return typeof (result as { then?: unknown } | null | undefined)?.then === 'function';
}
