import type * as pg from 'pg';
import { afterEach, expect, it, vi } from 'vitest';
import { poolSettings } from '../options.ts';

const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
afterEach(() => warnings.mockClear());

const host = { host: 'localhost', user: 'app', database: 'app' };
const namesOf = (options: object) => {
  poolSettings({ ...host, ...options } as pg.PoolConfig, {});
  return warnings.mock.calls.map(([message]) => String(message));
};

it('an option that looks like one of the pool is warned of, once', () => {
  const expected =
    '`readySession` is not an option of `Pool` or `Client`, and has no effect. Did you mean `readySessions`?';
  namesOf({ readySession: 1 });
  expect(namesOf({ readySession: 1 })).toEqual([expected]);
  expect(warnings.mock.calls[0]?.[1]).toMatchObject({ code: 'EXTERNALNAME_UNKNOWN_OPTION' });
});

it('no option of pg, nor of those who wrap its pool, is', () => {
  const ofPg = {
    user: '',
    database: '',
    password: '',
    port: 0,
    host: '',
    connectionString: '',
    keepAlive: true,
    stream: undefined,
    statement_timeout: 0,
    ssl: false,
    query_timeout: 0,
    lock_timeout: 0,
    keepAliveInitialDelayMillis: 0,
    idle_in_transaction_session_timeout: 0,
    application_name: '',
    fallback_application_name: '',
    connectionTimeoutMillis: 0,
    types: undefined,
    options: '',
    client_encoding: '',
    max: 1,
    min: 0,
    idleTimeoutMillis: 0,
    log: undefined,
    Promise: undefined,
    allowExitOnIdle: false,
    maxUses: 0,
    maxLifetimeSeconds: 0,
    Client: undefined,
    enableChannelBinding: false,
    onConnect: undefined,
    sslnegotiation: undefined,
    verify: undefined,
    scramMaxIterations: undefined,
  } satisfies Partial<Record<keyof pg.PoolConfig, unknown>> & Record<string, unknown>;
  const ofOthers = {
    type: 'postgres',
    schema: 'public',
    logger: {},
    extra: {},
    poolErrorHandler: () => {},
    binary: true,
    poolSize: 1,
    dialect: '',
    dialectOptions: {},
    replication: {},
    synchronize: false,
    entities: [],
    retry: {},
    hooks: {},
    timezone: '',
    reconnect: true,
    servername: '',
  };
  expect(namesOf({ ...ofPg, ...ofOthers })).toEqual([]);
});
