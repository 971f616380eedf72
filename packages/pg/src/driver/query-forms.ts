import { AsyncResource } from 'node:async_hooks';
import type * as pg from 'pg';
import { Notes } from './shared-listener.ts';

/**
 * What a client's `query()` is called with. `pg` takes four forms, and this file is the one place that tells them apart:
 *
 * | form | the answer goes to |
 * | --- | --- |
 * | `query(text)`, `query(config)`, with values or without | the promise that is returned |
 * | `query(text, values, callback)`, `query(text, callback)` | the callback |
 * | `query({ text, callback })` | the callback in the config |
 * | `query(object)`: a `Query` of `pg`, a cursor, a stream | the object itself, which is returned |
 *
 * A callback that is passed next to an object becomes the object's own, if it has none.
 */
export type QueryArguments = readonly [query: unknown, values?: unknown, callback?: unknown];

/** An object that sends itself and takes its answer: a `Query` of `pg`, a cursor, a stream. */
export interface SubmittedQuery extends pg.Submittable {
  callback?: unknown;
  handleError(error: unknown, connection: unknown): unknown;
}

/** Takes the answer to a query: an error, or the result. */
export type QueryCallback = (error: unknown, result?: unknown) => void;

export function isSubmitted(asked: unknown): asked is SubmittedQuery {
  return typeof (asked as { submit?: unknown } | null | undefined)?.submit === 'function';
}

/** The callback among the last two arguments of `query()`, as `pg` and `pg-pool` look for it. */
export function callbackAmong(values: unknown, callback: unknown): QueryCallback | undefined {
  const found = typeof values === 'function' ? values : callback;
  return typeof found === 'function' ? (found as QueryCallback) : undefined;
}

/** Removes the callback that an object was made with, so that the one passed next to it is used. */
export function callbackOfObject(asked: SubmittedQuery): QueryCallback | undefined {
  const { callback } = asked;
  if (typeof callback !== 'function') return undefined;
  asked.callback = undefined;
  return callback as QueryCallback;
}

/** Answers the caller of a query in the form in which it was called. Returns what `query()` returns. */
export function replyTo(query: QueryArguments, result: Promise<unknown>): unknown {
  const [asked] = query;
  if (isSubmitted(asked)) {
    adoptCallback(asked, query);
    result.catch((error: unknown) => handErrorTo(asked, error));
    return asked;
  }
  const callback = callbackOf(query);
  return callback === undefined ? result : replyByCallback(callback, result, null);
}

/**
 * Gives a result to a callback. `noError` stands for the error if there is none: `null` in `pg`, `undefined` in
 * `pg-pool`. What the callback throws is the application's, as in `pg`, not a rejection of ours.
 */
export function replyByCallback(
  callback: QueryCallback,
  result: Promise<unknown>,
  noError: null | undefined,
): undefined {
  result.then(
    (value) => process.nextTick(callback, noError, value),
    (error: unknown) => process.nextTick(callback, error),
  );
  return undefined;
}

/** Answers a query that is not sent with an error, in the form in which it was called. Returns what `query()` returns. */
export function refuseQuery(query: QueryArguments, error: unknown): unknown {
  const [asked] = query;
  if (isSubmitted(asked)) {
    adoptCallback(asked, query);
    handErrorTo(asked, error);
    return asked;
  }
  const callback = callbackOf(query);
  if (callback === undefined) return Promise.reject(error);
  process.nextTick(callback, error);
  return undefined;
}

/** A query that is not sent yet. One of the two is called, once. */
export interface HeldQuery {
  /** What `query()` returns to the caller in the meantime. */
  readonly answer: unknown;
  send(): void;
  fail(error: unknown): void;
}

/**
 * Keeps a query until it can be sent.
 *
 * @throws TypeError in the words of `pg`, for a query that is null or undefined
 */
export function holdQuery(query: QueryArguments, send: (query: QueryArguments) => unknown): HeldQuery {
  const [asked] = query;
  if (asked === null || asked === undefined) throw nullQueryError();
  // The query runs in its caller's context, although it is sent later.
  const sendNow = AsyncResource.bind(() => send(query));
  if (isSubmitted(asked) || callbackOf(query) !== undefined) {
    const fail = (error: unknown) => void refuseQuery(query, error);
    return {
      answer: isSubmitted(asked) ? asked : undefined,
      // If `pg` throws on it, the queries behind it must still be sent.
      send: () => {
        try {
          sendNow();
        } catch (error) {
          fail(error);
        }
      },
      fail,
    };
  }
  let settle: { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void } | undefined;
  const answer = new Promise<unknown>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return {
    answer,
    send: () => {
      try {
        settle?.resolve(sendNow());
      } catch (error) {
        settle?.reject(error);
      }
    },
    fail: (error) => settle?.reject(error),
  };
}

/** `pg` throws it in these words. */
export function nullQueryError(): TypeError {
  return new TypeError('Client was passed a null or undefined query');
}

/** The same query, answered by a promise. Not for an object. */
export function askedByPromise([asked, values]: QueryArguments): QueryArguments {
  const parameters = typeof values === 'function' ? undefined : values;
  return [typeof asked === 'string' ? asked : { ...(asked as object), callback: undefined }, parameters];
}

/** What is done with some of the queries of a client. The same for all clients, because each keeps it. */
export interface Interceptor {
  /** Whether it wants a query. */
  readonly concerns: (client: pg.ClientBase, asked: unknown) => boolean;
  /** `send` does what the client would have done. */
  readonly intercept: (
    client: pg.ClientBase,
    query: QueryArguments,
    send: (query: QueryArguments) => unknown,
  ) => unknown;
}

/** Intercepts the queries of a client. */
export function interceptQueries(client: pg.ClientBase, interceptor: Interceptor): void {
  intercepted.note(client, client);
  Object.defineProperty(client, 'query', {
    configurable: true,
    writable: true,
    enumerable: false,
    value: Object.hasOwn(client, 'query') ? queryThrough(interceptor, client.query) : sharedQueryThrough(interceptor),
  });
}

const intercepted = new Notes<pg.ClientBase>('intercepted');

function sharedQueryThrough(interceptor: Interceptor): QueryThrough {
  const known = sharedQueries.get(interceptor) ?? queryThrough(interceptor, undefined);
  sharedQueries.set(interceptor, known);
  return known;
}

const sharedQueries = new WeakMap<Interceptor, QueryThrough>();

/** @param own what the client itself had, if it had one */
function queryThrough({ concerns, intercept }: Interceptor, own: unknown): QueryThrough {
  return function (...query) {
    // It may be called on an heir.
    const client = intercepted.of(this) ?? (this as pg.ClientBase);
    // That of its class is looked up at each call, because tracers patch it.
    const send = (own ?? (Object.getPrototypeOf(client) as pg.ClientBase).query) as (...query: unknown[]) => unknown;
    if (!concerns(client, query[0])) return Reflect.apply(send, this, query);
    return intercept(client, query, (sent) => Reflect.apply(send, this, sent));
  };
}

type QueryThrough = (this: object, ...query: QueryArguments) => unknown;

/** Sends one statement, in any of its forms, and shows its error to `judge` before its caller gets it. */
export function sendObserved(
  query: QueryArguments,
  send: (query: QueryArguments) => unknown,
  judge: (error: unknown) => void,
): unknown {
  const [asked] = query;
  if (isSubmitted(asked)) watchSubmitted(asked, judge);
  const result = send(withJudge(query, judge));
  if (!isThenable(result)) return result;
  // The caller's promise comes after the judge, so that a forgotten rejection stays unhandled, as in `pg`.
  return result.then(undefined, (error: unknown) => {
    judge(error);
    throw error;
  });
}

// An object may have a callback and be called with another one; `pg` uses the object's.
function callbackOf([asked, values, callback]: QueryArguments): QueryCallback | undefined {
  const beside = callbackAmong(values, callback);
  if (beside !== undefined) return beside;
  const within = (asked as { callback?: unknown } | null | undefined)?.callback;
  return typeof within === 'function' && !isSubmitted(asked) ? (within as QueryCallback) : undefined;
}

function adoptCallback(asked: SubmittedQuery, [, values, callback]: QueryArguments): void {
  const beside = callbackAmong(values, callback);
  if (beside !== undefined && !asked.callback) asked.callback = beside;
}

function handErrorTo(asked: SubmittedQuery, error: unknown): void {
  process.nextTick(() => asked.handleError?.(error, undefined));
}

// The number of arguments stays the same: tracers look for a callback in the last one.
function withJudge(query: QueryArguments, judge: Judge): QueryArguments {
  const callback = callbackOf(query);
  if (callback === undefined) return query;
  const [asked, values] = query;
  if (typeof values === 'function') return [asked, judged(callback, judge)];
  return [asked, values, judged(callback, judge)];
}

// A cursor or a stream has no callback. `pg` reports the timeout to it like any error, even long after it was read to the end.
function watchSubmitted(watched: SubmittedQuery, judge: Judge): void {
  if (typeof watched.callback === 'function') watched.callback = judged(watched.callback as QueryCallback, judge);
  const { handleError } = watched;
  watched.handleError = function (this: unknown, error, connection) {
    judge(error);
    return handleError.call(this, error, connection);
  };
}

type Judge = (error: unknown) => void;

function judged(callback: QueryCallback, judge: Judge): QueryCallback {
  return (error, result) => {
    if (error) judge(error);
    callback(error, result);
  };
}

function isThenable(result: unknown): result is Promise<unknown> {
  return typeof (result as { then?: unknown } | null | undefined)?.then === 'function';
}
