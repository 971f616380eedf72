import { abortable, aFunction, checkOptions, printable } from '@externalname/core/internal';
import type { PostgresState } from './postgres-state.ts';
import type { Probe } from './probe.ts';

/** The methods that a client needs; `pg.Client` has them. */
export interface PostgresClientLike {
  /** Opens the connection. */
  connect(): Promise<unknown>;
  /** Runs one statement. */
  query(text: string): Promise<{ rows: Record<string, unknown>[] }>;
  /** Closes it. */
  end(): Promise<void>;
  /** Reports an error of an idle connection. */
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** See {@link postgresProbe}. */
export interface PostgresProbeOptions {
  /**
   * Makes a client for `host`, not connected yet. Give it TLS, credentials and a `connectionTimeoutMillis` of its own.
   */
  client: (host: string) => PostgresClientLike;
}

/**
 * Asks a PostgreSQL server for its state: whether it answers, accepts writes or is a standby, how far it has replayed, its system
 * identifier and its timeline. `switchTarget()` compares the two targets by them.
 *
 * The role only needs to log in. If it may not call `pg_control_system()`, identifiers are not compared.
 *
 * @example
 * ```ts
 * import { Client } from 'pg';
 * const probe = postgresProbe({
 *   client: (host) => new Client({ host, user: 'app', database: 'app', ssl: { ca }, connectionTimeoutMillis: 3000 }),
 * });
 * ```
 */
export function postgresProbe(options: PostgresProbeOptions): Probe {
  checkOptions(options, { client: aFunction });
  return {
    name: 'postgres',
    async run(host, { signal }) {
      const client = options.client(host);
      // A connection that breaks after the answer does not matter to the switch.
      client.on('error', () => undefined);
      try {
        await abortable(client.connect(), signal);
        const state = await abortable(readState(client), signal);
        return { ok: true, detail: describe(state), postgres: state };
      } finally {
        // Not awaited: a server that is gone may never answer, and the probe has its deadline.
        client.end().catch(() => undefined);
      }
    },
  };
}

/** The state of the server that a connected client is a client of. */
export async function readState(client: PostgresClientLike): Promise<PostgresState> {
  const { rows } = await client.query(roleQuery);
  const row = rows[0] ?? {};
  const inRecovery = row['in_recovery'] === true;
  const [systemIdentifier, timeline, position] = [
    await value(client, 'select system_identifier::text as value from pg_control_system()'),
    await value(client, inRecovery ? standbyTimelineQuery : primaryTimelineQuery),
    await value(client, inRecovery ? standbyPositionQuery : primaryPositionQuery),
  ];
  return {
    inRecovery,
    readOnly: row['read_only'] === 'on',
    systemIdentifier,
    timeline: timeline === undefined ? undefined : Number(timeline),
    logPosition: position === undefined ? undefined : BigInt(position),
    replayDelaySeconds: row['replay_delay'] === null ? undefined : Number(row['replay_delay']),
  };
}

// One query each, so that a missing privilege costs one value and not all.
async function value(client: PostgresClientLike, query: string): Promise<string | undefined> {
  try {
    const { rows } = await client.query(query);
    const found = rows[0]?.['value'];
    // No number in PostgreSQL has more digits, and the text is shown in terminals.
    return typeof found === 'string' ? printable(found.slice(0, 40)) : undefined;
  } catch {
    return undefined;
  }
}

function describe(state: PostgresState): string {
  const role = state.inRecovery ? 'a standby' : state.readOnly ? 'a primary, read-only' : 'a primary that takes writes';
  const facts = [
    state.timeline !== undefined && `timeline ${state.timeline}`,
    state.systemIdentifier !== undefined && `system ${state.systemIdentifier}`,
    state.inRecovery && state.replayDelaySeconds !== undefined && `replay ${state.replayDelaySeconds} s behind`,
  ].filter((fact) => fact !== false);
  return `answers: ${role}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}`;
}

// Source: PostgreSQL documentation, "System Administration Functions", recovery and backup control.
const roleQuery = `select pg_is_in_recovery() as in_recovery,
  current_setting('default_transaction_read_only') as read_only,
  case when pg_is_in_recovery() then extract(epoch from now() - pg_last_xact_replay_timestamp())::float8 end as replay_delay`;

// The name of the log's current file begins with the timeline; the control file only knows the last checkpoint's.
const primaryTimelineQuery = `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int::text as value`;
const standbyTimelineQuery = `select coalesce((select received_tli from pg_stat_wal_receiver),
  (select timeline_id from pg_control_checkpoint()))::text as value`;
const primaryPositionQuery = `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text as value`;
const standbyPositionQuery = `select pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::text as value`;
