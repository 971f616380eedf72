import net from 'node:net';
import type { Clock, Endpoint } from '@externalname/core';
import { onAbort } from '@externalname/core/internal';
import type * as pg from 'pg';
import type { OpenConnection } from '../connect/connector.ts';
import { isUsable, keepProcess, processIdOf } from '../driver/client-internals.ts';
import { closeClient, destroyClient } from '../driver/closing.ts';

/** What a server does in one of its sessions. */
export type SessionActivity =
  /** It executes a statement. */
  | 'working'
  /** It waits for its client. */
  | 'waiting'
  /** The session does not exist. */
  | 'absent'
  /** It does not say. */
  | 'hidden';

/** What a server says about its sessions. */
export interface Activities {
  readonly server: ServerIdentity;
  /** Whether the dialled address is the server's own, so that nothing in between chooses among servers. */
  readonly direct: boolean;
  /** By the id of the process that serves the session. */
  of(processId: number): SessionActivity;
}

/** Distinguishes servers behind one address. In milliseconds of the servers' own clocks. */
export interface ServerIdentity {
  readonly name: string;
  readonly startedAt: number;
  /** When it said so. */
  readonly at: number;
}

/** A session in addition to the watched ones, to ask their server about them. */
export interface MonitoringSession {
  readonly isOpen: boolean;
  /**
   * Asks what the server does for these sessions. `undefined` if it cannot tell: a pooler in between has its own process
   * ids, `track_activities` may be off, and a product that only speaks the protocol of PostgreSQL may have no such view.
   */
  ask(processIds: readonly number[]): Promise<Activities | undefined>;
  /** Resolves when the server has answered an empty statement: as soon as the line allows. */
  ping(): Promise<void>;
  /** Resolves when it is closed. Idempotent. */
  close(): Promise<void>;
  /** Ends it without a goodbye, because it does not answer. */
  destroy(): void;
}

/** Turns a connection into a monitoring session. The process may end while it is open. */
export function monitoringSession(connection: OpenConnection, clock: Clock): MonitoringSession {
  const { client, endpoint } = connection;
  keepProcess(client, false);
  let closed: Promise<void> | undefined;
  return {
    get isOpen() {
      return isUsable(client);
    },
    ask: async (processIds) => readActivities(await askActivities(client, processIds), client, endpoint),
    async ping() {
      await client.query('');
    },
    close() {
      closed ??= new Promise((resolve) => closeClient(client, clock, resolve));
      return closed;
    },
    destroy() {
      destroyClient(client);
    },
  };
}

/**
 * Probes a PostgreSQL server without logging in: it answers GSSENCRequest with one byte, whether or not
 * it offers that encryption (PostgreSQL documentation, "GSSAPI Session Encryption" of the protocol). SSLRequest would work
 * too, but then the server logs a complaint about a client that does not begin TLS. A stopped server does not answer, although
 * its kernel accepts the connection.
 */
export function probePostgres(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: endpoint.address, port: endpoint.port });
    const finish = (settle: () => void) => {
      stopListening();
      socket.destroy();
      settle();
    };
    const abort = () => finish(() => reject(signal.reason));
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('close', () => finish(() => reject(new Error('closed without an answer'))));
    socket.once('connect', () => socket.write(gssEncRequest));
    socket.once('data', () => finish(resolve));
    const stopListening = onAbort(signal, abort);
    if (signal.aborted) abort();
  });
}

interface ActivityRow {
  readonly own: string;
  readonly address: string | null;
  readonly port: string | null;
  readonly started_at: string;
  readonly at: string;
  readonly states: string | null;
}

// Source: PostgreSQL documentation, "The Cumulative Statistics System", `pg_stat_activity`. A role that may not see what a
// session does still sees its process id.
async function askActivities(client: pg.Client, processIds: readonly number[]): Promise<ActivityRow | undefined> {
  const { rows } = await client.query<ActivityRow>({
    text: `SELECT pg_catalog.pg_backend_pid() AS own,
      pg_catalog.host(pg_catalog.inet_server_addr()) AS address,
      pg_catalog.inet_server_port() AS port,
      pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000 AS started_at,
      pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000 AS at,
      (SELECT pg_catalog.json_object_agg(pid, coalesce(state, 'disabled')) FROM pg_catalog.pg_stat_activity
        WHERE pid = pg_catalog.pg_backend_pid() OR pid = ANY ($1::pg_catalog.int4[])) AS states`,
    values: [`{${processIds.join()}}`],
    // As text, whatever parsers of types the application has set.
    types: { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig,
  });
  return rows[0];
}

function readActivities(
  row: ActivityRow | undefined,
  client: pg.Client,
  endpoint: Endpoint | undefined,
): Activities | undefined {
  if (row === undefined) return undefined;
  const states = new Map(Object.entries(JSON.parse(row.states ?? '{}') as Record<string, string>));
  // The asked process works on that question: if it does not see itself at work, it sees no process at all.
  if (Number(row.own) !== processIdOf(client) || states.get(row.own) !== 'active') return undefined;
  const name = `${row.address} ${row.port} ${row.started_at}`;
  return {
    server: { name, startedAt: Number(row.started_at), at: Number(row.at) },
    direct: endpoint !== undefined && row.address === endpoint.address && Number(row.port) === endpoint.port,
    of: (processId) => {
      // If a number is this session's own now, it does not belong to another session.
      if (String(processId) === row.own) return 'absent';
      const state = states.get(String(processId));
      if (state === undefined) return 'absent';
      if (state === 'disabled') return 'hidden';
      return state === 'active' || state === 'fastpath function call' ? 'working' : 'waiting';
    },
  };
}

// Length 8, code 80877104. Any other product answers in some way.
const gssEncRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]);
