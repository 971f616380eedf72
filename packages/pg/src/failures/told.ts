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
}

/**
 * Runs a call, `again` if its first attempt fails, and publishes its end. Without a subscriber this costs one comparison, and with one
 * no promise that would not be there otherwise: a small query waits for little else.
 */
export function tellOperation<T>(
  operation: Operation,
  first: (attempts: Attempts | undefined) => Promise<T>,
  again?: (error: unknown, attempts?: Attempts) => Promise<T>,
  startedAt: number = operation.clock.now(),
): Promise<T> {
  if (!operationEnded.hasSubscribers) return again === undefined ? first(undefined) : first(undefined).catch(again);
  const attempts: Attempts = { made: 1, failedAt: undefined };
  const succeeded = (value: T) => {
    operationEnded.publish(() => operationEvent(operation, attempts, startedAt, undefined));
    return value;
  };
  return first(attempts).then(succeeded, (firstError: unknown) => {
    const failed = (error: unknown) => {
      operationEnded.publish(() => operationEvent(operation, attempts, startedAt, error));
      throw error;
    };
    return again === undefined ? failed(firstError) : again(firstError, attempts).then(succeeded, failed);
  });
}

function operationEvent(
  { name, operation, clock, target }: Operation,
  { made, failedAt }: Attempts,
  startedAt: number,
  error: unknown,
): OperationEvent {
  const now = clock.now();
  const durationMillis = now - startedAt;
  const at = target();
  // A small query that succeeds at once is the common case, and would pay for each spread.
  if (error === undefined && failedAt === undefined && at !== undefined) {
    return { name, operation, durationMillis, attempts: made, target: at };
  }
  return {
    name,
    operation,
    durationMillis,
    attempts: made,
    ...(failedAt !== undefined && { retriedMillis: now - failedAt }),
    ...(at !== undefined && { target: at }),
    ...(error !== undefined && { error, kind: classifyFailure(error, 'connected').kind }),
  };
}

/** Publishes a retry, and counts it. */
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
