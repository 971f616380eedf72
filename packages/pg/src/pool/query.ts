import type { Clock, Random } from '@externalname/core';
import { abortable, recordOutcome } from '@externalname/core/internal';
import type * as pg from 'pg';
import { positionOf, type WalPosition } from '../connect/wal-position.ts';
import {
  callbackAmong,
  callbackOfObject,
  isSubmitted,
  nullQueryError,
  refuseQuery,
  replyByCallback,
  type SubmittedQuery,
  sendObserved,
} from '../driver/query-forms.ts';
import { mayCommitWithin } from '../driver/statement.ts';
import { isQuery, superviseObject } from '../driver/unfinished.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import { classifyFailure, isDatabaseError } from '../failures/classify.ts';
import { mayRetry, retryNotExecuted } from '../failures/retry.ts';
import { type Attempts, type Operation, tellAttempts, tellOperation, tellRetry } from '../failures/told.ts';
import type { PoolSettings } from '../options.ts';
import { type FailedAnswers, isFinal } from './failed-answers.ts';
import { type PgPool, poolEndedError } from './pg-pool.ts';

/** What the config of `pool.query()` may contain in addition to that of `pg`. */
export interface Repeatable {
  /**
   * Whether running it twice does no harm. The pool then also retries it if its outcome is unknown.
   * @defaultValue false
   */
  idempotent?: boolean | undefined;
  /**
   * The token of a write, from `pool.currentToken()`: the query runs on a server that has it. See `docs/guides/replicas.md`.
   */
  after?: string | undefined;
}

/** One of the attempts of a query. */
export interface Attempt {
  /** What is left of the call's time for a connection; `undefined` for the first attempt. */
  readonly budgetMillis: number | undefined;
  /** Called after the query was sent, with the client that it was sent on. */
  readonly delivered?: ((client: pg.ClientBase) => void) | undefined;
}

/** One of the attempts of a query that may share. */
export interface SharedAttempt extends Attempt {
  /** Set if its text was read elsewhere, and may share: with all its values in it, reading takes longer than all else. */
  readonly isShareable?: true | undefined;
  /** Ends the wait for a connection. */
  readonly signal?: AbortSignal | undefined;
  /** Called each time that it is sent. Returns what is to be called when it has ended. */
  readonly sent?: (() => ((result: 'answered' | 'failed' | 'unjudged') => void) | undefined) | undefined;
}

/** What {@link Queries} works with. */
export interface QueriesParts {
  readonly pool: PgPool;
  readonly settings: Pick<PoolSettings, 'name' | 'failoverTimeoutMillis'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly factory: Pick<ConnectionFactory, 'target' | 'serving' | 'servedAt' | 'recentEvents'>;
  readonly answers: FailedAnswers;
  /** Runs the query once, as `pg-pool` does. Without an attempt for the first time. */
  once(text: unknown, values: unknown, callback: unknown, attempt: Attempt | undefined): unknown;
  /** Runs the query once, on a server that has replayed the token. */
  onceAfter(token: WalPosition, text: unknown, values: unknown, attempt: Attempt | undefined): Promise<unknown>;
  /** When a connection last came back, in `now()` milliseconds: for a query that was answered on it in this turn. */
  readonly answeredAt?: (() => number) | undefined;
  /** Whether queries may be run without `pg-pool`, which makes the stack of an error lead to the caller. */
  readonly isSharing: boolean;
  /** Whether all queries may run twice, because their sessions write nothing. */
  readonly isReader: boolean;
}

/** `pool.query()`: a query runs once, and is retried while its failures say that it certainly did not run. */
export class Queries {
  readonly #parts: QueriesParts;

  /** The statement that `ready()` waits for, while it is in flight. */
  #proof: Promise<unknown> | undefined;

  readonly #operation: Operation;

  /** Of a query with a token: another pool's connection may have served it. */
  readonly #elsewhere: Operation;

  /** When `query()` was last called, in `now()` milliseconds: for the wait for a connection, which begins in the same turn. */
  calledAt = Number.NEGATIVE_INFINITY;

  constructor(parts: QueriesParts) {
    this.#parts = parts;
    const { settings, clock, factory, answeredAt } = parts;
    this.#operation = {
      name: settings.name,
      operation: 'query',
      clock,
      target: () => factory.target?.externalName,
      answeredAt,
    };
    this.#elsewhere = { ...this.#operation, answeredAt: undefined };
  }

  /** See `pool.ready()`. */
  ready(signal: AbortSignal | undefined): Promise<void> {
    const { pool, factory, clock } = this.#parts;
    if (pool.ending) return Promise.reject(poolEndedError());
    // In a busy pool the callers have proven it, and a check that queues behind them would call the pool dead.
    const { serving, servedAt = Number.NEGATIVE_INFINITY } = factory;
    const isProven = serving && clock.now() - servedAt <= freshProofMillis;
    if (!isProven && this.#proof === undefined) {
      const proof = this.query({ text: '', idempotent: true }, undefined, undefined) as Promise<unknown>;
      const over = () => {
        this.#proof = undefined;
      };
      proof.then(over, over);
      this.#proof = proof;
    }
    return abortable(isProven ? Promise.resolve() : Promise.resolve(this.#proof), signal).then(() => undefined);
  }

  query(text: unknown, values: unknown, callback: unknown): unknown {
    const { clock } = this.#parts;
    let once: Once = this.#parts.once;
    // `pg` would take a connection first and leave a listener on it.
    if (text === null || text === undefined) return refuseQuery([text, values, callback], nullQueryError());
    if (typeof text === 'function') return once(text, values, callback, undefined);
    if (isSubmitted(text)) return this.#submit(text, values, callback);
    if (typeof text === 'object' && (text as Repeatable).after !== undefined) {
      const { onceAfter } = this.#parts;
      try {
        const token = positionOf((text as Repeatable).after);
        once = (...[asked, parameters, , attempt]) => onceAfter(token, asked, parameters, attempt);
      } catch (error) {
        return refuseQuery([text, values, callback], error as Error);
      }
    }
    // pg-pool's own callback overrides a callback in a config.
    const done = callbackAmong(values, callback);
    const parameters = typeof values === 'function' ? undefined : values;
    const startedAt = clock.now();
    this.calledAt = startedAt;
    // Few objects are made here, because most queries succeed and pay for each.
    const operation = once === this.#parts.once ? this.#operation : this.#elsewhere;
    const first = once(text, parameters, undefined, undefined) as Promise<unknown>;
    const result = tellOperation(operation, startedAt, first, (error) =>
      tellAttempts(operation, startedAt, (attempts) => this.#again(error, text, parameters, startedAt, attempts, once)),
    );
    return done === undefined ? result : replyByCallback(done, result, undefined);
  }

  // It may have been read from already, so it is never sent twice.
  #submit(asked: SubmittedQuery, values: unknown, callback: unknown): unknown {
    const { clock, once } = this.#parts;
    const own = callbackOfObject(asked);
    let failure: unknown;
    const delivered = (client: pg.ClientBase) =>
      superviseObject(client, asked, { clock, callback: own, failure: () => failure });
    const answer = sendObserved(
      [asked, values, callback],
      ([object, parameters, done]) => once(object, parameters, done, { budgetMillis: undefined, delivered }),
      (error) => {
        failure = error;
      },
    );
    // Its failure is reported to the object, or to the object's own callback. In `pg` this promise would not settle at all.
    if (own !== undefined || !isQuery(asked)) (answer as Promise<unknown> | undefined)?.catch(() => undefined);
    return answer;
  }

  async #again(
    error: unknown,
    text: unknown,
    values: unknown,
    startedAt: number,
    attempts: Attempts,
    once: Once,
  ): Promise<unknown> {
    const { pool, settings, clock, random, factory, answers, isReader, isSharing } = this.#parts;
    const { name, failoverTimeoutMillis } = settings;
    if (isSharing && error instanceof Error) Error.captureStackTrace(error);
    const judge = (cause: unknown) => {
      // What the server says about the failed statement does not hold for what was committed before it.
      if (isDatabaseError(cause) && mayCommitWithin(text)) recordOutcome(cause, 'unknown');
    };
    judge(error);
    await answers.clientReturned(error);
    await answers.verdictOn(error);
    const idempotent = isReader || isIdempotent(text);
    const failure = classifyFailure(error, 'connected');
    recordOutcome(error, failure.outcome);
    // A session that writes nothing is read-only by our own setting.
    const isOwn = isReader && failure.kind === 'read-only';
    const final = failoverTimeoutMillis === 0 || pool.ending || isOwn || isFinal(error);
    if (final || !mayRetry(failure, idempotent)) throw error;
    const attempt = (budgetMillis: number) =>
      (once(text, values, undefined, { budgetMillis }) as Promise<unknown>).catch(async (cause: unknown) => {
        judge(cause);
        await answers.verdictOn(cause);
        throw cause;
      });
    return await retryNotExecuted(error, attempt, {
      name,
      deadlineAt: startedAt + failoverTimeoutMillis,
      timeoutMillis: failoverTimeoutMillis,
      clock,
      random,
      idempotent,
      isFinal: (cause) => pool.ending || isFinal(cause),
      recentEvents: () => factory.recentEvents,
      onRepeat: (cause, number) => tellRetry(clock, attempts, { name, attempt: number, error: cause }),
    });
  }
}

type Once = QueriesParts['once'];

// If the server was heard from this recently, it need not be asked again.
const freshProofMillis = 1_000;

function isIdempotent(query: unknown): boolean {
  return typeof query === 'object' && (query as { idempotent?: unknown }).idempotent === true;
}
