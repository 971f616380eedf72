import { InvalidArgumentError } from '@externalname/core';
import {
  aBoolean,
  aSignal,
  aText,
  checkOptions,
  describeValue,
  objectOf,
  oneOf,
  optional,
} from '@externalname/core/internal';
import { type MarkerTable, markerTable } from './commit-outcome.ts';

/** The isolation levels of PostgreSQL (documentation, 13.2). */
export type IsolationLevel = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';

/** Options of {@link Pool.transaction}. */
export interface TransactionOptions {
  /** The isolation of the transaction. @defaultValue the server's `default_transaction_isolation` */
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
  checkOptions(options, {
    isolationLevel: optional(oneOf(...isolationLevels)),
    readOnly: optional(aBoolean),
    deferrable: optional(aBoolean),
    commitProof: optional(aBoolean),
    commitMarker: optional(objectOf({ table: aText })),
    signal: aSignal,
  });
  const { isolationLevel, readOnly, deferrable, retries, signal, commitMarker, commitProof } = options;
  const words = ['BEGIN'];
  if (isolationLevel !== undefined) words.push('ISOLATION LEVEL', isolationLevel.toUpperCase());
  if (readOnly) words.push('READ ONLY');
  if (deferrable) words.push('DEFERRABLE');
  if (retries !== undefined && !(retries === Number.POSITIVE_INFINITY || (Number.isInteger(retries) && retries >= 0))) {
    throw new InvalidArgumentError('retries', `must be a whole number of at least 0, got ${describeValue(retries)}`);
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

const isolationLevels: readonly string[] = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];
