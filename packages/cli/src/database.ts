import { readFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { InvalidArgumentError } from '@externalname/core';
import { type PostgresClientLike, postgresClients } from '@externalname/kubernetes';
import { number, text } from './command.ts';

/** How to log in to the databases behind the Service. What is left out comes from the variables of libpq. */
export const databaseOptions = {
  port: number('-p, --port <number>', 'port of the databases; default: PGPORT, else 5432', {
    least: 1,
    most: 65_535,
    whole: true,
  }),
  user: text('--user <role>', 'role to log in with; default: PGUSER. The password comes from PGPASSWORD or ~/.pgpass'),
  database: text('--database <name>', 'database; default: PGDATABASE, else the name of the role'),
  ca: text('--ca <file>', 'certificates to trust, PEM; default: PGSSLROOTCERT, else those of Node.js', 'files'),
} as const;

/** The values of {@link databaseOptions}. */
export interface DatabaseChoice {
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly database: string | undefined;
  readonly ca: string | undefined;
}

/** How to reach and log in to a database: what `pg` takes. */
export interface DatabaseAccess {
  readonly port: number;
  readonly user: string | undefined;
  readonly database: string | undefined;
  /** PEM; undefined for the authorities that Node.js trusts. */
  readonly ca: string | undefined;
  /** Not there where `~/.pgpass` has it, which `pg` reads by itself. */
  readonly password: string | undefined;
}

/**
 * What the options and the environment say.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a port or a file that cannot be used
 */
export async function databaseAccess(
  choice: DatabaseChoice,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<DatabaseAccess> {
  const port = choice.port ?? Number(environment['PGPORT'] || 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('PGPORT', `must be a port, got ${JSON.stringify(environment['PGPORT'])}`);
  }
  const access = {
    port,
    user: choice.user ?? (environment['PGUSER'] || undefined),
    database: choice.database ?? (environment['PGDATABASE'] || undefined),
    ca: await certificates(choice.ca, environment),
    password: undefined,
  };
  return Object.defineProperty(access, 'password', { value: environment['PGPASSWORD'], enumerable: false });
}

/** Makes clients of plain `pg`, which is loaded now. */
export async function clientFactory(
  access: DatabaseAccess,
  lookup: LookupFunction | undefined,
  connectionTimeoutMillis?: number,
): Promise<(host: string) => PostgresClientLike> {
  const { default: pg } = await import('pg');
  return postgresClients({ Client: pg.Client, ...access, password: access.password, lookup, connectionTimeoutMillis });
}

/**
 * The certificates to trust, PEM: of the option, else of `PGSSLROOTCERT`. Undefined for those of Node.js.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a file that cannot be read
 */
export async function certificates(
  option: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const file = option ?? (environment['PGSSLROOTCERT'] || undefined);
  if (file === undefined || file === 'system') return undefined;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError('--ca', `must be a file with PEM certificates: ${reason}`, { cause });
  }
}
