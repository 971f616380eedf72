import * as pg from 'pg';
import type { SharedConfig } from './shareable.ts';

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
  readonly #prepared: PreparedOn | undefined;
  #isDescribed = true;

  /** @param prepared set if the pool gives it a name */
  constructor(asked: string | SharedConfig, values: unknown, name?: string, prepared?: PreparedOn) {
    super(asked, values);
    if (name === undefined) return;
    this.name = name;
    this.#prepared = prepared;
  }

  // May be called again, if the server has lost the name.
  override prepare(connection: object): void {
    const { name = '' } = this;
    const prepared = this.#prepared;
    // It is prepared now: what is known is of the statement that had the name before.
    if (prepared !== undefined && !this.hasBeenParsed(connection)) prepared.fields.delete(name);
    const fields = prepared?.fields.get(name);
    this.#isDescribed = fields === undefined;
    if (prepared === undefined || fields === undefined) {
      super.prepare(connection);
      return;
    }
    super.prepare(prepared.withoutDescribe);
    // Each caller gets fields of its own, and may change them.
    if (fields !== 'none') super.handleRowDescription({ fields: fields.map(copyOf) });
  }

  override handleRowDescription(message: { readonly fields: readonly object[] }): void {
    this.#prepared?.fields.set(this.name ?? '', message.fields.map(copyOf));
    super.handleRowDescription(message);
  }

  override handleCommandComplete(message: unknown, connection: unknown): void {
    const { name = '' } = this;
    const fields = this.#isDescribed ? this.#prepared?.fields : undefined;
    if (fields?.has(name) === false) fields.set(name, 'none');
    super.handleCommandComplete(message, connection);
  }
}

type QueryClass = new (asked: string | SharedConfig, values: unknown) => QueryOfPg;

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
