import type { Clock, Timer } from '@externalname/core';

/**
 * What is still being determined about the error of a query when its caller could already have it. `pool.query()` waits for
 * that before it retries the query, or passes the error on.
 */
export class FailedAnswers {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The client of the failed query is idle again, or gone, when `returned` resolves. */
  clientReturns(error: Error, returned: Promise<void>): void {
    returning.set(error, returned);
  }

  /** When `verdict` resolves, it is known who caused the read-only answer. */
  isJudged(error: Error, verdict: Promise<void>): void {
    verdicts.set(error, verdict);
  }

  /**
   * The server reports an error one message before it says that it is ready again. A caller who sends the next statement in
   * between would get a new connection, because this one is not idle yet.
   */
  async clientReturned(error: unknown): Promise<void> {
    const returned = error instanceof Error ? returning.get(error) : undefined;
    if (returned === undefined) return;
    let timer: Timer | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = this.#clock.schedule(resolve, longestReturnMillis);
    });
    await Promise.race([returned, timeout]);
    timer?.cancel();
  }

  verdictOn(error: unknown): Promise<void> | undefined {
    return error instanceof Error ? verdicts.get(error) : undefined;
  }
}

// Shared by all pools, because a balanced pool judges the errors of its members.
/** Errors of queries whose client is about to be idle again. */
const returning = new WeakMap<Error, Promise<void>>();
/** Errors that say that a server is read-only, until that is verified. */
const verdicts = new WeakMap<Error, Promise<void>>();

/** No retry helps after this error: every useful attempt was made, or the caller caused it. */
export function markFinal(error: unknown): void {
  if (error instanceof Error) finalErrors.add(error);
}

export function isFinal(error: unknown): boolean {
  return error instanceof Error && finalErrors.has(error);
}

const finalErrors = new WeakSet<Error>();

// A message that follows at once; if the server goes silent in between, the error must not be held back.
const longestReturnMillis = 50;
