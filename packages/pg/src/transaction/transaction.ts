import { InvalidArgumentError } from '@externalname/core';
import { abortable, recordOutcome } from '@externalname/core/internal';
import type * as pg from 'pg';
import { isForgotten } from '../driver/prepared-statements.ts';
import {
  CommitOutcomeUnknownError,
  FailoverTimeoutError,
  TransactionEndedEarlyError,
  TransactionRolledBackError,
} from '../errors.ts';
import { classifyFailure } from '../failures/classify.ts';
import { repeat } from '../failures/retry.ts';
import { type Attempts, tellAttempts, tellRetry } from '../failures/told.ts';
import { askOutcome, type CommitEvidence, gatherEvidence } from './commit-outcome.ts';
import { mayRepeat, type RepeatBudget, type RepeatReason, repeatReason } from './repeat-rules.ts';
import { askWith, endTransaction, giveUp, type TransactionHost } from './rollback.ts';
import { Scope, type Transaction } from './scope.ts';
import { type TransactionOptions, type TransactionSettings, transactionSettings } from './settings.ts';

/**
 * Runs `work` in a transaction; see {@link Pool.transaction}.
 */
export function runTransaction<T>(
  host: TransactionHost,
  work: (tx: Transaction) => T | Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const { name, clock, target } = host;
  return tellAttempts({ name, operation: 'transaction', clock, target }, clock.now(), (attempts) =>
    repeatTransaction(host, work, options, attempts),
  );
}

async function repeatTransaction<T>(
  host: TransactionHost,
  work: (tx: Transaction) => T | Promise<T>,
  options: TransactionOptions,
  attempts: Attempts,
): Promise<T> {
  if (typeof work !== 'function') throw new InvalidArgumentError('work', 'pass the function that does the work');
  const run = new TransactionRun(host, work, transactionSettings(options));
  // A final outcome is a value, not an error to retry after. It is kept here, because a signal that fires late must not hide that
  // the transaction is committed.
  let result: AttemptResult<T> | undefined;
  const { clock, random, name } = host;
  try {
    await repeat(
      async () => {
        result = await run.attempt();
      },
      {
        clock,
        random,
        signal: options.signal,
        worthRepeating: (error) => error instanceof Again,
        onRepeat: (again, attempt) =>
          tellRetry(clock, attempts, { name, attempt, error: again instanceof Error ? again.cause : again }),
      },
    );
  } catch (error) {
    result ??= { error };
  }
  if (result === undefined || 'error' in result) throw result?.error;
  return result.value;
}

/** The final end of an attempt. */
type AttemptResult<T> = { readonly value: T } | { readonly error: unknown };

/** Thrown to retry the whole transaction; it never leaves this file. */
class Again extends Error {}

/** One call of `pool.transaction()`, over all its attempts. */
class TransactionRun<T> {
  readonly #host: TransactionHost;
  readonly #work: (tx: Transaction) => T | Promise<T>;
  readonly #settings: TransactionSettings;
  readonly #startedAt: number;
  #repeats = 0;
  #conflicts = 0;
  #readOnlyAnswers = 0;
  /** Set when a session had lost a prepared statement: the next session may have, too. */
  #withoutNames = false;
  #lastError: unknown;

  constructor(host: TransactionHost, work: (tx: Transaction) => T | Promise<T>, settings: TransactionSettings) {
    this.#host = host;
    this.#work = work;
    this.#settings = settings;
    this.#startedAt = host.clock.now();
  }

  /** @throws Again */
  async attempt(): Promise<AttemptResult<T>> {
    let client: pg.PoolClient;
    try {
      client = await this.#connect();
    } catch (error) {
      return { error };
    }
    const scope = new Scope(client, { clock: this.#host.clock, withoutNames: this.#withoutNames });
    try {
      return await this.#perform(client, scope);
    } finally {
      scope.close();
      scope.stopWatching();
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    const { signal } = this.#settings;
    const { failoverTimeoutMillis } = this.#host;
    if (this.#repeats === 0 || failoverTimeoutMillis === 0)
      return await this.#host.connect({ budgetMillis: undefined, signal });
    const budgetMillis = failoverTimeoutMillis - this.#elapsed();
    if (budgetMillis > 0) return await this.#host.connect({ budgetMillis, signal });
    throw this.#failoverTimeout(this.#lastError);
  }

  async #perform(client: pg.PoolClient, scope: Scope): Promise<AttemptResult<T>> {
    const { begin, signal, readOnly, commitProof, markerTable: table } = this.#settings;
    let value: T;
    let evidence: CommitEvidence | undefined;
    let worked = false;
    try {
      await abortable(scope.run(begin), signal);
      scope.watch();
      value = await abortable(Promise.resolve(this.#work(scope.root)), signal);
      worked = true;
      await abortable(scope.settle(), signal);
      scope.close();
      if (scope.mayHaveEnded) throw new TransactionEndedEarlyError();
      if (!readOnly) {
        const marker = table === undefined ? undefined : { table, id: crypto.randomUUID() };
        evidence = await abortable(scope.observe(gatherEvidence(client, { proof: commitProof, marker })), signal);
      }
      if (scope.endedEarly) throw new TransactionEndedEarlyError();
    } catch (error) {
      scope.close();
      return await this.#afterRollback(client, scope, worked ? scope.reasonBehind(error) : error);
    }
    scope.stopWatching();
    let command: string | undefined;
    try {
      ({ command } = await abortable(scope.run('COMMIT'), signal));
    } catch (error) {
      const outcome = signal?.aborted ? 'unknown' : classifyFailure(error, 'connected').outcome;
      if (outcome === 'not-executed') return await this.#afterRollback(client, scope, scope.reasonBehind(error));
      return await this.#afterSilence(client, evidence, value, error);
    }
    // COMMIT of a transaction in which a statement has failed is not an error to the server: it answers ROLLBACK.
    if (command === 'ROLLBACK') {
      return await this.#afterRollback(client, scope, new TransactionRolledBackError({ cause: scope.failure }));
    }
    client.release();
    return { value };
  }

  // The server has rolled it back, or will as soon as the connection is gone: COMMIT did not reach it.
  async #afterRollback(client: pg.PoolClient, scope: Scope, error: unknown): Promise<AttemptResult<T>> {
    const { signal, readOnly } = this.#settings;
    if (signal?.aborted) {
      await endTransaction(this.#host, client, scope, signal.reason, 'at once');
      return { error: signal.reason };
    }
    const { failure } = scope;
    if (scope.mayHaveEnded) {
      // A part of it may be committed, so it is never retried, and its errors do not say that it was rolled back.
      await endTransaction(this.#host, client, scope, error);
      const fromApplication = failure === undefined || error instanceof TransactionEndedEarlyError;
      return { error: fromApplication ? error : new TransactionEndedEarlyError({ cause: error }) };
    }
    // An error of the application itself says nothing about the server, whatever it looks like.
    const kind = failure === undefined ? 'statement' : classifyFailure(failure, 'connected').kind;
    const demoted = await endTransaction(this.#host, client, scope, error);
    if (kind === 'read-only') this.#readOnlyAnswers += 1;
    const forgotten = isForgotten(failure);
    if (forgotten) this.#withoutNames = true;
    const reason = repeatReason(kind, { readOnly, demoted, forgotten });
    return this.#repeatOrFail(reason, asRolledBack(error, failure), failure ?? error);
  }

  // COMMIT was sent but not answered: the outcome is proven or reported, never guessed.
  async #afterSilence(
    client: pg.PoolClient,
    evidence: CommitEvidence | undefined,
    value: T,
    error: unknown,
  ): Promise<AttemptResult<T>> {
    const { signal, readOnly } = this.#settings;
    const lost = error instanceof Error ? error : new Error(String(error));
    giveUp(this.#host, client, lost);
    client.release(lost);
    // A timeout that the application set says nothing against the server: a retry would take as long.
    const reason = classifyFailure(error, 'connected').kind === 'deadline' ? undefined : 'server';
    // Nothing was written, so nothing can have been lost or done: the reads are repeated.
    if (readOnly || evidence?.transactionId === null) {
      return signal?.aborted ? { error: signal.reason } : this.#repeatOrFail(reason, rolledBack(error), error);
    }
    if (signal?.aborted || evidence === undefined || evidence.transactionId === undefined) {
      return { error: this.#outcomeUnknown(evidence, error) };
    }
    const outcome = await this.#prove(evidence);
    if (outcome === 'committed') return { value };
    if (outcome === 'not-executed') return this.#repeatOrFail(reason, rolledBack(error), error);
    return { error: this.#outcomeUnknown(evidence, error) };
  }

  async #prove(evidence: CommitEvidence): Promise<'committed' | 'not-executed' | 'unprovable'> {
    const { signal, markerTable: table } = this.#settings;
    const { clock, random, failoverTimeoutMillis } = this.#host;
    const deadlineAt = Math.max(this.#startedAt + failoverTimeoutMillis, clock.now() + leastProofMillis);
    try {
      return await repeat(
        async () => {
          const budgetMillis = Math.max(1, deadlineAt - clock.now());
          const client = await this.#host.connect({ budgetMillis, signal });
          const ask = () => askOutcome(client, evidence, table);
          const verdict = await askWith(this.#host, client, ask, { budgetMillis, signal });
          if (verdict === 'in-progress') throw new Again('the transaction is still being ended');
          return verdict;
        },
        {
          clock,
          random,
          signal,
          worthRepeating: (error) =>
            clock.now() < deadlineAt && (error instanceof Again || classifyFailure(error, 'connected').retryable),
        },
      );
    } catch {
      return 'unprovable';
    }
  }

  #repeatOrFail(reason: RepeatReason, error: unknown, cause: unknown): AttemptResult<T> {
    const { failoverTimeoutMillis } = this.#host;
    this.#lastError = cause;
    if (reason === undefined) return { error };
    const budget: RepeatBudget = {
      retries: this.#settings.retries,
      repeats: this.#repeats,
      conflicts: this.#conflicts,
      readOnlyAnswers: this.#readOnlyAnswers,
      elapsedMillis: this.#elapsed(),
      failoverTimeoutMillis,
    };
    if (!mayRepeat(reason, budget)) {
      const late = reason === 'server' && failoverTimeoutMillis > 0 && budget.elapsedMillis >= failoverTimeoutMillis;
      return { error: late ? this.#failoverTimeout(cause) : error };
    }
    this.#repeats += 1;
    if (reason === 'conflict') this.#conflicts += 1;
    throw new Again('the transaction was rolled back', { cause });
  }

  #failoverTimeout(cause: unknown): FailoverTimeoutError {
    const { name, failoverTimeoutMillis } = this.#host;
    return new FailoverTimeoutError(name, failoverTimeoutMillis, { cause, recentEvents: this.#host.recentEvents() });
  }

  #outcomeUnknown(evidence: CommitEvidence | undefined, cause: unknown): CommitOutcomeUnknownError {
    const transactionId = evidence?.transactionId ?? undefined;
    return new CommitOutcomeUnknownError(this.#host.name, { transactionId, marker: evidence?.marker }, { cause });
  }

  #elapsed(): number {
    return this.#host.clock.now() - this.#startedAt;
  }
}

// What a failure says about its statement is not true for the whole: without COMMIT, nothing took effect.
function asRolledBack(error: unknown, failure: unknown): unknown {
  if (error !== failure) return error;
  if (classifyFailure(error, 'connected').outcome === 'unknown') return rolledBack(error);
  recordOutcome(error, 'not-executed');
  return error;
}

function rolledBack(cause: unknown): TransactionRolledBackError {
  return new TransactionRolledBackError({ cause });
}

// The proof is worth some time even if the failover timeout is over, or off.
const leastProofMillis = 5_000;
