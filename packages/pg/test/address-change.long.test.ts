import { setTimeout as pause } from 'node:timers/promises';
import { StaticTargetSource } from '@externalname/core';
import { LocalCluster, PostgresPair, type PostgresServer } from '@externalname/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type AddressesLeftEvent, addressesLeft, Client, Pool, type PoolOptions } from '../src/index.ts';

const host = 'db.example.com';
let pair: PostgresPair;
let old: PostgresServer;
let next: PostgresServer;

// Both take writes, as after a failover that did not fence the old server.
beforeAll(async () => {
  pair = await PostgresPair.start({
    synchronous: false,
    accessRules: ['host all all 127.0.0.0/8 scram-sha-256'],
  });
  [old, next] = pair.servers;
  await next.promote();
  for (const server of [old, next])
    await onServer(server, 'create table if not exists written (server text, at timestamptz)');
});

afterAll(async () => {
  await pair?.close();
});

async function onServer(server: PostgresServer, statement: string): Promise<pg.QueryResult> {
  const { user, password, database, port } = pair;
  const client = new pg.Client({ host: server.address, port, user, password, database });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A cluster whose Service `name` points to db.example.com, and what follows it. The tests run side by side. */
async function worldOf(name: string) {
  const begin = () =>
    LocalCluster.start({
      ttlSeconds: 1,
      services: [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name, namespace: 'default' },
          spec: { type: 'ExternalName', externalName: host },
        },
      ],
      hosts: { [host]: [old.address] },
    });
  const clusters = [await begin()];
  const cluster = clusters[0] as LocalCluster;
  const opened: { end(): Promise<void> }[] = [];
  const { user, password, database, port } = pair;
  const options = (overrides: PoolOptions = {}): PoolOptions => ({
    service: name,
    allowedTargets: [host],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    ssl: false,
    max: 4,
    // Else they are closed for that.
    idleTimeoutMillis: 0,
    ...{ user, password, database, port },
    ...overrides,
  });
  const told: AddressesLeftEvent[] = [];
  const stop = addressesLeft.subscribe((event) => {
    if (event.name === name) told.push(event);
  });
  return {
    cluster,
    told,
    pool: (overrides?: PoolOptions) => {
      const pool = new Pool(options(overrides));
      opened.push(pool);
      return pool;
    },
    client: () => {
      const client = new Client(options() as pg.ClientConfig);
      opened.push(client);
      return client;
    },
    /** One more nameserver, which knows the same. */
    anotherCluster: async () => {
      const another = await begin();
      clusters.push(another);
      return another;
    },
    async [Symbol.asyncDispose]() {
      stop();
      await Promise.all(opened.map((each) => each.end().catch(() => undefined)));
      await Promise.all(clusters.map((each) => each.close()));
    },
  };
}

/** Which server answers, as the port is the same: by its address. */
const whichServer = 'select host(inet_server_addr()) as address';

async function addressOf(pool: Pick<pg.Pool, 'query'>): Promise<string> {
  const { rows } = await pool.query<{ address: string }>(whichServer);
  return rows[0]?.address ?? '';
}

/** Writes from four workers until told to stop, or a server is reached and the time is up. Returns how many reached each address. */
async function writing(pool: Pool, millis: number): Promise<{ address: string; at: number }[]> {
  const until = performance.now() + millis;
  const writes: { address: string; at: number }[] = [];
  const work = async () => {
    while (performance.now() < until) {
      const { rows } = await pool.query(
        `insert into written values (host(inet_server_addr()), now()) returning server`,
      );
      writes.push({ address: rows[0].server, at: performance.now() });
      await pause(20);
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return writes;
}

describe.concurrent('a name that stands for another server now, while the old one still takes writes (issue 14)', () => {
  it('costs the old server no write any more soon after it', async ({ expect }) => {
    await using world = await worldOf('writes');
    const pool = world.pool();
    const writes = writing(pool, 15_000);
    await pause(8_000);
    world.cluster.hosts.set(host, [next.address]);
    const movedAt = performance.now();
    const late = (await writes).filter(({ address, at }) => address === old.address && at > movedAt);
    // A second until the answer is asked for again, three answers, and the proof.
    expect(Math.max(...late.map(({ at }) => at - movedAt))).toBeLessThan(7_000);
    expect((await writes).at(-1)?.address).toBe(next.address);
  });

  it('is published with what happened to the connections', async ({ expect }) => {
    await using world = await worldOf('told');
    const pool = world.pool();
    await Promise.all(Array.from({ length: 3 }, () => pool.query('select pg_sleep(0.05)')));
    const held = await pool.connect();
    world.cluster.hosts.set(host, [next.address]);
    await expect
      .poll(() => world.told, { timeout: 20_000 })
      .toEqual([{ name: 'told', target: host, addresses: [old.address], idle: 2, inUse: 1 }]);
    // The one that is held goes on, and is closed when it is given back.
    expect(await addressOf(held as unknown as pg.Pool)).toBe(old.address);
    held.release();
    expect(pool.totalCount).toBe(0);
    expect(await addressOf(pool)).toBe(next.address);
  });

  it('with "all", ends a transaction that goes on for longer than the drain time, and no sooner', async ({
    expect,
  }) => {
    await using world = await worldOf('all');
    const pool = world.pool({ retireOnAddressChange: 'all', drainTimeoutMillis: 1_000 });
    const [first, second] = [await pool.connect(), await pool.connect()];
    const errors: unknown[] = [];
    for (const client of [first, second]) {
      client.on('error', (error) => errors.push(error));
      await client.query('begin');
    }
    world.cluster.hosts.set(host, [next.address]);
    await expect.poll(() => world.told.length, { timeout: 20_000, interval: 20 }).toBe(1);
    expect(pool.status()).toMatchObject({ draining: 2, total: 0 });
    expect(await addressOf(pool)).toBe(next.address);
    await expect(first.query('commit')).resolves.toBeDefined();
    await expect.poll(() => errors.length, { timeout: 5_000 }).toBe(2);
    expect(errors).toMatchObject([
      { code: 'ERR_EXTERNALNAME_TARGET_RETIRED' },
      { code: 'ERR_EXTERNALNAME_TARGET_RETIRED' },
    ]);
    for (const client of [first, second]) client.release();
    await pool.drained();
    expect(pool.status().draining).toBe(0);
  });

  it.each<[string, () => PoolOptions]>([
    ['a host that is on the allow-list itself', () => ({ service: undefined, host })],
    ['a source that does not ask DNS', () => ({ source: new StaticTargetSource(host) })],
  ])('is found by a pool for %s', async (what, overrides) => {
    await using world = await worldOf(what.includes('host') ? 'host' : 'static');
    const pool = world.pool(overrides());
    expect(await addressOf(pool)).toBe(old.address);
    world.cluster.hosts.set(host, [next.address]);
    await vi.waitFor(async () => expect(await addressOf(pool)).toBe(next.address), { timeout: 20_000, interval: 100 });
  });

  it('with false, keeps its connections', async ({ expect }) => {
    await using world = await worldOf('false');
    const pool = world.pool({ retireOnAddressChange: false });
    await pool.query('select 1');
    await pause(3_000);
    world.cluster.hosts.set(host, [next.address]);
    await pause(12_000);
    expect(await addressOf(pool)).toBe(old.address);
  });

  it('moves a standalone client too, and what listens', async ({ expect }) => {
    await using world = await worldOf('clients');
    const pool = world.pool();
    let reconnected = false;
    await pool.listen('jobs', () => undefined, {
      onReconnect: () => {
        reconnected = true;
      },
    });
    const client = world.client();
    let ended = false;
    client.once('end', () => {
      ended = true;
    });
    client.on('error', () => undefined);
    await client.connect();
    await pause(1_000);
    world.cluster.hosts.set(host, [next.address]);
    await expect.poll(() => [ended, reconnected], { timeout: 20_000 }).toEqual([true, true]);
  });
});

describe.concurrent('a connection stays', () => {
  const sessionOf = async (pool: Pool) => (await pool.query('select pg_backend_pid() as pid')).rows;

  it('if a rotating answer does not name its address this time', async ({ expect }) => {
    await using world = await worldOf('rotating');
    const pool = world.pool();
    const before = await sessionOf(pool);
    let turn = 0;
    const rotate = setInterval(() => {
      world.cluster.hosts.set(host, [[next.address], [old.address]][turn++ % 2] ?? []);
    }, 700);
    await pause(13_000);
    clearInterval(rotate);
    expect(await sessionOf(pool)).toEqual(before);
  });

  it.each([
    ['empty', { records: [] }],
    ['NXDOMAIN', { rcode: 'NXDOMAIN' }],
    ['SERVFAIL', { rcode: 'SERVFAIL' }],
  ] as const)('if the answer is %s', async (what, entry) => {
    await using world = await worldOf(what.toLowerCase());
    const pool = world.pool();
    const before = await sessionOf(pool);
    await pause(1_500);
    world.cluster.hosts.set(host, entry);
    await pause(8_000);
    expect(await sessionOf(pool)).toEqual(before);
  });

  it('if one of two nameservers says so', async ({ expect }) => {
    await using world = await worldOf('two');
    const other = await world.anotherCluster();
    const pool = world.pool({ dns: { nameservers: [world.cluster.nameserver, other.nameserver] } });
    const before = await sessionOf(pool);
    await pause(10_000);
    world.cluster.hosts.set(host, [next.address]);
    await pause(12_000);
    expect(await sessionOf(pool)).toEqual(before);
    other.hosts.set(host, [next.address]);
    await expect.poll(() => world.told.length, { timeout: 30_000 }).toBe(1);
  }, 60_000);
});
