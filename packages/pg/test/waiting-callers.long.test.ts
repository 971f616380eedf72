import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connected, switched } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

describe('callers who wait for a connection while the server is away', () => {
  it('are all served by the new server after a switch, and none of them tries the old one again', async () => {
    const { cluster, pair } = webscaler;
    // Nothing listens there.
    cluster.hosts.set('primary-db.example.com', ['127.0.0.111']);
    const pool = webscaler.pool({ targetSessionAttrs: 'any', max: 10 });
    let switchedAt = Number.POSITIVE_INFINITY;
    const lateAttempts: string[] = [];
    let refused = 0;
    const subscriptions = [
      switched.subscribe(() => {
        switchedAt = performance.now();
      }),
      connected.subscribe(({ target, durationMillis, error }) => {
        if (error !== undefined) refused += 1;
        if (performance.now() - durationMillis > switchedAt) lateAttempts.push(target);
      }),
    ];
    try {
      const waiting = Array.from({ length: 10 }, () => pool.query('select host(inet_server_addr()) as address'));
      // One of them has found the old target away; all of them know it, and wait for a turn to try.
      await expect.poll(() => refused).toBeGreaterThanOrEqual(1);
      expect(pool.status().waiting).toBe(10);
      await webscaler.point('secondary-db.example.com');
      const results = await Promise.all(waiting);
      expect(new Set(results.map(({ rows }) => rows[0].address))).toEqual(
        new Set([pair.addresses['secondary-db.example.com']]),
      );
      expect(lateAttempts).not.toContain('primary-db.example.com');
    } finally {
      for (const end of subscriptions) end();
    }
  });
});
