import { setTimeout as sleep } from 'node:timers/promises';
import { StaticTargetSource } from '@externalname/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BalancedPool, outcomeOf, type Pool, type PoolOptions } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// The real servers: a primary, and a standby that replays what it writes.
let webscaler: Webscaler;
/** The name that has both addresses. */
const host = 'replicas.example.com';

beforeEach(async () => {
  webscaler = await startWebscaler({ synchronous: true });
  const { cluster, pair } = webscaler;
  cluster.hosts.set(host, Object.values(pair.addresses));
}, 120_000);

afterEach(() => webscaler?.[Symbol.asyncDispose]());

/** A pool for the name that has both. The certificates name the two servers, not that name. */
function poolOfBoth(overrides: PoolOptions): Pool {
  const { cluster, pair } = webscaler;
  return webscaler.pool({
    service: undefined,
    connectionString: `postgres://${pair.user}:${pair.password}@${host}:${pair.port}/${pair.database}?sslmode=require&uselibpqcompat=true`,
    allowedTargets: [host],
    dns: { nameservers: [cluster.nameserver] },
    ssl: undefined,
    ...overrides,
  });
}

/** Where reads go, until it is ended. */
function reading(pool: Pick<Pool, 'query'>, workers = 4) {
  const counts = { standby: 0, primary: 0 };
  const failures: unknown[] = [];
  let isOver = false;
  const work = async () => {
    while (!isOver) {
      await pool.query({ text: 'select pg_is_in_recovery() as standby', idempotent: true }).then(
        ({ rows: [row] }) => {
          counts[row.standby ? 'standby' : 'primary'] += 1;
        },
        (error: unknown) => failures.push(error),
      );
      await sleep(2);
    }
  };
  const done = Promise.all(Array.from({ length: workers }, work));
  return {
    counts,
    failures,
    /** Waits for reads at one of the two alone. */
    async only(server: 'standby' | 'primary') {
      const other = server === 'standby' ? 'primary' : 'standby';
      await expect
        .poll(
          async () => {
            Object.assign(counts, { standby: 0, primary: 0 });
            await sleep(500);
            return counts[server] > 0 && counts[other] === 0;
          },
          { timeout: 30_000, interval: 100 },
        )
        .toBe(true);
    },
    end: async () => {
      isOver = true;
      await done;
    },
  };
}

describe('a role that is preferred or wanted, outside a reader', () => {
  it('prefer-standby reads from the standby, from the primary while it is killed, and from the standby again', async () => {
    const pool = poolOfBoth({ targetSessionAttrs: 'prefer-standby', balancing: 'round-robin', slowStartMillis: 0 });
    const reads = reading(pool);
    await reads.only('standby');
    await webscaler.pair.standby.kill();
    await reads.only('primary');
    await webscaler.pair.standby.start();
    await reads.only('standby');
    await reads.end();
    expect(reads.failures).toEqual([]);
  });

  it('read-only stays on a standby when the servers change roles', async () => {
    const pool = poolOfBoth({ targetSessionAttrs: 'read-only' });
    const reads = reading(pool);
    await reads.only('standby');
    await expect(pool.query('create table refused (id int)')).rejects.toMatchObject({ code: '25006' });
    const before = webscaler.pair.standby.address;
    await webscaler.pair.switchover();
    expect(webscaler.pair.standby.address).not.toBe(before);
    await reads.only('standby');
    await reads.end();
    expect(reads.failures).toEqual([]);
  });
});

describe('a reader that balances over a name with both', () => {
  it('leaves a standby that lags, and comes back when it has caught up', async () => {
    const { pair } = webscaler;
    const pool = poolOfBoth({
      targetSessionAttrs: 'read-write',
      slowStartMillis: 0,
      reader: { balancing: 'round-robin', maxLagBytes: 100_000, lagCheckMillis: 200 },
    });
    await pool.query('create table readings (id int primary key, value text not null)');
    const reads = reading(pool.reader);
    await reads.only('standby');
    await pair.standby.query('select pg_wal_replay_pause()');
    await pool.query("insert into readings select id, repeat('x', 1000) from generate_series(1, 1000) as id");
    await reads.only('primary');
    expect(pool.status().reader?.replicas).toContainEqual(expect.objectContaining({ lagging: true }));
    await pair.standby.query('select pg_wal_replay_resume()');
    await reads.only('standby');
    await reads.end();
    expect(reads.failures).toEqual([]);
  });
});

describe('transactions of a pool over two Services', () => {
  it('go on at the other one after a failover, none is lost, and none is done twice', async () => {
    const { pair } = webscaler;
    const [primary, secondary] = [pair.primary, pair.standby];
    const { service: _, ...shared } = webscaler.options({ max: 5, failoverTimeoutMillis: 30_000 });
    await using pool = new BalancedPool({
      ...shared,
      services: [
        { name: 'first', source: new StaticTargetSource(primary.hostName) },
        { name: 'second', source: new StaticTargetSource(secondary.hostName), priority: 1 },
      ],
    });
    await pool.query('create table orders (id int primary key)');
    const acknowledged: number[] = [];
    const failures: { id: number; outcome: unknown }[] = [];
    let [nextId, isOver] = [0, false];
    const worker = async () => {
      while (!isOver) {
        const id = nextId++;
        await pool
          .transaction(async (tx) => {
            await tx.query('insert into orders values ($1)', [id]);
            await tx.query('select count(*) from orders');
          })
          .then(
            () => acknowledged.push(id),
            (error: unknown) => failures.push({ id, outcome: outcomeOf(error) }),
          );
        await sleep(2);
      }
    };
    const work = Promise.all(Array.from({ length: 8 }, worker));
    await sleep(1_000);
    const before = acknowledged.length;
    await primary.kill();
    await secondary.promote();
    await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(before + 50);
    isOver = true;
    await work;

    const { rows } = await pool.query<{ id: number }>('select id from orders');
    const stored = new Set(rows.map(({ id }) => id));
    expect(rows).toHaveLength(stored.size);
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
    // A COMMIT that was under way when the server died: at most one for each connection.
    expect(failures.filter(({ outcome }) => outcome !== 'unknown')).toEqual([]);
    expect(failures.length).toBeLessThanOrEqual(5);
    expect(pool.status().services.find(({ name }) => name === 'first')).toMatchObject({ setAside: true });
  });
});
