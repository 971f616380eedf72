import { type Clock, ClosedError, InvalidArgumentError } from '@externalname/core';
import type * as pg from 'pg';
import { hasWork, isUsable, onReadyForQuery } from '../driver/client-internals.ts';
import { destroyClient } from '../driver/closing.ts';
import { withoutName } from '../driver/prepared-statements.ts';
import { type QueryArguments, refuseQuery, sendObserved } from '../driver/query-forms.ts';
import { mayEndTransaction, textOf } from '../driver/statement.ts';
import { whenFinished } from '../driver/unfinished.ts';
import { TransactionEndedEarlyError, TransactionRolledBackError } from '../errors.ts';
import { classifyFailure } from '../failures/classify.ts';

/** What the function given to {@link Pool.transaction} gets: a client inside the transaction, for as long as the transaction lasts. */
export interface Transaction {
  /** As `query` of `pg`'s client, in all its forms. Rejects once the transaction is over. */
  readonly query: pg.ClientBase['query'];
  /**
   * A part that can fail separately: a savepoint, released when `work` resolves and rolled back to when it rejects. While
   * it is open, only its own `tx` takes statements.
   */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T>;
}

/** One attempt's transaction as the application sees it, with what its statements met. */
export class Scope {
  readonly root: Transaction;
  readonly #client: pg.ClientBase;
  readonly #clock: Clock;
  readonly #withoutNames: boolean;
  /** The innermost open part: only that one takes statements. `undefined` when all is over. */
  #innermost: object | undefined;
  #depth = 0;
  #failure: unknown;
  /** Whether the work has left something open, which has cost the connection. */
  #isLeft = false;
  #endedEarly = false;
  #endingSent = false;
  #unknownInFlight = false;
  #stopWatching: (() => void) | undefined;

  /** @param withoutNames whether prepared statements are sent without their names, so that they work in any session */
  constructor(client: pg.ClientBase, { clock, withoutNames = false }: { clock: Clock; withoutNames?: boolean }) {
    this.#client = client;
    this.#clock = clock;
    this.#withoutNames = withoutNames;
    this.root = this.#makePart();
    this.#innermost = this.root;
  }

  /** The first error of a statement that no savepoint has undone. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Whether the application ended the transaction with its own statement. */
  get endedEarly(): boolean {
    return this.#endedEarly;
  }

  /** Whether it sent one that may have: the answer is missing, or COMMIT AND CHAIN began another one at once. */
  get mayHaveEnded(): boolean {
    return this.#endedEarly || this.#endingSent || this.#unknownInFlight;
  }

  /**
   * Waits for statements that the work has sent but not awaited.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if such a statement waits for the work, which is over. It costs
   * the connection: nothing can be sent behind an open cursor.
   */
  async settle(): Promise<void> {
    const client = this.#client;
    if (!hasWork(client)) return;
    const how = await new Promise((resolve) => whenFinished(client, this.#clock, resolve));
    if (how === 'quiet') return;
    const error = new InvalidArgumentError('work', leftOpen);
    this.#failure = error;
    this.#isLeft = true;
    destroyClient(client, error);
    throw error;
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
    if (this.mayHaveEnded) return new TransactionEndedEarlyError();
    return this.#failure === undefined || error === this.#failure
      ? error
      : new TransactionRolledBackError({ cause: this.#failure });
  }

  /** Follows what the server says about the transaction, once it has begun. */
  watch(): void {
    this.#stopWatching = onReadyForQuery(this.#client, (status) => {
      // A failed transaction continues only after a rollback to a savepoint, the application's own included.
      if (status === 'T') this.#failure = undefined;
      this.#unknownInFlight = false;
      if (status === 'I') this.#endedEarly = true;
    });
  }

  stopWatching(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
  }

  /** From now on, no statement of the application is accepted. */
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
    const [asked] = query;
    // A statement prepared earlier may be a COMMIT. If it is not, its answer says that the transaction goes on.
    if (textOf(asked) === undefined) this.#unknownInFlight = true;
    else if (mayEndTransaction(asked)) this.#endingSent = true;
    const send = (sent: QueryArguments) => Reflect.apply(this.#client.query, this.#client, sent);
    return sendObserved(this.#withoutNames ? withoutName(query) : query, send, (error) => this.#record(error));
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
      await this.settle();
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
      'a nested transaction is open (or this one is over): await it, and inside it use the tx that its function was given',
    );
  }

  // The first failure causes all later ones, unless the connection breaks afterwards.
  #record(error: unknown): void {
    if (this.#isLeft) return;
    const { kind, keepConnection } = classifyFailure(error, 'connected');
    if (this.#failure !== undefined && keepConnection) return;
    // A statement that took too long has already cost the connection.
    if (kind === 'not-queryable' && classifyFailure(this.#failure, 'connected').kind === 'deadline') return;
    this.#failure = error;
  }
}

const leftOpen =
  'it returned while a cursor, a stream or a COPY on tx was open: read it to the end or close it first (cursor.close(), stream.destroy())';
