import type * as pg from 'pg';
import { type InternalConnection, internalsOf } from './client-internals.ts';
import type { QueryCallback } from './query-forms.ts';

/** Whether a client can send statements before the earlier ones are answered: `pg` 8.23 and later. */
export function canPipeline(client: pg.ClientBase): boolean {
  return typeof internalsOf(client).pipeline === 'boolean';
}

/** Whether the client does so now. */
export function isPipelining(client: pg.ClientBase): boolean {
  return internalsOf(client).pipeline === true;
}

/** What {@link beginSharing} changed. */
export interface BeforeSharing {
  readonly pipeline: boolean | undefined;
  readonly queryTimeout: number | string | false | undefined;
}

/**
 * Prepares a client for the statements of several callers. `pg` breaks a pipelined connection when `query_timeout` passes for one of
 * its statements, so its timers are off meanwhile. Returns what {@link endSharing} puts back.
 */
export function beginSharing(client: pg.ClientBase, pipelined: boolean): BeforeSharing {
  const shared = internalsOf(client);
  const { pipeline, connectionParameters } = shared;
  const queryTimeout = connectionParameters?.query_timeout;
  if (pipelined) shared.pipeline = true;
  if (connectionParameters !== undefined && queryTimeout) connectionParameters.query_timeout = false;
  return { pipeline, queryTimeout };
}

/** See {@link beginSharing}. */
export function endSharing(client: pg.ClientBase, { pipeline, queryTimeout }: BeforeSharing): void {
  const shared = internalsOf(client);
  if (pipeline !== undefined) shared.pipeline = pipeline;
  if (shared.connectionParameters !== undefined && queryTimeout)
    shared.connectionParameters.query_timeout = queryTimeout;
}

/** Whether what was handed over for sending has not left the process yet. */
export function isBackedUp(client: pg.ClientBase): boolean {
  return internalsOf(client).connection?.stream.writableNeedDrain === true;
}

/** What was held back together. */
export interface HeldMessages {
  /** Whether it has left for the server. */
  readonly isSent: boolean;
}

/** What a client writes: held back, so that the statements of one turn of the event loop leave in one piece. */
export class HeldWrites {
  readonly #connection: InternalConnection | undefined;
  #held: { isSent: boolean; readonly messages: Buffer[] } | undefined;

  /** For the life of its connection. */
  constructor(client: pg.ClientBase) {
    const { connection } = internalsOf(client);
    this.#connection = connection;
    if (connection === undefined) return;
    const { _send: send, end } = connection;
    connection._send = (message) => {
      if (this.#held === undefined) return send?.call(connection, message);
      this.#held.messages.push(message);
      return true;
    };
    connection.end = () => {
      this.#sendNow();
      return end?.call(connection);
    };
  }

  /** What is held back now. */
  get held(): HeldMessages | undefined {
    return this.#held;
  }

  /** Holds back all until the end of this turn. */
  hold(): void {
    if (this.#held !== undefined) return;
    this.#held = { isSent: false, messages: [] };
    atEndOfTurn(() => this.#sendNow());
  }

  #sendNow(): void {
    const held = this.#held;
    this.#held = undefined;
    const stream = this.#connection?.stream;
    if (held === undefined || stream?.writable !== true) return;
    const { messages } = held;
    const [first] = messages;
    if (first === undefined) return;
    held.isSent = true;
    stream.write?.(messages.length === 1 ? first : Buffer.concat(messages));
  }
}

// As it is when this is loaded: tests of applications replace it by one that stands still.
const atEndOfTurn = setImmediate;

let valuesInWriting = 0;

/**
 * Whether the values of a statement are being written. `pg` writes the messages of all connections into one buffer, so a value that asks for
 * something while it is written (`toPostgres`) has to wait until that is done.
 */
export function isWritingValues(): boolean {
  return valuesInWriting > 0;
}

/** Notes when values are written on a client; see {@link isWritingValues}. */
export function noteWriting(client: pg.ClientBase): void {
  const { connection } = internalsOf(client);
  const bind = connection?.bind;
  if (connection === undefined || bind === undefined) return;
  connection.bind = function (this: unknown, message) {
    valuesInWriting += 1;
    try {
      return bind.call(this, message);
    } finally {
      valuesInWriting -= 1;
    }
  };
}

/** Sends an object that sends itself. As the second argument, every `pg` takes a callback for it. */
export function sendObject(client: pg.ClientBase, statement: object, callback: QueryCallback): void {
  internalsOf(client).query(statement, callback);
}

/** The connection of a client as statements see it, on which Describe is left out. */
export function withoutDescribe(client: pg.ClientBase): object | undefined {
  const { connection } = internalsOf(client);
  return connection && Object.defineProperty(Object.create(connection), 'describe', { value: () => undefined });
}

/**
 * Ends a prepared statement on the server and forgets it. Its answer comes with that of the statement that is sent next, which has to
 * follow in the same turn.
 */
export function closeWithNext(client: pg.ClientBase, name: string): void {
  const { connection } = internalsOf(client);
  for (const names of [connection?.parsedStatements, connection?.submittedNamedStatements]) {
    if (names !== undefined) Reflect.deleteProperty(names, name);
  }
  connection?.close?.({ type: 'S', name });
}
