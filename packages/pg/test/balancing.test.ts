import { afterEach, describe, expect, it } from 'vitest';
import { addressEjected, Pool, type PoolOptions } from '../src/index.ts';
import { closeServers, severalServers } from './support/several-servers.ts';

afterEach(closeServers);

const three = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];

async function withThree(overrides: PoolOptions) {
  const { options, ...rest } = severalServers();
  for (const address of three) await rest.up(address);
  const pool = new Pool(options({ max: 6, slowStartMillis: 0, ...overrides }));
  return { pool, ...rest };
}

/** Runs queries until what they lead to is as wanted. */
async function settles(pool: Pool, isSettled: () => boolean) {
  await expect
    .poll(
      async () => {
        await pool.query('select 1');
        return isSettled();
      },
      { interval: 5, timeout: 10_000 },
    )
    .toBe(true);
}

describe('a pool for a name with several addresses', () => {
  it('uses one connection, the last one, if nothing is said', async () => {
    const { pool, run, open } = await withThree({});
    await using _ = pool;
    expect(await run(pool, 30)).toEqual({ '127.0.0.1': 30 });
    expect(open()).toEqual({ '127.0.0.1': 1, '127.0.0.2': 0, '127.0.0.3': 0 });
    expect(pool.status().addresses).toEqual([]);
  });

  it.each(['round-robin', 'least-connections'] as const)(
    '%s shares queries equally, one after the other',
    async (balancing) => {
      const { pool, run, open } = await withThree({ balancing });
      await using _ = pool;
      await settles(pool, () => Object.values(open()).every((count) => count > 0));
      const counts = await run(pool, 300);
      for (const address of three) expect(counts[address]).toBeGreaterThanOrEqual(99);
    },
  );

  it.each(['random', 'round-robin', 'least-connections'] as const)(
    '%s shares queries of many callers',
    async (balancing) => {
      const { pool, run, open } = await withThree({ balancing });
      await using _ = pool;
      await run(pool, 100, 6);
      await settles(pool, () => Object.values(open()).every((count) => count === 2));
      const counts = await run(pool, 3_000, 4);
      for (const address of three)
        expect(Math.abs((counts[address] ?? 0) - 1_000)).toBeLessThan(balancing === 'random' ? 150 : 50);
    },
  );

  it('never has more than max connections', async () => {
    const { pool, run, open } = await withThree({ balancing: 'round-robin', max: 4 });
    await using _ = pool;
    await run(pool, 300, 12);
    const total = Object.values(open()).reduce((sum, count) => sum + count, 0);
    expect(total).toBeLessThanOrEqual(4);
    expect(pool.totalCount).toBeLessThanOrEqual(4);
  });

  it('leaves an address that is lost at once, and shares again when it is back', async () => {
    const { pool, run, open, counts, down, up } = await withThree({ balancing: 'round-robin' });
    await using _ = pool;
    const told: (string | undefined)[] = [];
    using __ = { [Symbol.dispose]: addressEjected.subscribe(({ ejected }) => told.push(ejected)) };
    await settles(pool, () => Object.values(open()).every((count) => count > 0));
    await down('127.0.0.2');
    const without = await run(pool, 300, 3);
    expect(without['127.0.0.2']).toBe(0);
    expect(pool.status()).toMatchObject({ serving: true });
    expect(pool.status().addresses).toContainEqual(
      expect.objectContaining({ address: '127.0.0.2', share: 0, ejected: 'unreachable' }),
    );
    await up('127.0.0.2');
    // Not as soon as a socket is open: it may be that of an attempt that was refused just before.
    await settles(pool, () => (counts['127.0.0.2'] ?? 0) > 0);
    const again = await run(pool, 300);
    for (const address of three) expect(again[address]).toBeGreaterThanOrEqual(95);
    expect(told).toEqual(['unreachable', undefined]);
  });

  it('counts the queries that each address has answered, and those that failed because of it', async () => {
    const { pool, run, open, counts, down } = await withThree({ balancing: 'round-robin' });
    await using _ = pool;
    await settles(pool, () => Object.values(open()).every((count) => count > 0));
    const before = Object.fromEntries(pool.status().addresses.map((each) => [each.address, each.answered]));
    const served = await run(pool, 300);
    const after = pool.status().addresses.map((each) => [each.address, each.answered - (before[each.address] ?? 0)]);
    expect(Object.fromEntries(after)).toEqual(served);
    const [asked] = [pool.query('hang').catch(() => undefined)];
    await expect.poll(() => Object.values(counts).reduce((sum, count) => sum + count)).toBe(301);
    for (const address of three) await down(address);
    await asked;
    const failed = pool.status().addresses.map(({ failedRequests }) => failedRequests);
    expect(failed.reduce((sum, count) => sum + count)).toBe(1);
  });

  it('gives an address that joins the name its share, from the connections of the others', async () => {
    const { options, up, run, open } = severalServers();
    await up('127.0.0.1');
    await up('127.0.0.2');
    await using pool = new Pool(options({ balancing: 'least-connections', max: 6, slowStartMillis: 0 }));
    await run(pool, 100, 6);
    await up('127.0.0.3');
    await settles(pool, () => Object.values(open()).every((count) => count === 2));
    expect(Object.keys(open())).toEqual(three);
  });

  it.each<[string, PoolOptions, string]>([
    ['an unknown strategy', { balancing: 'fastest' as 'random' }, 'balancing'],
    ['a slow start below 0', { balancing: 'random', slowStartMillis: -1 }, 'slowStartMillis'],
    [
      'a percentage above 100',
      { outlierDetection: { maxEjectionPercent: 101 } },
      'outlierDetection.maxEjectionPercent',
    ],
    [
      'a longest ejection below the first',
      { outlierDetection: { baseEjectionMillis: 10, longestEjectionMillis: 9 } },
      'outlierDetection.longestEjectionMillis',
    ],
    ['a plain host', { host: 'db.example.com', balancing: 'random' }, 'balancing'],
  ])('is refused before anything is opened: %s', (_, overrides, argument) => {
    const service = overrides.host === undefined ? { service: 'webscaler-db', allowedTargets: 'any' as const } : {};
    expect(() => new Pool({ ...service, ...overrides })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });
});
