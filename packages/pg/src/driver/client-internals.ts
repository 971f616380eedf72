import * as pg from 'pg';
import { owners, type SharedListener } from './shared-listener.ts';
import { requireSupportedPg } from './supported-pg.ts';

// Every class that extends one of `pg`'s imports this file first.
requireSupportedPg(pg);

// What `pg` knows about a client but does not expose. Another kind of client (pg-native) has no `connection`: it counts as
// quiet and without transactions.
interface ClientInternals {
  readonly _connected: boolean;
  readonly _queryable: boolean;
  _ending: boolean;
  readonly _activeQuery: unknown;
  readonly _queryQueue?: QueuedStatement[];
  readonly _sentQueryQueue?: readonly unknown[];
  readonly readyForQuery?: boolean;
  readonly _txStatus?: string | null;
  readonly processID?: number | null;
  readonly connection?: InternalConnection;
  readonly password?: unknown;
  readonly ssl: boolean | object;
  ref?(): void;
  unref?(): void;
  end(callback: () => void): void;
  query(statement: object, callback: (error: unknown, result?: unknown) => void): void;
  readonly connectionParameters?: { query_timeout?: number | string | false };
  pipeline?: boolean;
  _errorAllQueries?(this: unknown, error: Error): void;
  _poolUseCount?: number;
}

/** What `pg` knows about a connection but does not expose. */
export interface InternalConnection extends NodeJS.EventEmitter {
  readonly parsedStatements?: Record<string, string | undefined>;
  readonly submittedNamedStatements?: Record<string, string | undefined>;
  stream: WritableEnd & { destroy(error?: Error): void; pause?(): void; bytesRead?: number; bytesWritten?: number };
  close?(message: { type: 'S'; name: string }): void;
  bind?(this: unknown, message: unknown): unknown;
  attachListeners(stream: ReadableEvents): unknown;
  _send?(message: Buffer): unknown;
  end?(): unknown;
}

interface WritableEnd {
  readonly writable?: boolean;
  readonly writableNeedDrain?: boolean;
  write?(bytes: Buffer): unknown;
}

interface QueuedStatement {
  handleError(error: Error, connection: unknown): void;
}

interface ReadableEvents {
  on(event: string, listener: (...values: unknown[]) => void): unknown;
}

/** Whether the client can be used at all. */
export function isUsable(client: pg.ClientBase): boolean {
  const { _queryable, _ending } = internalsOf(client);
  return Boolean(_queryable) && !_ending;
}

/** The statement that the server is answering; `undefined` if there is none. */
export function activeStatement(client: pg.ClientBase): unknown {
  return internalsOf(client)._activeQuery ?? undefined;
}

/** Whether a statement was sent but not answered. */
export function hasSentWork(client: pg.ClientBase): boolean {
  const { _activeQuery, _sentQueryQueue } = internalsOf(client);
  return Boolean(_activeQuery) || (_sentQueryQueue?.length ?? 0) > 0;
}

/** Whether statements were sent behind the one that the server is answering (`pipeline`). */
export function hasSentBehind(client: pg.ClientBase): boolean {
  return (internalsOf(client)._sentQueryQueue?.length ?? 0) > 0;
}

/** Sends a statement before all that are queued in the client, as soon as the server is ready. */
export function sendNext(client: pg.ClientBase, statement: object): void {
  internalsOf(client)._queryQueue?.unshift(statement as QueuedStatement);
}

/** Forgets that a statement with that name was prepared on the connection. Returns its text, if it was. */
export function forgetPrepared(client: pg.ClientBase, name: string): string | undefined {
  const prepared = internalsOf(client).connection?.parsedStatements;
  const text = prepared?.[name];
  if (prepared !== undefined) Reflect.deleteProperty(prepared, name);
  return text;
}

/** Tells a listener of each message of that name, before `pg` gets it. */
export function listenBefore<Message>(
  client: pg.ClientBase,
  name: 'errorMessage' | 'notice',
  listener: SharedListener<Message>,
): void {
  ownedConnection(client)?.prependListener(name, listener);
}

/** Tells a listener of the error that everything in flight on the client is about to fail with. */
export function onFailureOfAll(client: pg.ClientBase, told: FailureOfAll): void {
  if (internalsOf(client)._errorAllQueries === undefined) return;
  Object.defineProperty(client, '_errorAllQueries', {
    configurable: true,
    writable: true,
    enumerable: false,
    value: told,
  });
}

/** What {@link onFailureOfAll} puts in the place of the method of `pg`, for all clients. */
export type FailureOfAll = (this: pg.ClientBase, error: Error) => void;

/** Makes a listener that all clients share; see {@link onFailureOfAll}. */
export function failureOfAll(listener: (client: pg.ClientBase, error: Error) => void): FailureOfAll {
  return function (error) {
    listener(this, error);
    (Object.getPrototypeOf(this) as ClientInternals)._errorAllQueries?.call(this, error);
  };
}

/** Whether nothing is in flight or queued, and the server has said that it is ready. */
export function isQuiet(client: pg.ClientBase): boolean {
  const { connection, readyForQuery } = internalsOf(client);
  return connection === undefined || (!hasWork(client) && readyForQuery === true);
}

/** Whether a statement was handed to the client but not answered. */
export function hasWork(client: pg.ClientBase): boolean {
  return hasSentWork(client) || (internalsOf(client)._queryQueue?.length ?? 0) > 0;
}

/** Whether a transaction is open, or failed and not ended. Only meaningful while the client is quiet. */
export function isInTransaction(client: pg.ClientBase): boolean {
  const status = internalsOf(client)._txStatus;
  return status === 'T' || status === 'E';
}

/**
 * Calls back once, when the client is quiet or has ended: after an error, `pg` answers the caller before the server has
 * said that it is ready for the next statement.
 */
export function whenQuiet(client: pg.ClientBase, callback: () => void): void {
  const { connection } = internalsOf(client);
  let over = false;
  const check = () => {
    // The client itself handles ReadyForQuery first and sends what is queued.
    process.nextTick(() => {
      if (isQuiet(client) || !isUsable(client)) finish();
    });
  };
  const finish = () => {
    connection?.removeListener('readyForQuery', check);
    connection?.removeListener('end', finish);
    if (over) return;
    over = true;
    callback();
  };
  connection?.on('readyForQuery', check);
  connection?.once('end', finish);
  // A statement that `pg` refused to send gets no message from the server.
  check();
}

/**
 * Calls back when the server has sent the rows that a cursor asked for, or is ready and has got the next statement. Returns the
 * function that ends the watch.
 */
export function onProgress(client: pg.ClientBase, callback: () => void): () => void {
  const { connection } = internalsOf(client);
  // After the statement itself was told.
  const later = () => process.nextTick(callback);
  connection?.on('portalSuspended', later);
  connection?.on('readyForQuery', later);
  return () => {
    connection?.removeListener('portalSuspended', later);
    connection?.removeListener('readyForQuery', later);
  };
}

/**
 * Calls back when the client's transaction is over and before anything queued behind it is sent.
 * Returns the function that ends the watch.
 */
export function onTransactionEnd(client: pg.ClientBase, callback: () => void): () => void {
  const { connection } = internalsOf(client);
  const check = (message?: { status?: string }) => {
    if (message?.status === 'I') callback();
  };
  connection?.prependListener('readyForQuery', check);
  return () => connection?.removeListener('readyForQuery', check);
}

/**
 * Calls back with the transaction status of each ReadyForQuery (`I` none, `T` open, `E` failed), before anything queued is
 * sent. Returns the function that ends the watch.
 */
export function onReadyForQuery(client: pg.ClientBase, callback: (status: string | undefined) => void): () => void {
  const { connection } = internalsOf(client);
  const report = (message?: { status?: string }) => callback(message?.status);
  connection?.prependListener('readyForQuery', report);
  return () => connection?.removeListener('readyForQuery', report);
}

/** The statement that was handed to the client last, as `pg` has it. */
export function lastStatement(client: pg.ClientBase): unknown {
  const { _queryQueue, _sentQueryQueue, _activeQuery } = internalsOf(client);
  return _queryQueue?.at(-1) ?? _sentQueryQueue?.at(-1) ?? _activeQuery;
}

/** Whether that statement was sent and is not answered. */
export function isInFlight(client: pg.ClientBase, statement: unknown): boolean {
  const { _activeQuery, _sentQueryQueue } = internalsOf(client);
  if (statement === undefined) return false;
  return _activeQuery === statement || (_sentQueryQueue?.includes(statement) ?? false);
}

/** Whether that statement waits in the client, or was sent and is not answered. */
export function hasStatement(client: pg.ClientBase, statement: object): boolean {
  return (
    isInFlight(client, statement) || (internalsOf(client)._queryQueue?.includes(statement as QueuedStatement) ?? false)
  );
}

/** The `query_timeout` that the client was made with. */
export function queryTimeoutOf(client: pg.ClientBase): unknown {
  return internalsOf(client).connectionParameters?.query_timeout;
}

/** Counts one more use and returns the count. `pg` keeps it on the client, where others read it. */
export function countUse(client: pg.ClientBase): number {
  const counted = internalsOf(client);
  counted._poolUseCount = (counted._poolUseCount ?? 0) + 1;
  return counted._poolUseCount;
}

/** How many bytes have come from the server; 0 if the client does not say. */
export function bytesRead(client: pg.ClientBase): number {
  return internalsOf(client).connection?.stream.bytesRead ?? 0;
}

/** How many bytes were handed over for sending so far; 0 if the client does not say. */
export function bytesWritten(client: pg.ClientBase): number {
  return internalsOf(client).connection?.stream.bytesWritten ?? 0;
}

/** The socket that the client reads and writes; usually a TLS socket. */
export function streamOf(client: pg.ClientBase): object | undefined {
  return internalsOf(client).connection?.stream;
}

/** The id of the server process that serves the client; `undefined` if the server has not told it. */
export function processIdOf(client: pg.ClientBase): number | undefined {
  return internalsOf(client).processID ?? undefined;
}

/** The password that the client authenticates with; a password function may not have returned it yet. */
export function passwordOf(client: pg.ClientBase): unknown {
  return internalsOf(client).password;
}

/** What `pg` has made of the client's TLS options; `false` for none. */
export function tlsOptionsOf(client: pg.ClientBase): boolean | object {
  return internalsOf(client).ssl;
}

/** Whether the connection keeps the process alive while it is open. */
export function keepProcess(client: pg.ClientBase, alive: boolean): void {
  if (alive) internalsOf(client).ref?.();
  else internalsOf(client).unref?.();
}

/** Calls back for each message of that name that the server sends. Call it before the client connects. */
export function onMessage<Message>(client: pg.ClientBase, name: string, callback: (message: Message) => void): void {
  ownedConnection(client)?.on(name, callback);
}

/** Calls back when the connection is over, for any reason: once, because it ends once. Returns the function that ends the watch. */
export function onEnd(client: pg.ClientBase, callback: () => void): () => void {
  const connection = ownedConnection(client);
  connection?.on('end', callback);
  return () => connection?.removeListener('end', callback);
}

/** Tells a listener when the connection is over, for any reason. */
export function listenForEnd(client: pg.ClientBase, listener: SharedListener): void {
  ownedConnection(client)?.on('end', listener);
}

// The connection of a client, for listeners that all clients share.
function ownedConnection(client: pg.ClientBase): InternalConnection | undefined {
  const { connection } = internalsOf(client);
  if (connection !== undefined && owners.of(connection) !== client) owners.note(connection, client);
  return connection;
}

/**
 * Ends every wait for a dead server to be ready. `pg-cursor` waits in `close()`, and with it every failing stream of rows:
 * its reader would wait forever (brianc/node-postgres#2642). Call it before the client connects.
 */
export function endWaitForReady(client: pg.ClientBase): void {
  internalsOf(client).connection?.on('end', answerWaits);
}

function answerWaits(this: InternalConnection): void {
  const answer = () => {
    // Listeners that wait for one message. The others listen for as long as the connection lasts.
    for (const listener of this.rawListeners('readyForQuery')) {
      if ('listener' in listener) listener.call(this, {});
    }
  };
  this.on('newListener', (name) => {
    if (name === 'readyForQuery') process.nextTick(answer);
  });
  process.nextTick(answer);
}

/**
 * Removes the listeners of `pg` and ours for what only comes before a client is connected. `pg` keeps them for as long as the connection
 * lasts, and they are a quarter of what an idle connection takes.
 */
export function forgetStartUp(client: pg.ClientBase): void {
  const { connection } = internalsOf(client);
  for (const event of startUpEvents) connection?.removeAllListeners(event);
}

// Source: PostgreSQL documentation, "Start-up" of the message flow. A later request to authenticate breaks the protocol; see `guardMessages`.
const startUpEvents = [
  'connect',
  'sslconnect',
  'authenticationOk',
  'authenticationCleartextPassword',
  'authenticationMD5Password',
  'authenticationSASL',
  'authenticationSASLContinue',
  'authenticationSASLFinal',
  'backendKeyData',
];

/** Waits for work on a client, but no longer than its connection lasts. */
export function whileOpen<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = onEnd(client, () => reject(new Error('Connection terminated unexpectedly')));
    work().then(resolve, reject).finally(stop);
  });
}

/** The private shape of a client. Only for this room: `test/rooms` checks that no other one reads it. */
export function internalsOf(client: pg.ClientBase): ClientInternals {
  return client as unknown as ClientInternals;
}
