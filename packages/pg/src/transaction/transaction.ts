import { type Clock, ClosedError, InvalidArgumentError, type Random } from '@externalname/core';
import { abortable, withDeadline } from '@externalname/core/internal';
import type * as pg from 'pg';
import { askRole } from '../connect/session-role.ts';
import { breakConnection, hasWork, isUsable, onReadyForQuery } from '../driver/client-internals.ts';
import { type QueryArguments, refuseQuery, sendObserved } from '../driver/query-forms.ts';
import {
  CommitOutcomeUnknownError,
  FailoverTimeoutError,
  TransactionEndedEarlyError,
  TransactionRolledBackError,
} from '../errors.ts';
import { retried } from '../events.ts';
import { classifyFailure, type FailureKind, recordOutcome } from '../failures/classify.ts';
import { believesReadOnly, repeat } from '../failures/retry.ts';
import type { RecentEvent } from '../recent-events.ts';
import { askOutcome, type CommitEvidence, gatherEvidence, type MarkerTable, markerTable } from './commit-outcome.ts';

/** The isolation levels of PostgreSQL (documentation, 13.2). */
export type IsolationLevel = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';

/** Options of {@link Pool.transaction}. */
export interface TransactionOptions {
  /** @defaultValue the server's `default_transaction_isolation` */
  isolationLevel?: IsolationLevel | undefined;
  /**
   * Whether the transaction is READ ONLY. `false` is the same as leaving it out: READ WRITE is never said, as it would
   * get past a server that was fenced by `default_transaction_read_only`.
   * @defaultValue false
   */
  readOnly?: boolean | undefined;
  /** DEFERRABLE: with `serializable` and `readOnly`, waits for a snapshot that cannot fail. @defaultValue false */
  deferrable?: boolean | undefined;
  /**
   * How often, at the most, the work is done again, whatever the reason. 0 does it once.
   * @defaultValue after conflicts (40001, 40P01) 5 times; after the loss of a server as often as fits in `failoverTimeoutMillis`
   */
  retries?: number | undefined;
  /**
   * Ends the transaction early, and a statement that runs on the server too. Before COMMIT is sent it is rolled back, and the
   * promise rejects with the signal's reason; after that, with {@link CommitOutcomeUnknownError}.
   */
  signal?: AbortSignal | undefined;
  /**
   * A table in which the transaction leaves a row, so that its outcome can be proven on another server too, after a
   * switch. Costs nothing where the transaction wrote nothing. See `docs/guides/transactions.md` for the table.
   */
  commitMarker?: { readonly table: string } | undefined;
  /**
   * Whether the server is asked, one round trip before COMMIT, what proves the outcome on that server if no answer to
   * COMMIT comes. `false` spares it. Not asked for with `readOnly`.
   * @defaultValue true
   */
  commitProof?: boolean | undefined;
}

/** What the function given to {@link Pool.transaction} gets: a client inside the transaction, for as long as it lasts. */
export interface Transaction {
  /** As `query` of `pg`'s client, in all its forms. Rejects once the transaction is over. */
  readonly query: pg.ClientBase['query'];
  /**
   * A part that can fail by itself: a savepoint, released when `work` resolves and rolled back to when it rejects. While
   * it is open, only its own `tx` takes statements.
   */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T>;
}

/** What a transaction needs of the pool. */
export interface TransactionHost {
  readonly name: string;
  readonly failoverTimeoutMillis: number;
  readonly clock: Clock;
  readonly random: Random;
  connect(options: { budgetMillis: number | undefined; signal: AbortSignal | undefined }): Promise<pg.PoolClient>;
  /** Gives up a client with the statement that runs on it: it fails with the error here, and ends on the server too. */
  abandon(client: pg.PoolClient, error: Error): void;
  /** What was tried last on the way to a server. */
  recentEvents(): readonly RecentEvent[];
}

/**
 * Runs `work` in a transaction; see {@link Pool.transaction}.
 */
export async function runTransaction<T>(
  host: TransactionHost,
  work: (tx: Transaction) => T | Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  if (typeof work !== 'function') throw new InvalidArgumentError('work', 'pass the function that does the work');
  const run = new TransactionRun(host, work, transactionSettings(options));
  // What is final is a value, and no error to repeat after. Kept here, because a signal that fires late must not hide that
  // all is committed.
  let result: Result<T> | undefined;
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
          retried.publish(() => ({ name, attempt, error: again instanceof Error ? again.cause : again })),
      },
    );
  } catch (error) {
    result ??= { error };
  }
  if (result === undefined || 'error' in result) throw result?.error;
  return result.value;
}

/** What the options come to, checked. */
export interface TransactionSettings {
  readonly begin: string;
  readonly readOnly: boolean;
  readonly retries: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly markerTable: MarkerTable | undefined;
  readonly commitProof: boolean;
}

/**
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the option
 */
export function transactionSettings(options: TransactionOptions): TransactionSettings {
  const { isolationLevel, readOnly, deferrable, retries, signal, commitMarker, commitProof } = options;
  const words = ['BEGIN'];
  if (isolationLevel !== undefined) {
    if (!isolationLevels.includes(isolationLevel)) {
      throw new InvalidArgumentError(
        'isolationLevel',
        `${JSON.stringify(isolationLevel)} is none of ${isolationLevels.join(', ')}`,
      );
    }
    words.push('ISOLATION LEVEL', isolationLevel.toUpperCase());
  }
  for (const [name, value] of Object.entries({ readOnly, deferrable, commitProof })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw new InvalidArgumentError(name, `${JSON.stringify(value)} is neither true nor false`);
    }
  }
  if (readOnly) words.push('READ ONLY');
  if (deferrable) words.push('DEFERRABLE');
  if (retries !== undefined && !(retries === Number.POSITIVE_INFINITY || (Number.isInteger(retries) && retries >= 0))) {
    throw new InvalidArgumentError('retries', `${String(retries)} is no whole number of 0 or more`);
  }
  return {
    begin: words.join(' '),
    readOnly: readOnly ?? false,
    retries,
    signal,
    markerTable: commitMarker === undefined ? undefined : markerTable(commitMarker.table),
    commitProof: commitProof ?? true,
  };
}

/** Why a transaction that was rolled back is worth doing again; `undefined` where it is not. */
export type RepeatReason = 'conflict' | 'server' | undefined;

/**
 * Says whether a transaction that was surely rolled back is worth doing again, by what its first failed statement met.
 *
 * A read-only answer is the server's doing only where the server itself says so (`demoted`): else the application asked
 * for READ ONLY in its own words.
 */
export function repeatReason(
  kind: FailureKind,
  circumstances: { readonly readOnly: boolean; readonly demoted: boolean },
): RepeatReason {
  switch (kind) {
    case 'conflict':
      return 'conflict';
    case 'read-only':
      return circumstances.demoted && !circumstances.readOnly ? 'server' : undefined;
    case 'server-lost':
    case 'not-accepting':
    case 'not-queryable':
    case 'unreachable':
    case 'overloaded':
    case 'wrong-role':
      return 'server';
    default:
      // Among them the time-outs that the server was told to keep (25P03): done again, the work would be as slow.
      return undefined;
  }
}

/** What was spent when a transaction asks to be done again. */
export interface RepeatBudget {
  readonly retries: number | undefined;
  /** How often it was done again so far, and how often of these after a conflict. */
  readonly repeats: number;
  readonly conflicts: number;
  /** How often a server answered that it takes no writes. */
  readonly readOnlyAnswers: number;
  readonly elapsedMillis: number;
  readonly failoverTimeoutMillis: number;
}

/** Whether there is anything left to do the work again with. */
export function mayRepeat(reason: 'conflict' | 'server', budget: RepeatBudget): boolean {
  const { retries, repeats, conflicts, readOnlyAnswers, elapsedMillis, failoverTimeoutMillis } = budget;
  if (retries !== undefined && repeats >= retries) return false;
  if (!believesReadOnly(readOnlyAnswers)) return false;
  const inTime = elapsedMillis < failoverTimeoutMillis;
  if (reason === 'server') return inTime;
  // With the failover time-out off there is no limit in time: conflicts are none of its business.
  if (failoverTimeoutMillis > 0 && !inTime) return false;
  return retries !== undefined || conflicts < defaultConflictRetries;
}

type Result<T> = { readonly value: T } | { readonly error: unknown };

/** Thrown to have the whole done again; nobody outside sees it. */
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
  #lastError: unknown;

  constructor(host: TransactionHost, work: (tx: Transaction) => T | Promise<T>, settings: TransactionSettings) {
    this.#host = host;
    this.#work = work;
    this.#settings = settings;
    this.#startedAt = host.clock.now();
  }

  /** @throws Again */
  async attempt(): Promise<Result<T>> {
    let client: pg.PoolClient;
    try {
      client = await this.#connect();
    } catch (error) {
      return { error };
    }
    const scope = new Scope(client);
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

  async #perform(client: pg.PoolClient, scope: Scope): Promise<Result<T>> {
    const { begin, signal, readOnly, commitProof, markerTable: table } = this.#settings;
    let value: T;
    let evidence: CommitEvidence | undefined;
    let worked = false;
    try {
      await abortable(scope.run(begin), signal);
      scope.watch();
      value = await abortable(Promise.resolve(this.#work(scope.root)), signal);
      worked = true;
      scope.close();
      if (scope.endedEarly) throw new TransactionEndedEarlyError();
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
    // COMMIT of a transaction in which a statement has failed is no error to the server: it answers ROLLBACK.
    if (command === 'ROLLBACK') {
      return await this.#afterRollback(client, scope, new TransactionRolledBackError({ cause: scope.failure }));
    }
    client.release();
    return { value };
  }

  // The server has rolled it back, or will as soon as the connection is gone: COMMIT did not reach it.
  async #afterRollback(client: pg.PoolClient, scope: Scope, error: unknown): Promise<Result<T>> {
    const { signal, readOnly } = this.#settings;
    if (signal?.aborted) {
      await endTransaction(this.#host, client, scope, signal.reason, 'at once');
      return { error: signal.reason };
    }
    const { failure } = scope;
    // An error of the application's own says nothing about the server, whatever it looks like.
    const kind = failure === undefined ? 'statement' : classifyFailure(failure, 'connected').kind;
    const demoted = await endTransaction(this.#host, client, scope, error);
    if (kind === 'read-only') this.#readOnlyAnswers += 1;
    const reason = repeatReason(kind, { readOnly, demoted });
    return this.#repeatOrFail(reason, asRolledBack(error, failure), failure ?? error);
  }

  // COMMIT was sent and no answer came: it is proven, or reported, and never guessed.
  async #afterSilence(
    client: pg.PoolClient,
    evidence: CommitEvidence | undefined,
    value: T,
    error: unknown,
  ): Promise<Result<T>> {
    const { signal, readOnly } = this.#settings;
    const lost = error instanceof Error ? error : new Error(String(error));
    giveUp(this.#host, client, lost);
    client.release(lost);
    // A time-out that the application set says nothing against the server: done again, it would take as long.
    const reason = classifyFailure(error, 'connected').kind === 'deadline' ? undefined : 'server';
    // Nothing was written, so nothing can have been lost or done: what was read is read again.
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

  #repeatOrFail(reason: RepeatReason, error: unknown, cause: unknown): Result<T> {
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

/** One attempt's transaction as the application sees it, with what its statements met. */
class Scope {
  readonly root: Transaction;
  readonly #client: pg.ClientBase;
  /** The innermost open part. Only that takes statements. `undefined` when all is over. */
  #innermost: object | undefined;
  #depth = 0;
  #failure: unknown;
  #endedEarly = false;
  #stopWatching: (() => void) | undefined;

  constructor(client: pg.ClientBase) {
    this.#client = client;
    this.root = this.#makePart();
    this.#innermost = this.root;
  }

  /** The first error that a statement met and no savepoint has undone. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whether the application ended the transaction by a statement of its own. */
  get endedEarly(): boolean {
    return this.#endedEarly;
  }

  run(text: string): Promise<pg.QueryResult> {
    return this.observe(this.#client.query(text));
  }

  async observe<R>(statement: Promise<R>): Promise<R> {
    try {
      return await statement;
    } catch (error) {
      this.#record(error);
      throw error;
    }
  }

  /** The error to report for a transaction that the application believed to be in order. */
  reasonBehind(error: unknown): unknown {
    if (this.#endedEarly) return new TransactionEndedEarlyError();
    return this.#failure === undefined || error === this.#failure
      ? error
      : new TransactionRolledBackError({ cause: this.#failure });
  }

  /** Follows what the server says of the transaction. Once it has begun. */
  watch(): void {
    this.#stopWatching = onReadyForQuery(this.#client, (status) => {
      // A failed transaction goes on only after a savepoint was rolled back to, the application's own included.
      if (status === 'T') this.#failure = undefined;
      if (status === 'I') this.#endedEarly = true;
    });
  }

  stopWatching(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
  }

  /** No statement of the application's is taken from now on. */
  close(): void {
    this.#innermost = undefined;
  }

  #makePart(): Transaction {
    const part: Transaction = {
      query: ((...query: QueryArguments) => this.#query(part, query)) as pg.ClientBase['query'],
      transaction: (work) => this.#nest(part, work),
    };
    return part;
  }

  #query(part: Transaction, query: QueryArguments): unknown {
    const refusal = this.#refusal(part);
    if (refusal !== undefined) return refuseQuery(query, refusal);
    const send = (sent: QueryArguments) => Reflect.apply(this.#client.query, this.#client, sent);
    return sendObserved(query, send, (error) => this.#record(error));
  }

  async #nest<T>(part: Transaction, work: (tx: Transaction) => T | Promise<T>): Promise<T> {
    const refusal = this.#refusal(part);
    if (refusal !== undefined) throw refusal;
    const inner = this.#makePart();
    const name = `externalname_${++this.#depth}`;
    this.#innermost = inner;
    const leave = () => {
      this.#depth -= 1;
      if (this.#innermost !== undefined) this.#innermost = part;
    };
    try {
      await this.run(`SAVEPOINT ${name}`);
      const value = await work(inner);
      if (this.#failure !== undefined) throw new TransactionRolledBackError({ cause: this.#failure });
      await this.run(`RELEASE SAVEPOINT ${name}`);
      leave();
      return value;
    } catch (error) {
      if (isUsable(this.#client) && this.#innermost !== undefined) {
        try {
          await this.#client.query(`ROLLBACK TO SAVEPOINT ${name}; RELEASE SAVEPOINT ${name}`);
        } catch (failure) {
          this.#record(failure);
        }
      }
      leave();
      throw error;
    }
  }

  #refusal(part: Transaction): Error | undefined {
    if (this.#innermost === part) return undefined;
    if (this.#innermost === undefined) return new ClosedError('the transaction');
    return new InvalidArgumentError(
      'tx',
      'a nested transaction is open (or this one is over): await it, and use the tx that it was given inside it',
    );
  }

  // The first failure makes all later ones, unless the connection breaks afterwards.
  #record(error: unknown): void {
    const { kind, keepConnection } = classifyFailure(error, 'connected');
    if (this.#failure !== undefined && keepConnection) return;
    // A statement that took too long has cost the connection already.
    if (kind === 'not-queryable' && classifyFailure(this.#failure, 'connected').kind === 'deadline') return;
    this.#failure = error;
  }
}

// Rolls back and gives the client back. Says whether the server itself takes no writes.
async function endTransaction(
  host: TransactionHost,
  client: pg.PoolClient,
  scope: Scope,
  reason: unknown,
  how: 'polite' | 'at once' = 'polite',
): Promise<boolean> {
  scope.stopWatching();
  const failure = scope.failure === undefined ? undefined : classifyFailure(scope.failure, 'connected');
  let demoted = true;
  try {
    if (!isUsable(client) || (how === 'at once' && hasWork(client))) throw reason;
    demoted = await withDeadline(
      async () => {
        await client.query('ROLLBACK');
        if (failure?.kind !== 'read-only') return false;
        const role = await askRole(client);
        return role !== undefined && (role.inHotStandby || role.defaultReadOnly);
      },
      {
        timeoutMillis: rollbackTimeoutMillis,
        onTimeout: () => new Error(`the server did not roll back within ${rollbackTimeoutMillis} ms`),
      },
    );
  } catch (error) {
    // A client in an unknown state is nobody's any more; the server rolls back when the connection is gone.
    const broken = error instanceof Error ? error : new Error(String(error));
    giveUp(host, client, broken);
    client.release(scope.failure instanceof Error ? scope.failure : broken);
    return demoted;
  }
  const keep = failure === undefined || failure.keepConnection || (failure.kind === 'read-only' && !demoted);
  client.release(keep ? undefined : (scope.failure as Error));
  return demoted;
}

// One question on a client of its own, which is given back whatever happens.
async function askWith<T>(
  host: TransactionHost,
  client: pg.PoolClient,
  ask: () => Promise<T>,
  { budgetMillis, signal }: { budgetMillis: number; signal: AbortSignal | undefined },
): Promise<T> {
  try {
    const answer = await withDeadline(ask, {
      signal,
      timeoutMillis: budgetMillis,
      onTimeout: () => new Error(`no answer within ${Math.round(budgetMillis)} ms`),
    });
    client.release();
    return answer;
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    if (!classifyFailure(error, 'connected').keepConnection) giveUp(host, client, failure);
    client.release(failure);
    throw error;
  }
}

// Nobody waits any more for what still runs on it.
function giveUp(host: TransactionHost, client: pg.PoolClient, error: Error): void {
  if (!isUsable(client)) return;
  if (hasWork(client)) host.abandon(client, error);
  else breakConnection(client, error);
}

// What a failure says of its statement is not what is true of the whole: without COMMIT, nothing of it happened.
function asRolledBack(error: unknown, failure: unknown): unknown {
  if (error !== failure) return error;
  if (classifyFailure(error, 'connected').outcome === 'unknown') return rolledBack(error);
  recordOutcome(error, 'not-executed');
  return error;
}

function rolledBack(cause: unknown): TransactionRolledBackError {
  return new TransactionRolledBackError({ cause });
}

const isolationLevels: readonly string[] = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];

const defaultConflictRetries = 5;

// A statement of the application's may still run before it.
const rollbackTimeoutMillis = 5_000;

// The proof is worth some time even where the failover time-out is over, or off.
const leastProofMillis = 5_000;
