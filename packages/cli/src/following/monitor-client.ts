import { InvalidArgumentError } from '@externalname/core';
import type { ListeningClientLike } from '@externalname/engines';

/**
 * Makes clients for the monitor of pg_auto_failover: of `--monitor`, else of its own variable `PG_AUTOCTL_MONITOR`. TLS is always verified, whatever
 * the URI says.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`; its message repeats no URI, which may hold a password
 */
export async function monitorClient(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  ca: string | undefined,
): Promise<() => ListeningClientLike> {
  const argument = given === undefined ? 'PG_AUTOCTL_MONITOR' : '--monitor';
  const uri = given ?? environment['PG_AUTOCTL_MONITOR'];
  if (!uri) {
    throw new InvalidArgumentError(
      '--monitor',
      'must be given, or PG_AUTOCTL_MONITOR be set: postgres://follower@monitor.example.com:5432/pg_auto_failover',
    );
  }
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '') {
    throw new InvalidArgumentError(
      argument,
      'must be a URI such as postgres://follower@monitor.example.com:5432/pg_auto_failover',
    );
  }
  if (given !== undefined && url.password !== '') {
    throw new InvalidArgumentError(
      argument,
      'must not hold a password, which others see in the list of processes: set PG_AUTOCTL_MONITOR instead',
    );
  }
  const { default: pg } = await import('pg');
  const settings = {
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username) || 'autoctl_node',
    database: decodeURIComponent(url.pathname.slice(1)) || 'pg_auto_failover',
    ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
    ssl: { ca, rejectUnauthorized: true },
    connectionTimeoutMillis: 2_000,
    application_name: 'externalname',
  };
  return () => new pg.Client(settings);
}
