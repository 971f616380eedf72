import { DeadlineError, type WaitOptions } from '@externalname/core';
import {
  aNumber,
  aSignal,
  aText,
  checkOptions,
  optional,
  type Shapes,
  withDeadline,
} from '@externalname/core/internal';
import pg from 'pg';
import { PostgresServerError } from './errors.ts';

/** How to reach a server as superuser. */
export interface AdministrationAddress {
  readonly hostName: string;
  /** Folder of the Unix socket. Network faults do not affect it, and `peer` authentication tells the server who we are. */
  readonly socketFolder: string;
  readonly port: number;
  readonly majorVersion: number;
}

/** See {@link administrate}. */
export interface AdministrationOptions extends WaitOptions {
  /** Longest time for all of it. Milliseconds. @defaultValue 30000 */
  timeoutMillis?: number | undefined;
  /** The database to connect to. @defaultValue `postgres` */
  database?: string | undefined;
}

export const waitShapes: Shapes<Pick<AdministrationOptions, 'signal' | 'timeoutMillis'>> = {
  signal: aSignal,
  timeoutMillis: optional(aNumber({ least: 0, unit: 'milliseconds' })),
};

/** One statement at a time, as superuser. */
export type RunStatement = <Row = Record<string, unknown>>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/**
 * Opens a superuser's session, passes it to `work`, and closes it. Each call has its own session, so that no idle one delays
 * a shutdown.
 */
export async function administrate<T>(
  address: AdministrationAddress,
  work: (run: RunStatement) => Promise<T>,
  options: AdministrationOptions = {},
): Promise<T> {
  checkOptions(options, { ...waitShapes, database: optional(aText) });
  const { timeoutMillis = 30_000, database = 'postgres', signal } = options;
  const client = new pg.Client({
    host: address.socketFolder,
    port: address.port,
    user: superuser,
    database,
    ssl: false,
    application_name: 'externalname-administration',
    // The server ends a statement when its caller has given up, from 14 on. Only on Linux can it check a socket without reading it.
    options:
      process.platform === 'linux' && address.majorVersion >= 14
        ? '-c client_connection_check_interval=200ms'
        : '-c statement_timeout=0',
  });
  // A connection that breaks also rejects the statement that runs on it.
  client.on('error', () => undefined);
  const run: RunStatement = async <Row>(sql: string, values?: readonly unknown[]) => {
    try {
      const { rows } = await client.query(sql, values === undefined ? undefined : [...values]);
      return rows as Row[];
    } catch (cause) {
      throw refused(address, cause);
    }
  };
  let settled = false;
  try {
    return await withDeadline(
      async () => {
        await client.connect().catch((cause: unknown) => {
          throw refused(address, cause);
        });
        const result = await work(run);
        settled = true;
        return result;
      },
      {
        signal,
        timeoutMillis,
        onTimeout: () => new DeadlineError(`${address.hostName}: administration`, timeoutMillis),
      },
    );
  } finally {
    // A server that hangs would never answer the goodbye, so only our side of the socket is closed.
    if (settled) await client.end().catch(() => undefined);
    else client.connection.stream.destroy();
  }
}

function refused(address: AdministrationAddress, cause: unknown): PostgresServerError {
  const { code } = cause as { code?: string };
  const gone = code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'EACCES';
  return gone
    ? new PostgresServerError(address.hostName, 'not-running', 'the server is not running: start() it first', { cause })
    : new PostgresServerError(address.hostName, 'refused', (cause as Error).message, { cause });
}

/** Name of the superuser. It exists only for sessions over the Unix socket. */
export const superuser = 'postgres';
