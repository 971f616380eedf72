import type { Clock } from '@externalname/core';
import { type OperationEvent, operationEnded, retried } from '../events.ts';
import { classifyFailure } from './classify.ts';

/** How often a call was tried so far, for its event. */
export interface Attempts {
  made: number;
  /** When the first one failed, in `now()` milliseconds. */
  failedAt: number | undefined;
}

/** What the event of a call contains in addition to its outcome. */
export interface Operation {
  readonly name: string;
  readonly operation: 'query' | 'transaction';
  readonly clock: Clock;
  readonly target: () => string | undefined;
  /**
   * When the connection came back on which the call was answered in this turn, in `now()` milliseconds. Reading the clock costs as much
   * as all else that is done to tell of a call.
   */
  readonly answeredAt?: (() => number) | undefined;
}

/**
 * Publishes the end of a call whose first attempt was begun. If that fails, `again` goes on, and {@link tellAttempts} publishes the end.
 * Without a subscriber this costs one comparison, and with one no promise that would not be there otherwise: a small query waits for little else.
 */
export function tellOperation<T>(
  operation: Operation,
  startedAt: number,
  first: Promise<T>,
  again: (error: unknown) => Promise<T>,
): Promise<T> {
  if (!operationEnded.hasSubscribers) return first.catch(again);
  return first.then((value) => {
    operationEnded.publish(() => answeredAtOnce(operation, startedAt));
    return value;
  }, again);
}

/** Publishes the end of a call that counts its attempts. */
export async function tellAttempts<T>(
  operation: Operation,
  startedAt: number,
  call: (attempts: Attempts) => Promise<T>,
): Promise<T> {
  const attempts: Attempts = { made: 1, failedAt: undefined };
  const tell = (error: unknown) => operationEnded.publish(() => operationEvent(operation, attempts, startedAt, error));
  let value: T;
  try {
    value = await call(attempts);
  } catch (error) {
    tell(error);
    throw error;
  }
  tell(undefined);
  return value;
}

// A small query that succeeds at once is the common case, and would pay for each spread.
function answeredAtOnce({ name, operation, clock, target, answeredAt }: Operation, startedAt: number): OperationEvent {
  const durationMillis = (answeredAt === undefined ? clock.now() : answeredAt()) - startedAt;
  const at = target();
  return at === undefined
    ? { name, operation, durationMillis, attempts: 1 }
    : { name, operation, durationMillis, attempts: 1, target: at };
}

function operationEvent(
  { name, operation, clock, target }: Operation,
  { made, failedAt }: Attempts,
  startedAt: number,
  error: unknown,
): OperationEvent {
  const now = clock.now();
  const at = target();
  return {
    name,
    operation,
    durationMillis: now - startedAt,
    attempts: made,
    ...(failedAt !== undefined && { retriedMillis: now - failedAt }),
    ...(at !== undefined && { target: at }),
    ...(error !== undefined && { error, kind: classifyFailure(error, 'connected').kind }),
  };
}

/** Publishes a retry, and counts it for the event of its call, if it has one. */
export function tellRetry(
  clock: Clock,
  attempts: Attempts | undefined,
  facts: { readonly name: string; readonly attempt: number; readonly error: unknown },
): void {
  if (attempts !== undefined) {
    attempts.made += 1;
    attempts.failedAt ??= clock.now();
  }
  retried.publish(() => {
    const { kind, outcome } = classifyFailure(facts.error, 'connected');
    return { ...facts, kind, outcome };
  });
}
