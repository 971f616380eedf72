import type { WaitOptions } from '@externalname/core';
import { abortable, anObjectWith, aSignal, checkOptions, printable } from '@externalname/core/internal';
import { type PostgresClientLike, readState } from './postgres-probe.ts';
import type { PostgresState } from './postgres-state.ts';

/** What a PostgreSQL server says about itself and this login. A value is undefined if the role lacks the privilege, or the version does not report it. */
export interface PostgresInspection {
  /** Role, timeline and position, as {@link postgresProbe} reports them. */
  readonly state: PostgresState;
  /** `17.2` */
  readonly version: string | undefined;
  /** `max_connections`, without the connections that are reserved for superusers. */
  readonly connectionLimit: number | undefined;
  /** Sessions of clients, this one included. */
  readonly connections: number | undefined;
  /** How this login was authenticated: `scram-sha-256`, `md5`, `password`, `cert`, `trust`. PostgreSQL 16 or newer. */
  readonly authentication: string | undefined;
  /** Whether this session is encrypted. */
  readonly encrypted: boolean | undefined;
}

/**
 * Connects, asks a PostgreSQL server for its state, version, connections and how it authenticated this login, and closes. The role only
 * needs to log in.
 *
 * @throws the client's own error if it cannot connect
 *
 * @example
 * ```ts
 * const { version, connections, connectionLimit } = await inspectPostgres(new Client({ host, user, password, ssl }));
 * ```
 */
export async function inspectPostgres(
  client: PostgresClientLike,
  options: WaitOptions = {},
): Promise<PostgresInspection> {
  anObjectWith('connect', 'query', 'end', 'on')('client', client);
  checkOptions(options, { signal: aSignal });
  const signal = options.signal ?? new AbortController().signal;
  client.on('error', () => undefined);
  try {
    await abortable(client.connect(), signal);
    return await abortable(inspect(client), signal);
  } finally {
    // Not awaited: a server that is gone may never answer, and the caller has its deadline.
    client.end().catch(() => undefined);
  }
}

async function inspect(client: PostgresClientLike): Promise<PostgresInspection> {
  const state = await readState(client);
  const [version, limit, used, user, encrypted] = [
    await text(client, `select split_part(current_setting('server_version'), ' ', 1) as value`),
    await text(
      client,
      `select (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::text as value`,
    ),
    await text(client, `select count(*)::text as value from pg_stat_activity where backend_type = 'client backend'`),
    // Null for a login that was not authenticated (documentation, "Session Information Functions").
    await text(client, `select coalesce(system_user, 'trust') as value`),
    await text(client, `select ssl::text as value from pg_stat_ssl where pid = pg_backend_pid()`),
  ];
  return {
    state,
    version,
    connectionLimit: limit === undefined ? undefined : Number(limit),
    connections: used === undefined ? undefined : Number(used),
    authentication: user?.split(':')[0],
    encrypted: encrypted === undefined ? undefined : encrypted === 'true',
  };
}

// One query each, so that what a version or a role lacks costs one value and not all.
async function text(client: PostgresClientLike, query: string): Promise<string | undefined> {
  try {
    const { rows } = await client.query(query);
    const found = rows[0]?.['value'];
    return typeof found === 'string' ? printable(found.slice(0, 100)) : undefined;
  } catch {
    return undefined;
  }
}
