import type * as pg from 'pg';
import { internalsOf } from './client-internals.ts';

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

/** Keeps what is written until the end of this turn, so that it leaves in one piece. */
export function holdWrites(client: pg.ClientBase): () => void {
  const stream = internalsOf(client).connection?.stream;
  stream?.cork?.();
  return () => stream?.uncork?.();
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
