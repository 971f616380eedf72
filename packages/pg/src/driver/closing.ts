import type { Clock } from '@externalname/core';
import type * as pg from 'pg';
import { internalsOf } from './client-internals.ts';
import { dropHeldWrites } from './pipelining.ts';

// The ways in which a client's connection ends, and what each of them does:
//
// |                     | to what was sent     | to what waits in the client | to the connection                        |
// | ------------------- | -------------------- | --------------------------- | ---------------------------------------- |
// | `closeClient`       | `pg` fails it        | `pg` fails it               | goodbye; by force after a second         |
// | `destroyClient`     | fails with the error | fails with the error        | closed, without telling the server       |
// | `rejectQueued`      | continues            | fails with the error        | stays                                    |
// | `refuseStatements`  | continues            | is sent; later ones fail    | stays                                    |
// | `silenceClient`     | fails with the error | fails in the words of `pg`  | stays, but is not listened to any more   |
// | `requestCancel`     | the server ends it   | continues                   | stays                                    |
// | `retireClient`      | continues for a time | fails when that is over     | closed after its work, or destroyed      |

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

/** Breaks the connection without telling the server. What is in flight fails with the error. Never waits. */
export function destroyClient(client: pg.ClientBase, error?: Error): void {
  internalsOf(client).connection?.stream.destroy(error);
}

/** Fails what is queued on the client, so that it is not sent any more. */
export function rejectQueued(client: pg.ClientBase, makeError: () => Error): void {
  const { _queryQueue, connection } = internalsOf(client);
  for (const query of _queryQueue?.splice(0) ?? []) process.nextTick(() => query.handleError(makeError(), connection));
}

/** Makes the client refuse every further statement, before it is sent. */
export function refuseStatements(client: pg.ClientBase): void {
  internalsOf(client)._ending = true;
}

/**
 * Ends all exchange of the client with its server, while the connection stays open: nothing more is sent, and nothing that
 * arrives is read. What was not sent fails in the words of `pg`, what was sent fails with the given error, if there is one.
 */
export function silenceClient(client: pg.ClientBase, sent?: Error): void {
  refuseStatements(client);
  internalsOf(client).connection?.stream.pause?.();
  dropHeldWrites(client);
  rejectQueued(client, () => new Error('Client has encountered a connection error and is not queryable'));
  if (sent !== undefined) internalsOf(client)._errorAllQueries?.(sent);
}

// Long enough for a goodbye over a slow path, short enough that a stopped server does not hold up a pool's end().
const politeEndMillis = 1_000;
