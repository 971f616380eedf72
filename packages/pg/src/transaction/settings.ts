import {
  aBoolean,
  aNumber,
  aSignal,
  aText,
  checkOptions,
  either,
  oneOf,
  optional,
  optionsOf,
} from '@externalname/core/internal';
import { positionOf } from '../connect/wal-position.ts';
import { type MarkerTable, markerTable } from './commit-outcome.ts';

/** The isolation levels of PostgreSQL (documentation, 13.2). */
export type IsolationLevel = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';

/** Options of {@link Pool.transaction}. */
export interface TransactionOptions {
  /** The isolation of the transaction. @defaultValue the server's `default_transaction_isolation` */
  isolationLevel?: IsolationLevel | undefined;
  /**
   * Whether the transaction is READ ONLY. `false` is the same as leaving it out: READ WRITE is never sent, because it would
   * override the fence of a server with `default_transaction_read_only`.
   * @defaultValue false
   */
  readOnly?: boolean | undefined;
  /** DEFERRABLE: with `serializable` and `readOnly`, waits for a snapshot that cannot fail. @defaultValue false */
  deferrable?: boolean | undefined;
  /**
   * The maximum number of times the work is retried, for any reason. 0 runs it once.
   * @defaultValue after conflicts (40001, 40P01) 5 times; after the loss of a server as often as fits in `failoverTimeoutMillis`
   */
  retries?: number | undefined;
  /**
   * Ends the transaction early, and a running statement on the server too. Before COMMIT is sent, the transaction is rolled back and
   * the promise rejects with the signal's reason; after that, it rejects with {@link CommitOutcomeUnknownError}.
   */
  signal?: AbortSignal | undefined;
  /**
   * The token of a write, from `pool.currentToken()`: the transaction runs on a server that has it. See `docs/guides/replicas.md`.
   */
  after?: string | undefined;
  /**
   * A table in which the transaction leaves a row, so that its outcome can be proven on another server too, after a
   * switch. Costs nothing if the transaction wrote nothing. See `docs/guides/transactions.md` for the table.
   */
  commitMarker?: { readonly table: string } | undefined;
  /**
   * Whether to fetch, in one round trip before COMMIT, what proves the outcome on that server if COMMIT gets no
   * answer. `false` saves the round trip. Not fetched with `readOnly`.
   * @defaultValue true
   */
  commitProof?: boolean | undefined;
}

/** The checked options. */
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
  checkOptions(options, {
    isolationLevel: optional(oneOf(...isolationLevels)),
    readOnly: optional(aBoolean),
    deferrable: optional(aBoolean),
    commitProof: optional(aBoolean),
    commitMarker: optional(optionsOf<NonNullable<TransactionOptions['commitMarker']>>({ table: aText })),
    retries: optional(either(oneOf(Number.POSITIVE_INFINITY), aNumber({ least: 0, whole: true }))),
    signal: aSignal,
    after: optional((argument, value) => void positionOf(value, argument)),
  });
  const { isolationLevel, readOnly, deferrable, retries, signal, commitMarker, commitProof } = options;
  const words = ['BEGIN'];
  if (isolationLevel !== undefined) words.push('ISOLATION LEVEL', isolationLevel.toUpperCase());
  if (readOnly) words.push('READ ONLY');
  if (deferrable) words.push('DEFERRABLE');
  return {
    begin: words.join(' '),
    readOnly: readOnly ?? false,
    retries,
    signal,
    markerTable: commitMarker === undefined ? undefined : markerTable(commitMarker.table),
    commitProof: commitProof ?? true,
  };
}

const isolationLevels: readonly string[] = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];
