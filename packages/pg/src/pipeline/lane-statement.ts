import * as pg from 'pg';
import { leaveOutDescribe } from '../driver/pipelining.ts';
import type { RowField, RowShape } from './known-texts.ts';
import type { LaneQuery } from './lane-query.ts';
import type { NamedStatements } from './named-statements.ts';

/**
 * The statement of one caller among several on a connection.
 *
 * Under a name of the pool, the server is asked once what its rows look like, and not at each use: a prepared statement keeps its fields,
 * or fails with "cached plan must not change result type". Source: PostgreSQL documentation, PREPARE, Notes.
 */
export class LaneStatement extends (pg.Query as unknown as QueryClass) {
  readonly #query: LaneQuery;
  readonly #on: NamedStatements;

  /** @param name that the pool gives it */
  constructor(query: LaneQuery, name: string, on: NamedStatements) {
    super(query.asked, query.values);
    this.#query = query;
    this.name = name;
    this.#on = on;
  }

  /** The server has taken its parameters. */
  begins(): void {
    this.#query.hasBegun = true;
  }

  // May be called again, if the server has lost the name.
  override prepare(connection: object): void {
    const { name = '' } = this;
    const before = this.hasBeenParsed(connection) ? this.#on.get(name) : undefined;
    // It is prepared now: what is known is of the statement that had the name before.
    const prepared = before ?? this.#on.replace(name);
    this.#query.prepared = prepared;
    this.#query.isPreparedBefore = before !== undefined;
    const { rows } = prepared;
    if (rows !== undefined) leaveOutDescribe(connection);
    try {
      super.prepare(connection);
    } finally {
      leaveOutDescribe(undefined);
    }
    if (rows !== undefined && rows !== 'none') this.#describeAs(rows);
  }

  // What `pg` does with a description, but for the empty row: it is only read, and making one for each query cost a tenth of the query.
  #describeAs({ fields, emptyRow }: RowShape): void {
    const result = this._result;
    const types = result._types;
    // Each caller gets fields of its own, and may change them.
    const own = fields.map(copyOf);
    if (types === undefined || emptyRow === undefined) {
      super.handleRowDescription({ fields: own });
      return;
    }
    result.fields = own;
    result._parsers = fields.map(({ dataTypeID, format }) => types.getTypeParser(dataTypeID, format || 'text'));
    result._prebuiltEmptyResultObject = emptyRow;
    this._accumulateRows = true;
  }

  override handleRowDescription(message: { readonly fields: readonly RowField[] }): void {
    super.handleRowDescription(message);
    const fields = message.fields.map(copyOf);
    const emptyRow = this._result._prebuiltEmptyResultObject ?? undefined;
    const { prepared, text } = this.#query;
    if (prepared !== undefined) prepared.rows = text.inOneCopy({ fields, emptyRow });
  }

  override handleCommandComplete(message: unknown, connection: unknown): void {
    const { prepared } = this.#query;
    // If it had rows, they were described before.
    if (prepared !== undefined) prepared.rows ??= 'none';
    super.handleCommandComplete(message, connection);
  }
}

type QueryClass = new (asked: LaneQuery['asked'], values: unknown) => QueryOfPg;

// What `pg.Query` has besides its types.
interface QueryOfPg extends pg.Submittable {
  name?: string | undefined;
  _accumulateRows?: unknown;
  readonly _result: ResultOfPg;
  prepare(connection: object): void;
  hasBeenParsed(connection: object): unknown;
  handleRowDescription(message: { readonly fields: readonly RowField[] }): void;
  handleCommandComplete(message: unknown, connection: unknown): void;
}

interface ResultOfPg {
  fields: readonly RowField[];
  _parsers?: readonly unknown[];
  _prebuiltEmptyResultObject?: object | null;
  readonly _types?: { getTypeParser(type: number, format: string): unknown };
}

function copyOf(field: RowField): RowField {
  return Object.assign(Object.create(Object.getPrototypeOf(field)), field);
}
