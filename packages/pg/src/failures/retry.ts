import { type Clock, type Random, systemRandom } from '@externalname/core';
import { type BackoffBounds, backoffMillis, recordOutcome, sleep } from '@externalname/core/internal';
import pRetry from 'p-retry';
import { FailoverTimeoutError } from '../errors.ts';
import type { RecentEvent } from '../recent-events.ts';
import { classifyFailure, type Failure } from './classify.ts';

/** See {@link repeat}. */
export interface RepeatOptions {
  /** The clock that the pauses run on. */
  readonly clock: Clock;
  readonly random?: Random | undefined;
  /** Ends the pause before the next attempt, with its reason. It does not end an attempt in progress. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the error of an attempt is worth a retry. */
  readonly worthRepeating: (error: unknown) => boolean;
  /** Called before each retry, with the error of the attempt that failed and its number, from 1. */
  readonly onRepeat?: ((error: unknown, attempt: number) => void) | undefined;
  /** The error of the first attempt, if it was made already. The retry follows at once. */
  readonly failed?: { readonly error: unknown } | undefined;
  /** @defaultValue {@link statementPauses} */
  readonly pauses?: BackoffBounds | undefined;
}

/** Between attempts of a statement, a transaction or a question: another server may answer at any moment. */
export const statementPauses: BackoffBounds = { shortestMillis: 40, longestMillis: 500 };

/**
 * Retries work, with growing and jittered pauses, until it succeeds or fails in a way that is not worth a retry. It is the only
 * place of this package that retries on a caller's behalf, so all attempts are numbered and reported in one way.
 *
 * @throws the error of the last attempt, or the signal's reason
 */
export async function repeat<T>(attempt: () => Promise<T>, options: RepeatOptions): Promise<T> {
  const { clock, random = systemRandom, signal, worthRepeating, onRepeat, failed, pauses = statementPauses } = options;
  let last = failed;
  if (last !== undefined && !worthRepeating(last.error)) throw last.error;
  // How many attempts have failed so far.
  let failures = last === undefined ? 0 : 1;
  return await pRetry(
    async () => {
      if (last !== undefined) onRepeat?.(last.error, failures);
      return await attempt();
    },
    {
      retries: Number.POSITIVE_INFINITY,
      // p-retry's own pauses would run on the machine's clock.
      minTimeout: 0,
      signal,
      shouldRetry: async ({ error }) => {
        last = { error };
        if (!worthRepeating(error)) return false;
        const repeats = failed === undefined ? failures : failures - 1;
        failures += 1;
        await sleep(backoffMillis(repeats + 1, pauses, random), { signal, clock });
        return true;
      },
    },
  );
}

/** See {@link retryNotExecuted}. */
export interface RetryOptions {
  /** What is asked for, in messages: the Service's name. */
  readonly name: string;
  /** When the whole call must be over, in `now()` milliseconds. */
  readonly deadlineAt: number;
  readonly timeoutMillis: number;
  readonly clock: Clock;
  readonly random?: Random | undefined;
  /** Whether the caller said that running the work twice does no harm. */
  readonly idempotent: boolean;
  /** What was tried last, for the error of a call that ran out of time. */
  readonly recentEvents: () => readonly RecentEvent[];
  /** Whether an error ends the retries, whatever kind it is. */
  readonly isFinal: (error: unknown) => boolean;
  /** See {@link RepeatOptions.onRepeat}. */
  readonly onRepeat: (error: unknown, attempt: number) => void;
}

/**
 * Retries work while its failures say that it certainly did not run (or the caller marked it idempotent), until it
 * succeeds, fails in another way, or the deadline comes.
 *
 * `failed` is the error of the first attempt, which was made already: work that succeeds at once never comes here.
 *
 * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT` if the deadline comes before the next attempt
 */
export async function retryNotExecuted<T>(
  failed: unknown,
  attempt: (remainingMillis: number) => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  const { name, deadlineAt, timeoutMillis, clock, random, idempotent, recentEvents, isFinal, onRepeat } = options;
  let cause = failed;
  let readOnlyAnswers = 0;
  const worthRepeating = (error: unknown): boolean => {
    cause = error;
    if (isFinal(error)) return false;
    const failure = classifyFailure(error, 'connected');
    recordOutcome(error, failure.outcome);
    if (failure.kind === 'read-only') readOnlyAnswers += 1;
    if (!believesReadOnly(readOnlyAnswers)) return false;
    return mayRetry(failure, idempotent) && (error === failed || clock.now() < deadlineAt);
  };
  return await repeat(
    async () => {
      const remainingMillis = deadlineAt - clock.now();
      if (remainingMillis > 0) return await attempt(remainingMillis);
      throw new FailoverTimeoutError(name, timeoutMillis, { cause, recentEvents: recentEvents() });
    },
    { clock, random, failed: { error: failed }, worthRepeating, onRepeat },
  );
}

/** Whether the pool itself retries after this failure. */
export function mayRetry(failure: Failure, idempotent: boolean): boolean {
  if (!failure.retryable) return false;
  return failure.outcome === 'not-executed' || idempotent;
}

/**
 * Whether a read-only answer (25006) after so many others still counts as the server's. After three of them, each from a server
 * that took writes when the pool connected, the next one counts as the caller's.
 */
export function believesReadOnly(answers: number): boolean {
  return answers <= readOnlyAnswersBelieved;
}

const readOnlyAnswersBelieved = 3;
