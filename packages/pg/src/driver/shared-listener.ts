import type * as pg from 'pg';

/**
 * A listener on the connections of all clients. It is told of which client: a closure for each takes more memory than all that an idle
 * connection has to remember.
 */
export type SharedListener<Value = unknown> = (this: unknown, value: Value) => void;

/** See {@link SharedListener}. */
export function sharedListener<Value = unknown>(
  listener: (client: pg.ClientBase, value: Value) => void,
): SharedListener<Value> {
  return function (value) {
    const client = owners.of(this as object);
    if (client !== undefined) listener(client, value);
  };
}

/** What is noted on objects of `pg`. On the object itself, because an entry in a map takes more memory. */
export class Notes<Note> {
  readonly #key: symbol;

  constructor(name: string) {
    this.#key = Symbol(`externalname.${name}`);
  }

  /** In the place of what was noted before. */
  note(on: object, note: Note): void {
    Object.defineProperty(on, this.#key, { value: note, configurable: true });
  }

  of(noted: object): Note | undefined {
    return (noted as Record<symbol, Note | undefined>)[this.#key];
  }
}

/** The clients that parts of them belong to: a connection, its parameters. */
export const owners: Notes<pg.ClientBase> = new Notes('client');
