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
  // What is repeated by `again` needs no count before its first failure.
  const attempts: Attempts | undefined = again === undefined ? { made: 1, failedAt: undefined } : undefined;
  return first(attempts).then(
    (value) => {
      if (attempts === undefined) operationEnded.publish(() => answeredAtOnce(operation, startedAt));
      else operationEnded.publish(() => operationEvent(operation, attempts, startedAt, undefined));
      return value;
    },
    (firstError: unknown) => {
      const made = attempts ?? { made: 1, failedAt: undefined };
      const succeeded = (value: T) => {
        operationEnded.publish(() => operationEvent(operation, made, startedAt, undefined));
        return value;
      };
      const failed = (error: unknown) => {
        operationEnded.publish(() => operationEvent(operation, made, startedAt, error));
        throw error;
      };
      return again === undefined ? failed(firstError) : again(firstError, made).then(succeeded, failed);
    },
  );
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
