import { recordOutcome } from '@externalname/core/internal';
import type * as pg from 'pg';
import { classifyFailure, isLastWordOfServer, isNeverSent, isPoolerRefusal } from '../failures/classify.ts';
import {
  activeStatement,
  failureOfAll,
  hasSentWork,
  hasWork,
  isInTransaction,
  listenBefore,
  listenForEnd,
  onFailureOfAll,
} from './client-internals.ts';
import { refuseStatements, rejectQueued } from './closing.ts';
import { dropHeldWrites } from './pipelining.ts';
import { type Interceptor, interceptQueries, sendObserved } from './query-forms.ts';
import { sharedListener } from './shared-listener.ts';
import { mayCommitWithin } from './statement.ts';

/**
 * Records on the errors of a client's statements what is known about each (see `outcomeOf`), before its caller gets it. For a
 * connected client.
 *
 * It listens only for errors, so a statement that succeeds costs nothing. Errors that do not come from the connection are not
 * seen: a value that cannot be written, a timeout of `pg` itself.
 */
export function recordStatementOutcomes(client: pg.ClientBase): void {
  listenBefore(client, 'errorMessage', recordOfMessage);
  onFailureOfAll(client, recordOfAll);
  // A client whose connection is gone refuses every statement before it is sent.
  listenForEnd(client, refuseFromNow);
}

const recordOfMessage = sharedListener((client, error) => {
  const statement = activeStatement(client);
  if (isLastWordOfServer(error)) leftByServer.add(client);
  // It concerns no statement in particular: the failure of all says what was lost.
  if (statement === undefined) return;
  const inTransaction = isInTransaction(client);
  // What the server says about the failed statement does not hold for what was committed before it.
  if (isPoolerRefusal(error) || !mayCommitWithin(statement, { inTransaction })) {
    recordOutcome(error, classifyFailure(error, 'connected').outcome);
  } else if (!inTransaction) {
    recordOutcome(error, 'unknown');
  }
  // Otherwise it may have ended the transaction that it was sent in. The caller of that transaction knows more.
});

const recordOfAll = failureOfAll((client, error) => {
  dropHeldWrites(client);
  // From its error on, before its end.
  refuseOnce(client);
  // One error for all of them: queued statements cannot be told from sent ones by it.
  // What was sent behind the statement that the server answered with its last word, it has not begun: it takes one after the other.
  if (hasSentWork(client) && !leftByServer.has(client)) recordOutcome(error, 'unknown');
  else if (hasWork(client)) recordOutcome(error, 'not-executed');
});

function refuseOnce(client: pg.ClientBase): void {
  if (refusing.has(client)) return;
  refusing.add(client);
  refuseWithOutcome(client);
}

const refuseFromNow = sharedListener(refuseOnce);

// Most connections come to neither, and an idle one takes memory for what it might need.
const leftByServer = new WeakSet<pg.ClientBase>();
const refusing = new WeakSet<pg.ClientBase>();

/**
 * Stops the client from sending anything more. Queued statements fail with the error made here, later ones as `pg`
 * refuses them; each error says that the statement did not run.
 */
export function sendNothingMore(client: pg.ClientBase, makeError: () => Error): void {
  rejectQueued(client, makeError);
  refuseStatements(client);
  refuseWithOutcome(client);
}

function refuseWithOutcome(client: pg.ClientBase): void {
  interceptQueries(client, recorded);
}

const recorded: Interceptor = {
  concerns: () => true,
  intercept: (_client, query, send) =>
    sendObserved(query, send, (error) => {
      if (isNeverSent(error)) recordOutcome(error, 'not-executed');
    }),
};
