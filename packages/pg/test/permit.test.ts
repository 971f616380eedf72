import * as genericPool from 'generic-pool';
import { describe, expect, it } from 'vitest';
import { gate, start, turn } from './support/pool-on-fake.ts';

describe('a place in the pool', () => {
  it('is free again after a statement that pg throws on', async () => {
    const { pool } = await start({ max: 1, connectionTimeoutMillis: 10_000 });
    await expect(pool.query({ text: 'select 1', name: 5 as unknown as string })).rejects.toThrow();
    await pool.query('select 1');
  });

  it('counts once while its connection is prepared', async () => {
    const counts: number[] = [];
    const { pool } = await start({ max: 1, onConnect: () => void counts.push(pool.totalCount) });
    await pool.query('select 1');
    expect(counts).toEqual([1]);
    expect(pool.totalCount).toBe(1);
  });

  it('is not exceeded by the connection that a switch began with', async () => {
    let hooks = 0;
    const [second, hookOver] = [gate(), gate()];
    const { pool, switchTo } = await start({
      max: 1,
      idleTimeoutMillis: 0,
      reconnectSpreadMillis: 0,
      onConnect: async () => {
        hooks += 1;
        if (hooks === 1) return;
        second.open();
        await hookOver.opened;
      },
    });
    const client = await pool.connect();
    client.on('error', () => undefined);
    const waiting = pool.query('select 1').then(() => pool.query('select 1'));
    await switchTo('secondary-db.example.com');
    await second.opened;
    await turn();
    expect([hooks, pool.totalCount]).toEqual([2, 1]);
    hookOver.open();
    await waiting;
    client.release();
    expect([hooks, pool.totalCount]).toEqual([2, 1]);
  });
});

describe('callers who gave up waiting for a place', () => {
  it('leave nothing behind, and the place goes to the first caller that still waits', async () => {
    const { pool } = await start({ max: 1, connectionTimeoutMillis: 1_000 });
    await pool.query('select 1');
    const client = await pool.connect();
    const { asked, stop } = countRequests();
    const givenUp = await Promise.allSettled(Array.from({ length: 200 }, () => pool.query('select 1')));
    expect(givenUp.every(({ status }) => status === 'rejected')).toBe(true);
    await Promise.allSettled(Array.from({ length: 200 }, () => pool.query('select 1')));
    // Once for the place that there is, however many wait for it.
    expect(asked()).toBeLessThanOrEqual(1);
    stop();
    const order: number[] = [];
    const later = [1, 2, 3].map((n) => pool.query('select 1').then(() => order.push(n)));
    client.release();
    await Promise.all(later);
    expect(order).toEqual([1, 2, 3]);
  });
});

describe('maxWaiting', () => {
  it('0 serves callers that need not wait', async () => {
    const { pool } = await start({ max: 1, maxWaiting: 0 });
    await pool.query('select 1');
    const client = await pool.connect();
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TOO_MANY_WAITING' });
    client.release();
  });
});

/** Counts how often a place is asked for while the pool is full. */
function countRequests() {
  const original = genericPool.Pool.prototype.acquire;
  let count = 0;
  genericPool.Pool.prototype.acquire = function (this: genericPool.Pool<unknown>, priority?: number) {
    count += 1;
    return original.call(this, priority);
  };
  return {
    asked: () => count,
    stop: () => {
      genericPool.Pool.prototype.acquire = original;
    },
  };
}
