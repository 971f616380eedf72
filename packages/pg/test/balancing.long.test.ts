import { setTimeout as pause } from 'node:timers/promises';
import type { PostgresServer } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pool } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// Two real servers behind one name: the standby replays what the primary writes.
let webscaler: Webscaler;
const host = 'replicas.example.com';

beforeAll(async () => {
  webscaler = await startWebscaler();
  const { cluster, pair } = webscaler;
  cluster.hosts.set(host, Object.values(pair.addresses));
});

afterAll(async () => {
  await webscaler[Symbol.asyncDispose]();
});

function replicas(max = 8): Pool {
  const { cluster, pair } = webscaler;
  // The certificates name the two servers, not the name that both have here.
  return webscaler.pool({
    service: undefined,
    connectionString: `postgres://${pair.user}:${pair.password}@${host}:${pair.port}/${pair.database}?sslmode=require&uselibpqcompat=true`,
    allowedTargets: [host],
    dns: { nameservers: [cluster.nameserver] },
    ssl: undefined,
    targetSessionAttrs: 'any',
    balancing: 'round-robin',
    slowStartMillis: 2_000,
    max,
  });
}

const read = { text: 'select host(inet_server_addr()) as address', idempotent: true };

interface Reads {
  readonly counts: Readonly<Record<string, number>>;
  readonly millis: readonly number[];
  readonly failed: number;
}

/** Reads with some workers until it is told to stop, or as many as it is told. */
function load(
  pool: Pool,
  workers: number,
  most = Number.POSITIVE_INFINITY,
): { stop(): Promise<Reads>; done: Promise<Reads> } {
  const counts: Record<string, number> = {};
  const millis: number[] = [];
  let failed = 0;
  let left = most;
  let isOver = false;
  const work = async () => {
    while (!isOver && left-- > 0) {
      const startedAt = performance.now();
      try {
        const { rows } = await pool.query<{ address: string }>(read);
        const address = rows[0]?.address ?? '';
        counts[address] = (counts[address] ?? 0) + 1;
      } catch {
        failed += 1;
      }
      millis.push(performance.now() - startedAt);
    }
  };
  const done = Promise.all(Array.from({ length: workers }, work)).then(() => ({ counts, millis, failed }));
  return {
    done,
    stop: () => {
      isOver = true;
      return done;
    },
  };
}

function percentile(values: readonly number[], percent: number): number {
  return [...values].sort((one, other) => one - other)[Math.floor((values.length * percent) / 100)] ?? 0;
}

/** Reads while `harm` is done to one of the servers, and until its share is back. */
async function readThrough(
  harm: (server: PostgresServer) => Promise<unknown>,
  mend: (server: PostgresServer) => Promise<unknown>,
) {
  await using pool = replicas();
  const server = webscaler.pair.servers[1];
  await load(pool, 4, 500).done;
  const reads = load(pool, 8);
  await pause(1_000);
  await harm(server);
  await pause(6_000);
  await mend(server);
  await expect.poll(() => shareOf(pool, server), { timeout: 30_000 }).toBeCloseTo(0.5, 1);
  const through = await reads.stop();
  const after = await load(pool, 4, 2_000).done;
  return { through, after, server };
}

function shareOf(pool: Pool, { address }: PostgresServer): number {
  return pool.status().addresses.find((each) => each.address === address)?.share ?? 0;
}

describe('two replicas behind one name', () => {
  it.each([4, 8])(
    'share 100,000 queries of %i callers within 5 percent',
    async (workers) => {
      // Twice as many connections as callers: one to each server is idle at any moment, so that each query has the choice.
      await using pool = replicas(2 * workers);
      const { counts, failed } = await load(pool, workers, 100_000).done;
      expect(failed).toBe(0);
      for (const { address } of webscaler.pair.servers)
        expect(Math.abs((counts[address] ?? 0) - 50_000)).toBeLessThan(2_500);
    },
    300_000,
  );

  it.each<[string, (server: PostgresServer) => Promise<unknown>, (server: PostgresServer) => Promise<unknown>]>([
    ['killed', (server) => server.kill(), (server) => server.start()],
    ['frozen', (server) => server.freeze(), (server) => server.thaw()],
  ])('fail no read while one of them is %s, and share again when it is back', async (_, harm, mend) => {
    const { through, after, server } = await readThrough(harm, mend);
    expect(through.failed).toBe(0);
    // On a machine that does nothing else.
    if (process.env['READ_LIMITS'] === '1') expect(percentile(through.millis, 99)).toBeLessThan(1_000);
    expect(Math.abs((after.counts[server.address] ?? 0) - 1_000)).toBeLessThan(100);
  });
});
