import { type LookupFunction, Socket } from 'node:net';
import { aBoolean, aFunction, aNumber, aText, checkOptions, optional, ownOptions } from '@externalname/core/internal';
import { resolvesProbe, tcpProbe, tlsProbe } from './network-probes.ts';
import { type PostgresClientLike, postgresProbe } from './postgres-probe.ts';
import type { Probe } from './probe.ts';

/** See {@link postgresServiceProbes}. */
export interface PostgresServiceProbesOptions {
  /** Port of the databases, 1 to 65535. */
  port: number;
  /** PEM certificates to trust. @defaultValue the ones that Node.js trusts */
  ca?: string | undefined;
  /** Resolves the names of the databases; `createLookup()` of core makes one. @defaultValue the system's */
  lookup?: LookupFunction | undefined;
  /** Makes a client for a host, not connected yet: {@link postgresClients} does. @defaultValue the databases are not logged in to */
  client?: ((host: string) => PostgresClientLike) | undefined;
  /** Whether the certificate is checked, and with a client the databases are logged in to. @defaultValue true */
  tls?: boolean | undefined;
}

/**
 * The probes of a switch between two PostgreSQL servers: the new target must resolve, accept connections, have a certificate of its own
 * name, and take writes; the old one must be fenced or gone.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * import { Client } from 'pg';
 * const access = { port: 5432, user: 'app', database: 'app' };
 * const probes = postgresServiceProbes({ port: access.port, client: postgresClients({ Client, ...access }) });
 * await switchTarget({ service: 'webscaler-db', to: 'secondary-db.example.com', probes });
 * ```
 */
export function postgresServiceProbes(given: PostgresServiceProbesOptions): {
  readonly target: readonly Probe[];
  readonly previous: readonly Probe[];
} {
  const options = ownOptions(given);
  checkOptions<PostgresServiceProbesOptions>(options, {
    port: aPort,
    ca: optional(aText),
    lookup: optional(aFunction),
    client: optional(aFunction),
    tls: optional(aBoolean),
  });
  const { port, ca, lookup, client, tls = true } = options;
  const network = [resolvesProbe({ lookup }), tcpProbe({ port, lookup })];
  if (!tls) return { target: network, previous: [] };
  const verified = [...network, tlsProbe({ port, lookup, ca, protocol: 'postgres' })];
  if (client === undefined) return { target: verified, previous: [] };
  const postgres = postgresProbe({ client });
  return { target: [...verified, postgres], previous: [postgres] };
}

/** See {@link postgresClients}. */
export interface PostgresClientsOptions {
  /** `Client` of `pg`. */
  Client: PostgresClientClass;
  /** Port of the databases, 1 to 65535. */
  port: number;
  /** The role to log in with. @defaultValue `PGUSER`, as `pg` reads it */
  user?: string | undefined;
  /** The database. @defaultValue `PGDATABASE`, as `pg` reads it */
  database?: string | undefined;
  /** Of the role. @defaultValue `PGPASSWORD`, else `~/.pgpass`, as `pg` reads them */
  password?: string | undefined;
  /** PEM certificates to trust. @defaultValue the ones that Node.js trusts */
  ca?: string | undefined;
  /** Resolves the names of the databases; `createLookup()` of core makes one. @defaultValue the system's */
  lookup?: LookupFunction | undefined;
  /** Longest time to connect. Milliseconds, 1 to 600000. @defaultValue 4000 */
  connectionTimeoutMillis?: number | undefined;
}

/** A class of clients: `Client` of `pg` is one. */
// biome-ignore lint/suspicious/noExplicitAny: the options of pg, whose types a user need not have
export type PostgresClientClass = new (options: any) => PostgresClientLike;

/**
 * Makes clients of `pg` for one host each, with TLS verified in full, whose addresses `lookup` finds. For probes, and for what is read
 * beside them.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * import { Client } from 'pg';
 * const client = postgresClients({ Client, port: 5432, user: 'app', database: 'app' });
 * const probe = postgresProbe({ client });
 * ```
 */
export function postgresClients(given: PostgresClientsOptions): (host: string) => PostgresClientLike {
  const options = ownOptions(given);
  checkOptions<PostgresClientsOptions>(options, {
    Client: aFunction,
    port: aPort,
    user: optional(aText),
    database: optional(aText),
    password: optional(aText),
    ca: optional(aText),
    lookup: optional(aFunction),
    connectionTimeoutMillis: optional(aNumber({ least: 1, most: 600_000 })),
  });
  const { Client, ca, lookup, password, connectionTimeoutMillis = 4_000, ...access } = options;
  return (host) =>
    new Client({
      ...access,
      host,
      // Undefined would keep pg from reading ~/.pgpass.
      ...(password !== undefined && { password }),
      ssl: { ca, rejectUnauthorized: true },
      connectionTimeoutMillis,
      application_name: 'externalname',
      ...(lookup !== undefined && { stream: () => new LookupSocket(lookup) }),
    });
}

const aPort = aNumber({ least: 1, most: 65_535, whole: true });

/** A socket that finds the address of its host in its own way. */
class LookupSocket extends Socket {
  readonly #lookup: LookupFunction;

  constructor(lookup: LookupFunction) {
    super();
    this.#lookup = lookup;
  }

  // `pg` calls this form only.
  override connect(...[port, host]: unknown[]): this {
    return super.connect({ port: Number(port), host: String(host), lookup: this.#lookup });
  }
}
