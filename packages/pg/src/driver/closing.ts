import type { Clock } from '@externalname/core';
import type * as pg from 'pg';
import { internalsOf } from './client-internals.ts';

// How a client's connection ends. What each of these does:
//
// |                     | to what was sent     | to what waits in the client | to the connection                        |
// | ------------------- | -------------------- | --------------------------- | ---------------------------------------- |
// | `closeClient`       | `pg` fails it        | `pg` fails it               | goodbye; by force after a second         |
// | `destroyClient`     | fails with the error | fails with the error        | gone, without a word to the server       |
// | `rejectQueued`      | goes on              | fails with the error        | stays                                    |
// | `refuseStatements`  | goes on              | is sent; later ones fail    | stays                                    |
// | `silenceClient`     | fails with the error | fails in the words of `pg`  | stays, and is not listened to any more   |
// | `requestCancel`     | the server ends it   | goes on                     | stays                                    |
// | `retireClient`      | goes on, for a while | fails when that is over     | closed after its work, or destroyed      |

/** Ends a client politely, and by force if the server does not answer within a second. */
export function closeClient(client: pg.ClientBase, clock: Clock, done: () => void = () => {}): void {
  let over = false;
  const finish = () => {
    if (over) return;
    over = true;
    timer.cancel();
    done();
  };
  const force = () => {
    destroyClient(client);
    finish();
  };
  const timer = clock.schedule(force, politeEndMillis, { background: true });
  internalsOf(client).end(finish);
}

/** Breaks the connection without a word to the server. What is in flight fails with the error. Never waits. */
export function destroyClient(client: pg.ClientBase, error?: Error): void {
  internalsOf(client).connection?.stream.destroy(error);
}

/** Fails what is queued on the client and was not sent, so that it is not sent any more. */
export function rejectQueued(client: pg.ClientBase, makeError: () => Error): void {
  const { _queryQueue, connection } = internalsOf(client);
  for (const query of _queryQueue?.splice(0) ?? []) process.nextTick(() => query.handleError(makeError(), connection));
}

/** Makes the client refuse every further statement, before it is sent. */
export function refuseStatements(client: pg.ClientBase): void {
  internalsOf(client)._ending = true;
}

/**
 * Ends what the client has to do with its server, while the connection stays open: nothing more is sent, nothing that still
 * comes is heard. What was not sent fails in the words of `pg`, what was sent with the error here, where there is one.
 */
export function silenceClient(client: pg.ClientBase, sent?: Error): void {
  refuseStatements(client);
  internalsOf(client).connection?.stream.pause?.();
  rejectQueued(client, () => new Error('Client has encountered a connection error and is not queryable'));
  if (sent !== undefined) internalsOf(client)._errorAllQueries?.(sent);
}

// Long enough for a goodbye over a slow path, short enough that a stopped server does not hold up a pool's end().
const politeEndMillis = 1_000;
