import type * as pg from 'pg';
import { classifyFailure, isNeverSent, isPoolerRefusal, recordOutcome } from '../failures/classify.ts';
import {
  activeStatement,
  hasSentWork,
  hasWork,
  isInTransaction,
  onEnd,
  onErrorMessage,
  onFailureOfAll,
} from './client-internals.ts';
import { refuseStatements, rejectQueued } from './closing.ts';
import { interceptQueries, sendObserved } from './query-forms.ts';
import { mayCommitWithin } from './statement.ts';

/**
 * Records on the errors of a client's statements what is known of each (see `outcomeOf`), before its caller gets it. For a
 * client that is connected.
 *
 * Only errors are listened for, so that a statement that succeeds costs nothing. What never comes from the connection is not
 * seen: a value that cannot be written, a time-out of `pg`'s own.
 */
export function recordStatementOutcomes(client: pg.ClientBase): void {
  onErrorMessage(client, (error) => {
    const statement = activeStatement(client);
    // Said to nobody in particular: whatever is lost by it, the failure of all tells.
    if (statement === undefined) return;
    const inTransaction = isInTransaction(client);
    // What the server says of the statement that failed is not true of what was committed before it.
    if (isPoolerRefusal(error) || !mayCommitWithin(statement, { inTransaction })) {
      recordOutcome(error, classifyFailure(error, 'connected').outcome);
    } else if (!inTransaction) {
      recordOutcome(error, 'unknown');
    }
    // Else it may have ended the transaction that it was sent in. Whoever began that knows more of it.
  });
  let isRefusing = false;
  const refuse = () => {
    if (!isRefusing) refuseWithOutcome(client);
    isRefusing = true;
  };
  onFailureOfAll(client, (error) => {
    // From its error on, before its end.
    refuse();
    // One error for all of them: what waits behind a statement that was sent cannot be told from it.
    if (hasSentWork(client)) recordOutcome(error, 'unknown');
    else if (hasWork(client)) recordOutcome(error, 'not-executed');
  });
  // A client whose connection is gone refuses every statement before it is sent.
  onEnd(client, refuse);
}

/**
 * Lets nothing more be sent on the client. What waits in it fails with the error made here, what is asked from now on as `pg`
 * refuses it; each error says that it was not executed.
 */
export function sendNothingMore(client: pg.ClientBase, makeError: () => Error): void {
  rejectQueued(client, makeError);
  refuseStatements(client);
  refuseWithOutcome(client);
}

function refuseWithOutcome(client: pg.ClientBase): void {
  interceptQueries(client, (query, send) =>
    sendObserved(query, send, (error) => {
      if (isNeverSent(error)) recordOutcome(error, 'not-executed');
    }),
  );
}
