import { type Clock, type Random, systemRandom } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import pRetry from 'p-retry';
import { FailoverTimeoutError } from '../errors.ts';
import type { RecentEvent } from '../recent-events.ts';
import { classifyFailure, type Failure, recordOutcome } from './classify.ts';

/** See {@link repeat}. */
export interface RepeatOptions {
  /** The pauses run on it. */
  readonly clock: Clock;
  readonly random?: Random | undefined;
  /** Ends the pause before the next attempt, with its reason. An attempt that is under way is not ended. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the error of an attempt is worth another one. */
  readonly worthRepeating: (error: unknown) => boolean;
  /** Told before each repeat: the error of the attempt that failed, and its number, from 1. */
  readonly onRepeat?: ((error: unknown, attempt: number) => void) | undefined;
  /** The error of the first attempt, if that was made already. It is repeated at once. */
  readonly failed?: { readonly error: unknown } | undefined;
  /** @defaultValue {@link statementPauses} */
  readonly pauses?: Pauses | undefined;
}

/** Pauses that double: after the first, one of up to twice the shortest. Milliseconds. */
export interface Pauses {
  readonly shortestMillis: number;
  readonly longestMillis: number;
}

/** Between attempts of a statement, a transaction or a question: another server may answer any moment. */
export const statementPauses: Pauses = { shortestMillis: 20, longestMillis: 500 };

/**
 * Repeats work, with growing and jittered pauses, until it succeeds or fails in a way that is not worth repeating. The one
 * place of this package that repeats work on a caller's behalf, so that attempts are numbered and told in one way.
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
      // Its own pauses would run on the clock of the machine.
      minTimeout: 0,
      signal,
      shouldRetry: async ({ error }) => {
        last = { error };
        if (!worthRepeating(error)) return false;
        const repeats = failed === undefined ? failures : failures - 1;
        failures += 1;
        await sleep(pauseAfter(repeats, pauses, random), { signal, clock });
        return true;
      },
    },
  );
}

/** The pause after so many repeats. */
export function pauseAfter(repeats: number, { shortestMillis, longestMillis }: Pauses, random: Random): number {
  return Math.min(longestMillis, (1 + random()) * shortestMillis * 2 ** repeats);
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
  /** Whether the caller said that doing the work twice does no harm. */
  readonly idempotent: boolean;
  /** What was tried last, for the error of a call whose time is up. */
  readonly recentEvents: () => readonly RecentEvent[];
  /** Whether an error ends it all, whatever kind it is of. */
  readonly isFinal: (error: unknown) => boolean;
  /** See {@link RepeatOptions.onRepeat}. */
  readonly onRepeat: (error: unknown, attempt: number) => void;
}

/**
 * Repeats work while its failures say that it was surely not executed (or the caller called it idempotent), until it
 * succeeds, fails in another way, or the deadline comes.
 *
 * `failed` is the error of the attempt that was made already: work that succeeds at once never comes here.
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

/** Whether the pool repeats work by itself after this failure. */
export function mayRetry(failure: Failure, idempotent: boolean): boolean {
  if (!failure.retryable) return false;
  return failure.outcome === 'not-executed' || idempotent;
}

/**
 * Whether so many read-only answers (25006) are still taken for the server's doing. After three of them, each from a server
 * that took writes when it was connected to, the next one is taken for the caller's.
 */
export function believesReadOnly(answers: number): boolean {
  return answers <= readOnlyAnswersBelieved;
}

const readOnlyAnswersBelieved = 3;
