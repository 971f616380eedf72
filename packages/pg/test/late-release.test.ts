import { once } from 'node:events';
import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { breakAll, start, turn } from './support/pool-on-fake.ts';

describe('a client that is released late', () => {
  it.each([
    ['after it was cut by a switch', 'cut'],
    ['after its connection ended', 'ended'],
  ])('%s: costs no place, and is not lent to another caller', async (_, how) => {
    const { pool, server, switchTo } = await start({ max: 1, drainTimeoutMillis: 10 });
    const client = await pool.connect();
    client.on('error', () => undefined);
    if (how === 'cut') {
      client.query('begin').catch(() => undefined);
      await switchTo('secondary-db.example.com');
      await pool.drained();
    } else {
      const removed = once(pool, 'remove');
      breakAll(server);
      await removed;
    }
    const next = await pool.connect();
    expect(next).not.toBe(client);
    client.release();
    expect(() => client.release()).toThrow('already been released');
    expect(pool.totalCount).toBe(1);
    next.release();
    await Promise.all([pool.query('select 1'), pool.query('select 1')]);
    expect(pool.totalCount).toBe(1);
  });

  it.each(['before', 'after'])(
    'is not waited for by end() if its connection broke %s that was called',
    async (when) => {
      // No time passes: the end does not come by a timeout.
      const { pool, server } = await start({ max: 2 }, undefined, { clock: new ManualClock() });
      const removed: unknown[] = [];
      pool.on('remove', (client) => removed.push(client));
      const client = await pool.connect();
      client.on('error', () => undefined);
      const breakIt = async () => {
        const gone = once(pool, 'remove');
        breakAll(server);
        await gone;
      };
      if (when === 'before') await breakIt();
      const over = pool.end();
      if (when === 'after') await breakIt();
      await over;
      expect(removed).toEqual([client]);
      client.release();
      expect(removed).toHaveLength(1);
    },
  );

  it('after the end of the pool: does nothing any more', async () => {
    const { pool } = await start({ max: 1, endTimeoutMillis: 50 });
    const client = await pool.connect();
    client.on('error', () => undefined);
    await pool.end();
    client.release();
    await turn();
  });
});
