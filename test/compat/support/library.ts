import type { Outcome } from '@externalname/core';
import type { Webscaler } from './webscaler.ts';

/**
 * How a library is used on our pool or client: the code that stands in its users' programs. `specify()` runs the same
 * specification through each.
 *
 * @typeParam Opened what its users hold: a `NodePgDatabase`, a `DataSource`, ...
 */
export interface Library<Opened> {
  /** What its users call it, and by which of our classes it connects where there are several ways. */
  readonly name: string;
  /** Makes it, for the Service. */
  open(webscaler: Webscaler): Opened | Promise<Opened>;
  /** Stores one row, as its users do outside a transaction. */
  insert(opened: Opened, id: string): Promise<unknown>;
  /** Runs `work` in a transaction, which is committed where it resolves and rolled back where it rejects. */
  transaction?(opened: Opened, work: (insert: Insert) => Promise<void>): Promise<unknown>;
  /** Reads the numbers from 1 to `count`, of which the server makes one after another, as a stream. */
  stream?(opened: Opened, count: number): AsyncIterable<number>;
  /** Ends it, with the pool where that is its users' to end. */
  close(opened: Opened): Promise<unknown>;
  /** Reads what is known of a failed statement from the library's own error. @defaultValue from the error, or its causes */
  outcome?(error: unknown): Outcome | undefined;
  /**
   * Whether its single statements go through `pool.query()`: what was not executed is done again then, and a planned switch
   * fails none. @defaultValue false
   */
  readonly repeatsStatements?: boolean;
  /** Whether its transactions are those of `pool.transaction()`: a planned switch fails none. @defaultValue false */
  readonly repeatsTransactions?: boolean;
  /** Prepares the database, where it needs more than the table `writes`. */
  prepare?(webscaler: Webscaler): Promise<unknown>;
  /** Where `insert` stores: SQL that gives a row with the column `id` for each. @defaultValue the table `writes` */
  readonly stored?: string;
}

/** Stores one row. */
export type Insert = (id: string) => Promise<unknown>;
