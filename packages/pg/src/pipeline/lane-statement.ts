import * as pg from 'pg';
import type { RowField, RowShape } from './known-texts.ts';
import type { LaneQuery } from './lane-query.ts';

/** What a connection knows of the statements that it has prepared under names of the pool. */
export interface PreparedOn {
  /** What their rows look like, by the names of the statements; `none` of one that returns no rows. */
  readonly rows: Map<string, RowShape | 'none'>;
  /** The connection as statements see it, on which Describe is left out. */
  readonly withoutDescribe: object;
}

/**
 * The statement of one caller among several on a connection.
 *
 * Under a name of the pool, the server is asked once what its rows look like, and not at each use: a prepared statement keeps its fields,
 * or fails with "cached plan must not change result type". Source: PostgreSQL documentation, PREPARE, Notes.
 */
export class LaneStatement extends (pg.Query as unknown as QueryClass) {
  readonly #prepared: PreparedOn;
  readonly #text: LaneQuery['text'];
  #isDescribed = true;

  /** @param name that the pool gives it */
  constructor({ asked, values, text }: LaneQuery, name: string, prepared: PreparedOn) {
    super(asked, values);
    this.#text = text;
    this.name = name;
    this.#prepared = prepared;
  }

  // May be called again, if the server has lost the name.
  override prepare(connection: object): void {
    const { name = '' } = this;
    const { rows, withoutDescribe } = this.#prepared;
    // It is prepared now: what is known is of the statement that had the name before.
    if (!this.hasBeenParsed(connection)) rows.delete(name);
    const shape = rows.get(name);
    this.#isDescribed = shape === undefined;
    super.prepare(shape === undefined ? connection : withoutDescribe);
    if (shape !== undefined && shape !== 'none') this.#describeAs(shape);
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
    this.#prepared.rows.set(this.name ?? '', this.#text.inOneCopy({ fields, emptyRow }));
  }

  override handleCommandComplete(message: unknown, connection: unknown): void {
    const { name = '' } = this;
    const { rows } = this.#prepared;
    if (this.#isDescribed && !rows.has(name)) rows.set(name, 'none');
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
