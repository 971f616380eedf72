import type { Clock, Timer } from '@externalname/core';
import type * as pg from 'pg';
import { TargetRetiredError } from '../errors.ts';
import { hasWork, isInTransaction, isQuiet, onTransactionEnd } from './client-internals.ts';
import { destroyClient } from './closing.ts';
import { sendNothingMore } from './statement-outcome.ts';

/** See {@link retireClient}. */
export interface RetireOptions {
  /** The target that the client is connected to, for errors. */
  readonly target: string;
  readonly drainTimeoutMillis: number;
  readonly clock: Clock;
  /** Whether its holder may have work on it at all. `false` for a client with a single statement, whose end is reported elsewhere. */
  readonly watched: boolean;
  /** Its work is over: close it, and tell its holder the error. Called at most once. */
  finish(error: TargetRetiredError): void;
  /** The time was up, and its connection is destroyed with the error. Called at most once. */
  cut(error: TargetRetiredError): void;
}

/** A client that drains, or had nothing to drain. */
export interface Retirement {
  readonly had: 'no work' | 'work';
  /** Ends the watch and the timer. Idempotent. */
  stop(): void;
}

/**
 * Ends the use of a client whose target is not the current one any more: at once if it has no work, else after its statement or
 * transaction, or after the drain time. Statements that are queued meanwhile are not sent.
 *
 * `finish` is called inside this call if there is no work.
 */
export function retireClient(client: pg.ClientBase, options: RetireOptions): Retirement {
  const { target, drainTimeoutMillis, clock, watched, finish, cut } = options;
  const makeError = () => new TargetRetiredError(target, 'not-executed');
  if (watched && isQuiet(client) && !isInTransaction(client)) {
    finish(makeError());
    return { had: 'no work', stop: () => undefined };
  }
  let over = false;
  const stop = () => {
    over = true;
    timer.cancel();
    stopWatching?.();
  };
  const timer: Timer = clock.schedule(() => {
    if (over) return;
    stop();
    const error = new TargetRetiredError(target, hasWork(client) ? 'unknown' : 'not-executed');
    destroyClient(client, error);
    cut(error);
  }, drainTimeoutMillis);
  const stopWatching = watched
    ? onTransactionEnd(client, () => {
        // A callback may send the next statement while it handles the answer of this one.
        sendNothingMore(client, makeError);
        // After the answer has reached its caller.
        process.nextTick(() => {
          if (over) return;
          stop();
          finish(makeError());
        });
      })
    : undefined;
  return { had: 'work', stop };
}
