import pRetry from 'p-retry';
import { FailoverTimeoutError } from './errors.ts';
import { classifyFailure, type Failure, recordOutcome } from './failures.ts';
import type { RecentEvent } from './recent-events.ts';

/** See {@link retryNotExecuted}. */
export interface RetryOptions {
  /** What is asked for, in messages: the Service's name. */
  readonly name: string;
  /** When the whole call must be over, in `now()` milliseconds. */
  readonly deadlineAt: number;
  readonly timeoutMillis: number;
  readonly now: () => number;
  /** Whether the caller said that doing the work twice does no harm. */
  readonly idempotent: boolean;
  /** What was tried last, for the error of a call whose time is up. */
  readonly recentEvents: () => readonly RecentEvent[];
  /** Whether an error ends it all, whatever kind it is of. */
  readonly isFinal: (error: unknown) => boolean;
  /** Told of each attempt that failed and is going to be repeated. */
  readonly onRetry: (error: unknown, attempt: number) => void;
}

/**
 * Repeats work while its failures say that it was surely not executed (or the caller called it idempotent), with
 * growing pauses, until it succeeds, fails in another way, or the deadline comes.
 *
 * `failed` is the error of the attempt that was made already: work that succeeds at once never comes here.
 */
export async function retryNotExecuted<T>(
  failed: unknown,
  attempt: (remainingMillis: number) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  let previous = failed;
  let readOnlyAnswers = 0;
  let firstAttempt = true;

  const worthAnother = (error: unknown): boolean => {
    if (options.isFinal(error)) return false;
    const failure = classifyFailure(error, 'connected');
    recordOutcome(error, failure.outcome);
    if (failure.kind === 'read-only') readOnlyAnswers += 1;
    // A second such answer, from a server that proved to take writes when we connected: the caller's own doing.
    if (readOnlyAnswers > readOnlyAnswersBelieved) return false;
    return mayRetry(failure, options.idempotent);
  };

  if (!worthAnother(failed)) throw failed;
  return await pRetry(
    async (number) => {
      if (!firstAttempt || number > 1) options.onRetry(previous, number);
      firstAttempt = false;
      const remaining = options.deadlineAt - options.now();
      if (remaining <= 0) {
        const recentEvents = options.recentEvents();
        throw new FailoverTimeoutError(options.name, options.timeoutMillis, { cause: previous, recentEvents });
      }
      return await attempt(remaining);
    },
    {
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 20,
      maxTimeout: 500,
      factor: 2,
      randomize: true,
      shouldRetry: ({ error }) => {
        previous = error;
        return worthAnother(error) && options.now() < options.deadlineAt;
      },
    },
  );
}

/** Whether the pool repeats work by itself after this failure. */
export function mayRetry(failure: Failure, idempotent: boolean): boolean {
  if (!failure.retryable) return false;
  return failure.outcome === 'not-executed' || idempotent;
}

const readOnlyAnswersBelieved = 3;
