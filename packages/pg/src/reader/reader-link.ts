import type { Endpoint } from '@externalname/core';
import type { ReaderSettings } from '@externalname/core/internal';
import type * as pg from 'pg';
import type { ServerPosition } from '../connect/wal-position.ts';
import type { PoolOptions, PoolSettings } from '../options.ts';
import { parametersOf, withHost, withoutParameters } from '../settings/connection-string.ts';

/** What a reader has of the pool that it reads for. */
export interface ReaderLink {
  readonly settings: ReaderSettings;
  /** Where the primary is. Left out if it is among the addresses of the reader's own target, or is not to serve reads. */
  readonly primaryEndpoints: ((signal: AbortSignal | undefined) => Promise<readonly Endpoint[]>) | undefined;
  /** A connection to the primary. Left out if it is not to serve reads. */
  readonly connectPrimary: ((wait: ReaderWait) => Promise<pg.PoolClient>) | undefined;
  /** Where the primary is in its history. */
  position(): Promise<ServerPosition>;
  currentToken(): Promise<string>;
}

/** How long, and for whom, a connection is waited for. */
export interface ReaderWait {
  readonly borrower: 'query' | 'transaction';
  readonly budgetMillis: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

// By the options that a reader is made with, so that the public constructor has no parameter for it.
const links = new WeakMap<object, ReaderLink>();

/** The link of the pool that is made with these options, if it is a reader. */
export function readerLinkOf(options: object | null): ReaderLink | undefined {
  return links.get(options ?? {});
}

/** The options of the reader of a pool: as the pool, but for standbys, and with sessions that write nothing. */
export function readerOptions(
  pool: PoolOptions,
  link: ReaderLink,
  { follows }: PoolSettings,
  environment = process.env,
): PoolOptions {
  const {
    service,
    source,
    allowedTargets,
    max,
    balancing = follows ? 'least-connections' : undefined,
  } = pool.reader ?? {};
  const options: PoolOptions = Object.create(Object.prototype, Object.getOwnPropertyDescriptors(pool));
  const own: PoolOptions = {
    reader: undefined,
    readySessions: 0,
    targetSessionAttrs: link.settings.fallback ? 'prefer-standby' : 'standby',
    balancing,
    ...(max !== undefined && { max }),
    ...(allowedTargets !== undefined && { allowedTargets }),
    ...(source !== undefined && { source }),
    ...(service !== undefined && { service, source, host: undefined }),
  };
  const { connectionString } = pool;
  if (connectionString) {
    const rest = withoutParameters(connectionString, ['options', 'target_session_attrs']);
    own.connectionString = service === undefined ? rest : withHost(rest, service);
  }
  // Read-only sessions: a standby may be promoted while a session is open, and the primary may serve reads, too.
  const startup = parametersOf(connectionString)['options'] || pool.options || environment['PGOPTIONS'] || '';
  own.options = `${startup} -c default_transaction_read_only=on`.trim();
  for (const [name, value] of Object.entries(own)) {
    Object.defineProperty(options, name, { value, enumerable: true, configurable: true, writable: true });
  }
  links.set(options, link);
  return options;
}
