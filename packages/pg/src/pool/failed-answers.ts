import type { Clock, Timer } from '@externalname/core';

/**
 * What is still being found out about the error of a query when its caller could have it already. `pool.query()` waits for
 * that before it repeats the query, or hands the error on.
 */
export class FailedAnswers {
  readonly #clock: Clock;
  /** The errors of queries whose client is about to be idle again. */
  readonly #returning = new WeakMap<Error, Promise<void>>();
  /** Those that say that a server is read-only, until it is known whether it is. */
  readonly #judged = new WeakMap<Error, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The client of the query that failed so is idle again, or gone, when `returned` resolves. */
  clientReturns(error: Error, returned: Promise<void>): void {
    this.#returning.set(error, returned);
  }

  /** It is known whose doing the read-only answer is when `verdict` resolves. */
  isJudged(error: Error, verdict: Promise<void>): void {
    this.#judged.set(error, verdict);
  }

  /**
   * The server reports an error one message before it says that it is ready again. A caller who asks for the next statement in
   * between would be given a new connection for want of this one.
   */
  async clientReturned(error: unknown): Promise<void> {
    const returned = error instanceof Error ? this.#returning.get(error) : undefined;
    if (returned === undefined) return;
    let timer: Timer | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = this.#clock.schedule(resolve, longestReturnMillis);
    });
    await Promise.race([returned, timeout]);
    timer?.cancel();
  }

  verdictOn(error: unknown): Promise<void> | undefined {
    return error instanceof Error ? this.#judged.get(error) : undefined;
  }
}

/** No repeat helps after this error: every attempt that could was made, or it is the caller's own doing. */
export function markFinal(error: unknown): void {
  if (error instanceof Error) finalErrors.add(error);
}

export function isFinal(error: unknown): boolean {
  return error instanceof Error && finalErrors.has(error);
}

const finalErrors = new WeakSet<Error>();

// A message that follows at once; a server that falls silent in between must not hold the error back.
const longestReturnMillis = 50;
