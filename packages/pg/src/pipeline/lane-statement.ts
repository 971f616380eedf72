import * as pg from 'pg';
import type { LaneQuery } from './lane-query.ts';

/** What a connection knows of the statements that it has prepared under names of the pool. */
export interface PreparedOn {
  /** The fields of their rows by the names of the statements; `none` of one that returns no rows. */
  readonly fields: Map<string, readonly object[] | 'none'>;
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
    const { fields: known, withoutDescribe } = this.#prepared;
    // It is prepared now: what is known is of the statement that had the name before.
    if (!this.hasBeenParsed(connection)) known.delete(name);
    const fields = known.get(name);
    this.#isDescribed = fields === undefined;
    super.prepare(fields === undefined ? connection : withoutDescribe);
    // Each caller gets fields of its own, and may change them.
    if (Array.isArray(fields)) super.handleRowDescription({ fields: fields.map(copyOf) });
  }

  override handleRowDescription(message: { readonly fields: readonly object[] }): void {
    this.#prepared.fields.set(this.name ?? '', this.#text.inOneCopy(message.fields.map(copyOf)));
    super.handleRowDescription(message);
  }

  override handleCommandComplete(message: unknown, connection: unknown): void {
    const { name = '' } = this;
    const { fields } = this.#prepared;
    if (this.#isDescribed && !fields.has(name)) fields.set(name, 'none');
    super.handleCommandComplete(message, connection);
  }
}

type QueryClass = new (asked: LaneQuery['asked'], values: unknown) => QueryOfPg;

// What `pg.Query` has besides its types.
interface QueryOfPg extends pg.Submittable {
  name?: string | undefined;
  prepare(connection: object): void;
  hasBeenParsed(connection: object): unknown;
  handleRowDescription(message: { readonly fields: readonly object[] }): void;
  handleCommandComplete(message: unknown, connection: unknown): void;
}

function copyOf(field: object): object {
  return Object.assign(Object.create(Object.getPrototypeOf(field)), field);
}
