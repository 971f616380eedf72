import { StaticTargetSource } from '@externalname/core';
import * as pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { BalancedPool, type BalancedPoolOptions, Pool, serviceEjected } from '../src/index.ts';
import { type FakePostgres, obliging, startFakePostgres } from './support/fake-postgres.ts';
import { closeServers, severalServers } from './support/several-servers.ts';

afterEach(closeServers);

const [one, two, three] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;

type Shares = readonly { readonly weight?: number; readonly priority?: number }[];

async function start(shares: Shares, overrides: Partial<BalancedPoolOptions> = {}) {
  const servers = severalServers();
  for (const address of [one, two, three].slice(0, shares.length)) await servers.up(address);
  const { source: _, ...shared } = servers.options({
    allowedTargets: ['*.example.com'],
    max: 3,
    slowStartMillis: 0,
    endTimeoutMillis: 500,
  });
  const services = shares.map((share, index) => ({ ...servers.service(`127.0.0.${index + 1}`), ...share }));
  const options = { ...shared, failoverTimeoutMillis: 5_000, ...overrides, services };
  return { ...servers, options, pool: new BalancedPool(options) };
}

/** A busy machine may take longer than the default for a connection, and the next Service would be asked, too. */
const patient = { tryNextAfterMillis: 60_000 };

describe('a pool over several Services', () => {
  it('is a pg.Pool, with its query forms, clients and counts', async () => {
    const { pool } = await start([{}, {}], patient);
    await using _ = pool;
    expect(pool).toBeInstanceOf(pg.Pool);
    expect(pool.constructor.name).toBe('BalancedPool');
    expect(await pool.query('select 1')).toMatchObject({ command: 'SELECT' });
    expect(
      await new Promise((resolve) => pool.query('select 1', (error, result) => resolve([error, result.command]))),
    ).toEqual([undefined, 'SELECT']);
    const client = await pool.connect();
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([2, 1, 0]);
    await client.query('select 1');
    client.release();
    expect([pool.totalCount, pool.idleCount]).toEqual([2, 2]);
  });

  it('emits the events of its members', async () => {
    const { pool } = await start([{}, {}], patient);
    const events: string[] = [];
    for (const event of ['connect', 'acquire', 'release', 'remove'] as const) pool.on(event, () => events.push(event));
    await pool.query('select 1');
    await pool.end();
    expect(events).toEqual(['connect', 'acquire', 'release', 'remove']);
  });

  it('shares queries by weight', async () => {
    const { pool, run } = await start([{ weight: 3 }, { weight: 1 }], patient);
    await using _ = pool;
    expect(await run(pool, 400)).toEqual({ [one]: 300, [two]: 100 });
    const counts = await run(pool, 2_000, 8);
    expect(Math.abs((counts[one] ?? 0) - 1_500)).toBeLessThan(75);
  });

  it('leaves a fallback alone while the preferred one serves', async () => {
    const { pool, run, open } = await start([{}, { priority: 1 }], patient);
    await using _ = pool;
    expect(await run(pool, 100, 4)).toEqual({ [one]: 100 });
    expect(open()[two]).toBe(0);
  });

  it('counts the queries that each Service has answered, and those that failed because of it', async () => {
    const { pool, run, down } = await start([{}, {}], patient);
    await using _ = pool;
    const served = await run(pool, 100);
    const counted = () => pool.status().services.map(({ answered, failedRequests }) => [answered, failedRequests]);
    expect(counted()).toEqual([
      [served[one], 0],
      [served[two], 0],
    ]);
    const asked = pool.query('hang').catch(() => undefined);
    await expect
      .poll(() =>
        pool
          .status()
          .services.map(({ inFlight }) => inFlight)
          .toSorted(),
      )
      .toEqual([0, 1]);
    await down(one);
    await down(two);
    await asked;
    expect(counted().reduce((sum, [, failed = 0]) => sum + failed, 0)).toBe(1);
  });

  it('goes to the next Service at once when one is lost, and says so', async () => {
    // If each query waited for the lost one first, the hundred would outlast the test.
    const patience = { tryNextAfterMillis: 2_000, failoverTimeoutMillis: 600_000 };
    const { pool, run, down } = await start([{}, { priority: 1 }], patience);
    await using _ = pool;
    const told: unknown[] = [];
    using __ = { [Symbol.dispose]: serviceEjected.subscribe(({ service, ejected }) => told.push([service, ejected])) };
    await run(pool, 10, 2);
    await down(one);
    expect((await run(pool, 100, 4))[two]).toBe(100);
    await expect
      .poll(async () => {
        await pool.query('select 1');
        return told;
      })
      .toEqual([['service-1', 'unreachable']]);
    expect(pool.status()).toMatchObject({
      serving: true,
      services: [
        { name: 'service-1', priority: 0, setAside: true, share: 0 },
        { name: 'service-2', priority: 1, setAside: false },
      ],
    });
  });

  it('goes back when the preferred one has worked for the stable time', async () => {
    const { pool, run, down, up } = await start([{}, { priority: 1 }], { failbackAfterMillis: 1_000 });
    await using _ = pool;
    await run(pool, 10, 2);
    await down(one);
    await run(pool, 10, 2);
    await up(one);
    const isBack = async () => ((await run(pool, 1))[one] ?? 0) > 0;
    await expect.poll(isBack, { timeout: 10_000, interval: 50 }).toBe(true);
    expect(await run(pool, 20)).toEqual({ [one]: 20, [two]: 0 });
  });

  it('goes back by hand alone if that is asked for, even if nothing else is left', async () => {
    const { pool, run, down, up } = await start([{}, { priority: 1 }], {
      failbackAfterMillis: 'by-hand',
      failoverTimeoutMillis: 1_000,
    });
    await using _ = pool;
    await run(pool, 10, 2);
    await down(one);
    await run(pool, 10, 2);
    expect(pool.status().services[0]?.setAside).toBe(true);
    await up(one);
    await down(two);
    await expect(pool.query({ text: 'select 1', idempotent: true })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      outcome: 'not-executed',
    });
    pool.failback('service-1');
    expect(await run(pool, 5)).toEqual({ [one]: 5, [two]: 0 });
  });

  it('waits for one to return while all are lost', async () => {
    const { pool, run, down, up } = await start([{}, {}]);
    await using _ = pool;
    await run(pool, 10, 2);
    await Promise.all([down(one), down(two)]);
    const waiting = pool.query({ text: 'select 1', idempotent: true });
    await up(two);
    await expect(waiting).resolves.toMatchObject({ command: 'SELECT' });
  });

  it('retries a statement that may have run only if it is idempotent', async () => {
    const { pool, down, counts } = await start([{}, { priority: 1 }]);
    await using _ = pool;
    const once = pool.query('hang');
    await expect.poll(() => counts[one]).toBe(1);
    await down(one);
    await expect(once).rejects.toMatchObject({ outcome: 'unknown' });
    expect(counts[two]).toBeUndefined();
    await pool.query('select 1');
    const again = pool.query({ text: 'hang', idempotent: true });
    again.catch(() => undefined);
    await expect.poll(() => counts[two]).toBe(2);
  });

  it('listens to none of them, and says how to listen to one', async () => {
    const { pool } = await start([{}]);
    await using _ = pool;
    await expect(pool.listen()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      message: expect.stringContaining('use service(name).listen()'),
    });
  });

  it('ends with all of its members', async () => {
    const { pool, run, open } = await start([{}, {}]);
    await run(pool, 10, 2);
    await pool.end();
    expect([pool.ended, pool.totalCount]).toEqual([true, 0]);
    await expect.poll(open).toEqual({ [one]: 0, [two]: 0 });
    await expect(pool.query('select 1')).rejects.toThrow('after calling end');
    await expect(pool.end()).rejects.toThrow('more than once');
  });

  it('asks a server to end the statement of a transaction before its connection is gone, whichever Service has it', async () => {
    const begun: string[] = [];
    const wasOpen: boolean[] = [];
    // The connection of the transaction comes first, and that of the request second.
    const serverAt = (address: string) =>
      startFakePostgres({
        address,
        port: first?.port,
        script: async (session) => {
          const [transaction] = servers.get(address)?.sessions ?? [];
          if (session.number > 0) wasOpen.push(transaction?.socket.readableEnded === false);
          await obliging((text) => {
            if (text !== 'hang') return undefined;
            begun.push(address);
            return new Promise(() => undefined);
          })(session);
        },
      });
    const servers = new Map<string, FakePostgres>();
    let first: FakePostgres | undefined;
    for (const address of [one, two]) {
      const server = await serverAt(address);
      servers.set(address, server);
      first ??= server;
    }
    await using pool = new BalancedPool({
      ...(await start([{}])).options,
      port: first?.port,
      liveness: false,
      tryNextAfterMillis: 60_000,
      services: [1, 2].map((number) => ({
        name: String(number),
        source: new StaticTargetSource(`host-${number}.example.com`),
      })),
    });
    for (const times of [1, 2]) {
      const controller = new AbortController();
      const ended = pool.transaction((tx) => tx.query('hang'), { signal: controller.signal });
      await expect.poll(() => begun).toHaveLength(times);
      controller.abort(new Error('enough'));
      await expect(ended).rejects.toThrow('enough');
      await expect.poll(() => wasOpen).toHaveLength(times);
    }
    expect({ begun, wasOpen }).toEqual({ begun: [one, two], wasOpen: [true, true] });
    for (const server of servers.values()) await server[Symbol.asyncDispose]();
  });

  it('is ready when one of them serves, and gives the pool of each', async () => {
    const { pool } = await start([{}, {}]);
    await using _ = pool;
    await pool.ready();
    expect(pool.service('service-2')).toBeInstanceOf(Pool);
    expect(pool.service('service-9')).toBeUndefined();
    expect(() => pool.failback('service-9')).toThrow(expect.objectContaining({ argument: 'name' }));
  });

  const source = new StaticTargetSource('host-1.example.com');
  it.each<[string, object, string]>([
    ['no Service', { services: [] }, 'services'],
    ['a weight below 0', { services: [{ source, weight: -1 }] }, 'services[0].weight'],
    ['a priority that is not whole', { services: [{ source, priority: 0.5 }] }, 'services[0].priority'],
    ['no Service with a weight', { services: [{ source, weight: 0 }] }, 'services'],
    [
      'two of one name',
      {
        services: [
          { name: 'a', source },
          { name: 'a', source },
        ],
      },
      'services[1].name',
    ],
    ['an unknown strategy', { services: [{ source }], balancing: 'fastest' }, 'balancing'],
    ['an option of one', { services: [{ source, readySessions: -1 }] }, 'services[0].readySessions'],
    ['a stable time below 0', { services: [{ source }], failbackAfterMillis: -1 }, 'failbackAfterMillis'],
    ['a patience of 0', { services: [{ source }], tryNextAfterMillis: 0 }, 'tryNextAfterMillis'],
  ])('is refused before anything is opened: %s', (_, options, argument) => {
    expect(() => new BalancedPool({ allowedTargets: 'any', ssl: false, ...options } as BalancedPoolOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });
});

describe('a pool over several Services whose queries share connections', () => {
  const sharing = { ...patient, pipelining: 16, statementCache: 10 };

  it('chooses the Service for each query, by weight, and then one of its connections', async () => {
    const { pool, run } = await start([{ weight: 3 }, { weight: 1 }], sharing);
    await using _ = pool;
    await run(pool, 40, 8);
    const before = pool.status().services.map(({ answered }) => answered);
    const counts = await run(pool, 2_000, 64);
    expect(Math.abs((counts[one] ?? 0) - 1_500)).toBeLessThan(75);
    const { services, total } = pool.status();
    expect(services.map(({ answered }, index) => answered - (before[index] ?? 0))).toEqual([counts[one], counts[two]]);
    for (const { inFlight, pool: member } of services) {
      expect(inFlight).toBe(0);
      expect(member.sharing?.shared).toBeGreaterThan(0);
    }
    expect(total).toBeLessThanOrEqual(6);
  });

  it('gives a caller of connect() a client of its own', async () => {
    const { pool, run } = await start([{}], { ...sharing, max: 1 });
    await using _ = pool;
    await run(pool, 10);
    const client = await pool.connect();
    const waiting = run(pool, 10, 10);
    expect(await client.query('select 1')).toMatchObject({ command: 'SELECT' });
    expect(pool.status().services[0]?.pool.sharing?.inFlight).toBe(0);
    client.release();
    expect(await waiting).toEqual({ [one]: 11 });
  });

  it('makes a query at the next Service that was not sent when its Service was lost, and tells of the one that was', async () => {
    const { pool, run, down, counts } = await start([{}, { priority: 1 }], { ...sharing, max: 1 });
    await using _ = pool;
    await run(pool, 10);
    const hanging = pool.query('select hang');
    hanging.catch(() => undefined);
    await expect.poll(() => counts[one]).toBe(11);
    const waiting = Array.from({ length: 20 }, () => pool.query('select 1'));
    expect(pool.waitingCount).toBe(20);
    await down(one);
    await expect(hanging).rejects.toMatchObject({ outcome: 'unknown' });
    expect(await Promise.all(waiting)).toHaveLength(20);
    expect(counts).toEqual({ [one]: 11, [two]: 20 });
    expect(pool.status().services.map(({ failedRequests }) => failedRequests)).toEqual([1, 0]);
  });

  it('loses none of the queries that may be repeated when a Service is lost under load', async () => {
    const { pool, run, down } = await start([{}, {}], sharing);
    await using _ = pool;
    await run(pool, 40, 8);
    const all = run(pool, 3_000, 64);
    await expect.poll(() => pool.status().services[0]?.inFlight).toBeGreaterThan(8);
    await down(one);
    expect((await all)[two]).toBeGreaterThan(1_000);
  });

  it('refuses a query when it has ended', async () => {
    const { pool, run } = await start([{}], sharing);
    await run(pool, 4);
    await pool.end();
    await expect(pool.query('select 1')).rejects.toThrow('after calling end');
  });
});
