import { readFile } from 'node:fs/promises';
import { type LookupFunction, Socket } from 'node:net';
import { InvalidArgumentError } from '@externalname/core';
import type { PostgresClientLike } from '@externalname/kubernetes';
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
  const file = choice.ca ?? (environment['PGSSLROOTCERT'] || undefined);
  const access = {
    port,
    user: choice.user ?? (environment['PGUSER'] || undefined),
    database: choice.database ?? (environment['PGDATABASE'] || undefined),
    ca: file === undefined || file === 'system' ? undefined : await certificates(file),
    password: undefined,
  };
  return Object.defineProperty(access, 'password', { value: environment['PGPASSWORD'], enumerable: false });
}

/** A client of plain `pg` for one host, TLS verified in full, whose address `lookup` finds. */
export async function clientFactory(
  access: DatabaseAccess,
  lookup: LookupFunction | undefined,
  connectionTimeoutMillis: number,
): Promise<(host: string) => PostgresClientLike> {
  const { default: pg } = await import('pg');
  const { port, user, database, password, ca } = access;
  return (host) =>
    new pg.Client({
      host,
      port,
      user,
      database,
      ...(password !== undefined && { password }),
      ssl: { ca, rejectUnauthorized: true },
      connectionTimeoutMillis,
      application_name: 'externalname',
      ...(lookup !== undefined && { stream: () => new LookupSocket(lookup) }),
    });
}

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

async function certificates(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError('--ca', `must be a file with PEM certificates: ${reason}`, { cause });
  }
}
