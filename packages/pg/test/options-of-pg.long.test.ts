import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler({ synchronous: false });
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

/** Two queries at once, as one connection may be had where two may not. */
async function serves(pool: pg.Pool): Promise<boolean> {
  const late = new Promise<never>((_, reject) => setTimeout(reject, 2_000, new Error('late')));
  try {
    await Promise.race([late, Promise.all([pool.query('select 1'), pool.query('select 2')])]);
    return true;
  } catch {
    return false;
  } finally {
    pool.end().catch(() => undefined);
  }
}

// What an application may read from its environment, or leave unset.
const unset = [undefined, null, 0, Number.NaN, '', false];
const worksInPg: readonly [string, readonly unknown[]][] = [
  ['max', [...unset, '1', '20', 20, 1.5, Number.POSITIVE_INFINITY]],
  ['min', [...unset, '2', 2]],
  ['poolSize', [...unset, '3', 3]],
  ['idleTimeoutMillis', [...unset, '10000', 10_000]],
  ['connectionTimeoutMillis', [...unset, '5000', ' 5000 ', '5e3', 5_000]],
  ['maxUses', [...unset, '7500', 7_500]],
  ['maxLifetimeSeconds', [...unset, '60', 60]],
  ['statement_timeout', [...unset, '5000', '5000ms', 5_000]],
  ['lock_timeout', [...unset, '5000', 5_000]],
  ['idle_in_transaction_session_timeout', [...unset, '5000', 5_000]],
  ['query_timeout', [...unset, '5000', 5_000]],
  ['keepAliveInitialDelayMillis', [...unset, '1000', 1_000]],
  ['application_name', [undefined, null, '', 'worker']],
  ['allowExitOnIdle', [undefined, 0, 'true', true]],
  ['keepAlive', [undefined, 1, 'true', true]],
  ['log', [undefined, null, () => undefined]],
  ['types', [undefined, null, pg.types]],
  ['onConnect', [undefined, null, () => undefined]],
  ['verify', [undefined, null, (_: unknown, done: () => void) => done()]],
];

describe('an option of pg.Pool that works there works here, on a plain host and for a Service', () => {
  it.each(worksInPg.flatMap(([name, values]) => values.map((value) => [name, value] as const)))(
    '%s: %j',
    async (name, value) => {
      const overrides = { [name]: value };
      expect(await serves(new pg.Pool(webscaler.plainOptions(overrides) as pg.PoolConfig))).toBe(true);
      expect(await serves(new Pool(webscaler.plainOptions(overrides)))).toBe(true);
      expect(await serves(new Pool(webscaler.options(overrides)))).toBe(true);
      const client = new Client(webscaler.options(overrides));
      await client.connect();
      await client.end();
    },
  );

  it('a port as text', async () => {
    const port = String(webscaler.pair.port) as unknown as number;
    expect(await serves(new Pool(webscaler.plainOptions({ port })))).toBe(true);
    expect(await serves(new Pool(webscaler.options({ port })))).toBe(true);
  });

  it('null instead of options, which is none', () => {
    const nothing = null as unknown as PoolOptions;
    expect(new Pool(nothing).options.max).toBe(new pg.Pool(nothing as pg.PoolConfig).options.max);
    expect(new Client(nothing).host).toBe(new pg.Client(nothing as pg.ClientConfig).host);
  });

  it('numbers as text are numbers to readers of the options', () => {
    const pool = webscaler.pool({ max: '20', connectionTimeoutMillis: '5000' } as object);
    expect(pool.options).toMatchObject({ max: 20, connectionTimeoutMillis: 5_000 });
  });
});

const source = { current: async () => undefined, subscribe: () => () => undefined };
const refused: readonly [string, readonly unknown[]][] = [
  ['max', ['abc', '10 connections', -1, '-1', {}, [5], true]],
  ['min', ['abc', {}]],
  ['poolSize', ['abc', -1]],
  ['idleTimeoutMillis', ['abc', '10s', {}]],
  ['connectionTimeoutMillis', ['abc', '5s', -1, {}]],
  ['maxUses', ['abc', {}]],
  ['maxLifetimeSeconds', ['abc', {}]],
  ['statement_timeout', ['abc', -1, true, {}]],
  ['lock_timeout', ['abc']],
  ['idle_in_transaction_session_timeout', ['abc']],
  ['query_timeout', ['abc', '5s', -1]],
  ['keepAliveInitialDelayMillis', ['abc']],
  ['port', ['abc', -1, 65_536, {}]],
  ['host', [5, {}]],
  ['user', [5, {}]],
  ['database', [5, {}]],
  ['application_name', [5, {}]],
  ['options', [5, {}]],
  ['connectionString', [5, {}, 'postgres://app@[::1/app']],
  ['ssl', ['require', 'false', 5, () => undefined]],
  ['log', ['console', {}]],
  ['types', ['text', {}]],
  ['onConnect', ['select 1']],
  ['verify', [true]],
  ['Client', ['pg', {}]],
];
const refusedForService: readonly [string, readonly unknown[]][] = [
  ['source', [{}, 'kubernetes', { current: source.current }, null, []]],
  ['dns', ['10.0.0.1', 5, ['10.0.0.1'], null]],
  ['allowedNetworks', ['127.0.0.0/8', '127.0.0.0/8,10.0.0.0/8', {}, 5]],
  ['allowedTargets', ['primary-db.example.com', 'primary-db.example.com,secondary-db.example.com', {}, 5]],
  ['host', ['primary-db.example.com']],
  ['connectionString', ['postgres://app@primary-db.example.com/app']],
  ['namespace', [5, 'not a namespace']],
  ['clusterDomain', [5, 'not a domain']],
  ['liveness', [true, 5, 'off']],
  ['requireAuth', [5, {}, [5]]],
  ['targetSessionAttrs', [5, 5n, {}]],
  ['failoverTimeoutMillis', ['5000', 5n]],
];

describe('what cannot be used is refused by the constructor, which names it', () => {
  const refusal = (argument: string) =>
    expect.objectContaining({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument: expect.stringMatching(new RegExp(`^${argument}\\b`)),
    });

  it.each(refused.flatMap(([name, values]) => values.map((value) => [name, value] as const)))(
    '%s: %o',
    (name, value) => {
      for (const options of [webscaler.plainOptions({ [name]: value }), webscaler.options({ [name]: value })]) {
        if (name === 'host' || name === 'connectionString') delete options.service;
        expect(() => new Pool(options)).toThrow(refusal(name));
        expect(() => new Client(options)).toThrow(refusal(name));
      }
    },
  );

  it.each(refusedForService.flatMap(([name, values]) => values.map((value) => [name, value] as const)))(
    'for a Service, %s: %o',
    (name, value) => {
      expect(() => new Pool(webscaler.options({ [name]: value }))).toThrow(refusal(name));
      expect(() => new Client(webscaler.options({ [name]: value }))).toThrow(refusal(name));
    },
  );

  it.each([[[null]], [[5]], [['primary-db.example.com', undefined]]])('an entry of a list: %j', (list) => {
    for (const name of ['allowedTargets', 'allowedNetworks']) {
      const options = webscaler.options({ [name]: list });
      const at = new RegExp(`^${name}\\[\\d\\]$`);
      expect(() => new Pool(options)).toThrow(expect.objectContaining({ argument: expect.stringMatching(at) }));
    }
  });

  it.each(['postgres://app@webscaler-db/app', 5, true, []])('what is not options at all: %j', (options) => {
    expect(() => new Pool(options as never)).toThrow(refusal('options'));
  });

  it.each([
    [{ ndots: 'five' }, 'dns.ndots'],
    [{ nameservers: '10.0.0.1' }, 'dns.nameservers'],
    [{ nameservers: ['10.0.0.1', 'x'] }, 'dns.nameservers[1]'],
    [{ cache: { maxNames: 0 } }, 'dns.cache.maxNames'],
  ])('an option of the resolver, by its path: %j', (dns, argument) => {
    expect(() => new Pool(webscaler.options({ dns: dns as never }))).toThrow(
      expect.objectContaining({
        argument,
        message: expect.stringMatching(new RegExp(`^${argument.replace(/\W/g, '\\$&')}: `)),
      }),
    );
  });

  it('says of a text with commas how to split it', () => {
    const allowedTargets = 'primary-db.example.com,secondary-db.example.com' as never;
    expect(() => new Pool(webscaler.options({ allowedTargets }))).toThrow(/split\(','\)/);
  });

  it('takes a host beside the Service that says the same', () => {
    expect(webscaler.pool({ host: 'Webscaler-DB.' }).options.host).toBe('Webscaler-DB.');
    expect(webscaler.pool({ connectionString: 'postgres://app@webscaler-db/app' })).toBeInstanceOf(Pool);
    expect(webscaler.pool({ connectionString: 'postgres:///app' })).toBeInstanceOf(Pool);
  });
});
