import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool } from '../src/index.ts';
import { collectWarnings } from './support/process-warnings.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
});
afterEach(() => webscaler.endPools());
afterAll(() => webscaler?.[Symbol.asyncDispose]());

const soon = { timeout: 20_000, interval: 50 };
/** A port of a server's address at which nothing listens. */
const closedPort = 1;

describe('ready()', () => {
  it('connects, and leaves the connection idle in the pool', async () => {
    const pool = webscaler.pool();
    await pool.ready();
    expect(pool.status()).toMatchObject({ total: 1, idle: 1, serving: true, target: { stale: false } });
  });

  it('sends one statement for all who ask at a time', async () => {
    const pool = webscaler.pool();
    await Promise.all(Array.from({ length: 50 }, () => pool.ready()));
    expect(pool.totalCount).toBe(1);
  });

  it('is answered in a pool whose connections are all in use and were heard from just now', async () => {
    const pool = webscaler.pool({ max: 1 });
    const client = await pool.connect();
    await pool.ready({ signal: AbortSignal.timeout(10_000) });
    client.release();
  });

  it('rejects with what a query would be told', async () => {
    const pool = webscaler.pool({ allowedTargets: ['other-db.example.com'] });
    await expect(pool.ready()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_REFUSED' });
    expect(pool.status().serving).toBe(false);
  });

  it('ends with the signal while no server is there, and waits again for the next who asks', async () => {
    const pool = webscaler.pool({ port: closedPort, failoverTimeoutMillis: 1_500 });
    const signal = AbortSignal.timeout(200);
    await expect(pool.ready({ signal })).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(pool.ready()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT' });
  });

  it('rejects once the pool ends', async () => {
    const pool = webscaler.pool();
    await pool.ready();
    await pool.end();
    await expect(pool.ready()).rejects.toThrow('Cannot use a pool after calling end on the pool');
  });

  it('works for a plain host, too', async () => {
    const plain = new Pool(webscaler.plainOptions());
    await plain.ready();
    expect(plain.idleCount).toBe(1);
    await plain.end();
  });
});

describe('serving', () => {
  it('is true before the first query, and false once the pool ends', async () => {
    const pool = webscaler.pool();
    expect(pool.status().serving).toBe(true);
    await pool.query('select 1');
    await pool.end();
    expect(pool.status().serving).toBe(false);
  });

  it('becomes true again in an unused pool, after its server was away', async () => {
    const { primary } = webscaler.pair;
    const pool = webscaler.pool({ failoverTimeoutMillis: 3_000 });
    await pool.query('select 1');
    await primary.stop('immediate');
    await expect(pool.query('select 1')).rejects.toThrow();
    expect(pool.status().serving).toBe(false);
    await primary.start();
    await expect.poll(() => pool.status().serving, soon).toBe(true);
  });
});

it('a process warning says what was tried when callers have waited for two seconds, once', async () => {
  using collected = collectWarnings();
  const pool = webscaler.pool({ port: closedPort, failoverTimeoutMillis: 5_000 });
  const warning = once(process, 'warning');
  await Promise.all([
    warning,
    expect(pool.query('select 1')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT' }),
    expect(pool.query('select 1')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT' }),
  ]);
  const ours = collected.warnings;
  expect(ours).toHaveLength(1);
  expect(ours[0]).toMatchObject({ code: 'EXTERNALNAME_NO_SERVER' });
  expect(ours[0]?.message).toMatch(
    /^webscaler-db: callers have been waiting for 2 s, because no usable server was found\./,
  );
  expect(ours[0]?.detail).toMatch(/connect primary-db\.example\.com \S+:1 failed: connect ECONNREFUSED/);
});
