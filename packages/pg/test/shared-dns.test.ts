import { setTimeout as pause } from 'node:timers/promises';
import { LocalCluster } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { type FakePostgres, obliging, startFakePostgres } from './support/fake-postgres.ts';

let cluster: LocalCluster;
let server: FakePostgres;
const pools: Pool[] = [];

beforeAll(async () => {
  server = await startFakePostgres({ script: obliging() });
  cluster = await LocalCluster.start({
    ttlSeconds: 2,
    services: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
      },
    ],
    hosts: { 'primary-db.example.com': ['127.0.0.1'] },
  });
});

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => (pool.ending ? undefined : pool.end())));
});

afterAll(async () => {
  await cluster?.close();
  await server?.[Symbol.asyncDispose]();
});

function poolOf(overrides: PoolOptions = {}): Pool {
  const options = server.options({
    service: 'webscaler-db',
    allowedTargets: ['primary-db.example.com'],
    dns: { nameservers: [cluster.nameserver] },
    failoverTimeoutMillis: 0,
    endTimeoutMillis: 1_000,
    ...overrides,
  });
  const pool = new Pool({ ...options, source: undefined });
  pools.push(pool);
  return pool;
}

const questions = () => cluster.queries().length;

describe('pools of one process that follow one Service (issue 14)', () => {
  it('ask one question a TTL for each family, however many they are', async () => {
    const fifty = Array.from({ length: 50 }, () => poolOf());
    await Promise.all(fifty.map((pool) => pool.query('select 1')));
    const before = questions();
    const begun = performance.now();
    await pause(6_000);
    const asked = questions() - before;
    // Each TTL is of two seconds, and has a question for A and one for AAAA.
    const ttls = (performance.now() - begun) / 2_000;
    expect(asked).toBeLessThanOrEqual(2 * Math.ceil(ttls) + 2);
    expect(asked).toBeGreaterThanOrEqual(4);
  });

  it('leave nothing that asks when the last one ends', async () => {
    const [first, second] = [poolOf(), poolOf()];
    await Promise.all([first.query('select 1'), second.query('select 1')]);
    await first.end();
    await expect(second.query('select 1')).resolves.toBeDefined();
    await second.end();
    const before = questions();
    await pause(2_500);
    expect(questions()).toBe(before);
    const kinds = process.getActiveResourcesInfo();
    const asked = poolOf();
    await asked.query('select 1');
    await asked.end();
    expect(process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWrap').length).toBeLessThanOrEqual(
      kinds.filter((kind) => kind === 'UDPWrap').length,
    );
  });

  it('do not share a policy: what one refuses the other follows', async () => {
    const [open, closed] = [poolOf(), poolOf({ allowedTargets: ['secondary-db.example.com'] })];
    const results = await Promise.allSettled([open.query('select 1'), closed.query('select 1')]);
    expect(results).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'ERR_EXTERNALNAME_TARGET_REFUSED' } },
    ]);
    await expect(open.query('select 1')).resolves.toBeDefined();
  });

  it('do not share errors: each has its own, with what that pool met', async () => {
    const service = 'nowhere';
    const tenants = [poolOf({ service, user: 'first' }), poolOf({ service, user: 'second' })];
    const errors = await Promise.all(
      tenants.map((pool) =>
        pool.query('select 1').then(
          () => expect.unreachable(),
          (error: Error & { recentEvents?: object }) => error,
        ),
      ),
    );
    const [first, second] = errors as (Error & { recentEvents?: object })[];
    expect(errors).toMatchObject([
      { code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND' },
      { code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND' },
    ]);
    expect(first).not.toBe(second);
    expect(first?.recentEvents).toBeDefined();
    expect(first?.recentEvents).not.toBe(second?.recentEvents);
  });

  it('with DNS options of their own ask for themselves', async () => {
    const [first, second] = [poolOf(), poolOf({ dns: { nameservers: [cluster.nameserver], timeoutMillis: 1_999 } })];
    const before = questions();
    await first.query('select 1');
    const asked = questions() - before;
    await second.query('select 1');
    expect(questions() - before).toBe(2 * asked);
  });
});
