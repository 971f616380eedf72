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
  readonly #connection: WritingConnection | undefined;
  /** What `pg` does. */
  readonly #send: InternalConnection['_send'];
  readonly #end: InternalConnection['end'];
  #held: { isSent: boolean; readonly messages: Buffer[] } | undefined;

  /** For the life of its connection. */
  constructor(client: pg.ClientBase) {
    const connection = internalsOf(client).connection as WritingConnection | undefined;
    this.#connection = connection;
    if (connection === undefined) return;
    this.#send = connection._send;
    this.#end = connection.end;
    connection[writesOf] = this;
    connection._send = sendByWrites;
    connection.end = endByWrites;
  }

  /** In the place of what `pg` does. */
  send(message: Buffer): unknown {
    if (this.#held === undefined) return this.#send?.call(this.#connection, message);
    this.#held.messages.push(message);
    return true;
  }

  /** In the place of what `pg` does. */
  end(): unknown {
    this.#sendNow();
    return this.#end?.call(this.#connection);
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

  /** What is held back is never sent. */
  drop(): void {
    this.#held = undefined;
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

/** What a client holds back is never sent: its callers are told so. */
export function dropHeldWrites(client: pg.ClientBase): void {
  (internalsOf(client).connection as Partial<WritingConnection> | undefined)?.[writesOf]?.drop();
}

const writesOf = Symbol('externalname.writes');

interface WritingConnection extends InternalConnection {
  [writesOf]: HeldWrites;
}

// The same for all connections, because each keeps them.
function sendByWrites(this: WritingConnection, message: Buffer): unknown {
  return this[writesOf].send(message);
}

function endByWrites(this: WritingConnection): unknown {
  return this[writesOf].end();
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
  replaceMethod(client, 'bind', plainBindOf, bindNoted);
}

const plainBindOf = Symbol('externalname.bind');

interface BindingConnection {
  [plainBindOf]: (this: unknown, message: unknown) => unknown;
}

function bindNoted(this: BindingConnection, message: unknown): unknown {
  valuesInWriting += 1;
  try {
    return this[plainBindOf](message);
  } finally {
    valuesInWriting -= 1;
  }
}

/** Sends an object that sends itself. As the second argument, every `pg` takes a callback for it. */
export function sendObject(client: pg.ClientBase, statement: object, callback: QueryCallback): void {
  internalsOf(client).query(statement, callback);
}

/** Makes {@link leaveOutDescribe} work for a client. `false` if that is not possible. */
export function canLeaveOutDescribe(client: pg.ClientBase): boolean {
  return replaceMethod(client, 'describe', plainDescribeOf, describeIfAsked);
}

/** While a statement is prepared on this connection, the server is not asked what its rows look like. `undefined` ends it. */
export function leaveOutDescribe(connection: object | undefined): void {
  undescribed = connection;
}

/** The connection on which Describe is left out now. A view of it as its heir would cost each connection a kilobyte of shapes in V8. */
let undescribed: object | undefined;

const plainDescribeOf = Symbol('externalname.describe');

interface DescribingConnection {
  [plainDescribeOf]: (this: unknown, message: unknown) => unknown;
}

function describeIfAsked(this: DescribingConnection, message: unknown): unknown {
  return this === undescribed ? undefined : this[plainDescribeOf](message);
}

/**
 * Puts a function in the place of a method of a client's connection, which keeps its own under `plain`. The function is the same for all
 * connections, because each keeps it. Returns `false` if the connection lacks the method.
 */
function replaceMethod(client: pg.ClientBase, name: string, plain: symbol, own: unknown): boolean {
  const connection = internalsOf(client).connection as Record<string | symbol, unknown> | undefined;
  if (connection?.[name] === undefined) return false;
  if (connection[name] !== own) {
    connection[plain] = connection[name];
    connection[name] = own;
  }
  return true;
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
