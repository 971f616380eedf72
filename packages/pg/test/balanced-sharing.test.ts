import { setTimeout as sleep } from 'node:timers/promises';
import { StaticTargetSource } from '@externalname/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BalancedPool, type BalancedPoolOptions, outcomeOf, serviceEjected } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// Two real servers that know nothing of each other, each as a Service.
let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler({ synchronous: false });
  const { pair } = webscaler;
  await pair.standby.promote();
  for (const server of pair.servers) {
    await server.query('create table items (id int not null)', [], { database: pair.database });
    await server.query('grant all on items to app', [], { database: pair.database });
  }
});
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => (pool.ending ? undefined : pool.end())));
});
afterAll(() => webscaler?.[Symbol.asyncDispose]());

const pools: BalancedPool[] = [];
function balanced(overrides: Partial<BalancedPoolOptions> = {}): BalancedPool {
  const { service: _, ...shared } = webscaler.options();
  const services = webscaler.pair.servers.map(({ hostName }, index) => ({
    name: ['one', 'two'][index] ?? '',
    source: new StaticTargetSource(hostName),
  }));
  const pool = new BalancedPool({
    ...shared,
    services,
    max: 2,
    pipelining: 16,
    statementCache: 20,
    slowStartMillis: 0,
    failbackAfterMillis: 300,
    endTimeoutMillis: 20_000,
    ...overrides,
  });
  pools.push(pool);
  return pool;
}
const aside = (pool: BalancedPool) =>
  pool
    .status()
    .services.filter(({ setAside }) => setAside)
    .map(({ name }) => name);
/** A client of each Service, however long a busy machine takes to connect. */
const connectToEach = (pool: BalancedPool) =>
  Promise.all(pool.status().services.map(({ name }) => pool.service(name)?.connect()));
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);
/** How often each id is there, on both servers together. */
async function stored(): Promise<ReadonlyMap<number, number>> {
  const { servers, database } = webscaler.pair;
  const counts = new Map<number, number>();
  for (const server of servers) {
    for (const { id } of await server.query<{ id: number }>('select id from items', [], { database }))
      counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}
/** How many sessions are at a statement with that text. */
async function running(text: string): Promise<number> {
  const rows = await Promise.all(
    webscaler.pair.servers.map((server) =>
      server.query(
        "select pid from pg_stat_activity where state = 'active' and query like $1 and pid <> pg_backend_pid()",
        [`%${text}%`],
      ),
    ),
  );
  return rows.flat().length;
}

const readOf = (pool: BalancedPool) => async (own: number) => {
  const { rows } = await pool.query({ text: 'select $1::int as own', values: [own], idempotent: true });
  return rows[0]?.own;
};

describe('a pool over several Services that shares connections', () => {
  it('does not take a Service for lost because its connections are all lent', async () => {
    const pool = balanced({ max: 1, tryNextAfterMillis: 50 });
    const told: unknown[] = [];
    const stop = serviceEjected.subscribe(({ service, ejected }) => told.push([service, ejected]));
    const clients = await connectToEach(pool);
    const answer = pool.query('select 1 as one');
    // It asks both, and both again.
    await sleep(400);
    expect(aside(pool)).toEqual([]);
    for (const client of clients) client?.release();
    expect((await answer).rows).toEqual([{ one: 1 }]);
    expect(told).toEqual([]);
    stop();
  });

  it('refuses a caller at once if no Service lets more of them wait', async () => {
    const pool = balanced({ max: 1, maxWaiting: 1, tryNextAfterMillis: 60_000 });
    const clients = [await pool.connect(), await pool.connect()];
    const answers = numbers(2).map(readOf(pool));
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TOO_MANY_WAITING' });
    for (const client of clients) client.release();
    expect(await Promise.all(answers)).toEqual(numbers(2));
  });

  it('asks others while a Service is paused, and waits while all are', async () => {
    const pool = balanced({ tryNextAfterMillis: 60_000 });
    await pool.service('one')?.pause();
    expect(await Promise.all(numbers(100).map(readOf(pool)))).toEqual(numbers(100));
    await pool.service('two')?.pause();
    const answers = Promise.all(numbers(100).map(readOf(pool)));
    expect(pool.waitingCount).toBe(100);
    pool.service('one')?.resume();
    pool.service('two')?.resume();
    expect(await answers).toEqual(numbers(100));
    expect(aside(pool)).toEqual([]);
  });

  it('is harmed by no listener that throws', async () => {
    const thrown: unknown[] = [];
    const collect = (error: unknown) => thrown.push(error);
    process.on('uncaughtException', collect);
    try {
      const pool = balanced({ max: 1 });
      for (const event of ['connect', 'acquire', 'release', 'remove'] as const) {
        pool.on(event, () => {
          throw new Error(event);
        });
      }
      for (const _ of numbers(3)) {
        expect(await Promise.all(numbers(50).map(readOf(pool)))).toEqual(numbers(50));
        await pool.transaction((tx) => tx.query('select 1'));
      }
      expect(pool.status().services.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
      await pool.end();
      await expect
        .poll(() => new Set(thrown.map((error) => (error as Error).message)))
        .toEqual(new Set(['connect', 'acquire', 'release', 'remove']));
    } finally {
      process.off('uncaughtException', collect);
    }
  });

  it('ends a transaction by its signal, and its statement on the server, whichever Service has it', async () => {
    const pool = balanced({ tryNextAfterMillis: 60_000 });
    for (const _ of numbers(4)) {
      const controller = new AbortController();
      const ended = pool.transaction((tx) => tx.query("select pg_sleep(60), 'aborted'"), { signal: controller.signal });
      await expect.poll(() => running("'aborted'")).toBe(1);
      controller.abort(new Error('enough'));
      await expect(ended).rejects.toThrow('enough');
      await expect.poll(() => running("'aborted'")).toBe(0);
    }
    expect(aside(pool)).toEqual([]);
    expect(await Promise.all(numbers(100).map(readOf(pool)))).toEqual(numbers(100));
  });

  it('ends a query by query_timeout, and answers its neighbours', async () => {
    const pool = balanced({ max: 1, query_timeout: 2_000 });
    for (const client of await connectToEach(pool)) client?.release();
    const nap = (seconds: number) => pool.query('select pg_sleep($1)', [seconds]);
    // Until a text has run, no query waits behind it.
    for (const _ of numbers(10)) await nap(0);
    for (const own of numbers(10)) await readOf(pool)(own);
    const naps = numbers(2).map(() => nap(60));
    const results = await Promise.allSettled([...naps, ...numbers(40).map(readOf(pool))]);
    const failures = results.flatMap((each) =>
      each.status === 'rejected' ? [[each.reason.message, outcomeOf(each.reason)]] : [],
    );
    expect(failures).toEqual(numbers(2).map(() => ['Query read timeout', 'unknown']));
    expect(aside(pool)).toEqual([]);
    await expect.poll(() => running('pg_sleep($1)')).toBe(0);
  });

  it('waits for one to return while all are lost', async () => {
    const pool = balanced();
    await Promise.all(numbers(50).map(readOf(pool)));
    await Promise.all(webscaler.pair.servers.map((server) => server.kill()));
    const reads = Promise.all(numbers(200).map(readOf(pool)));
    await expect.poll(() => pool.status().serving).toBe(false);
    await Promise.all(webscaler.pair.servers.map((server) => server.start()));
    expect(await reads).toEqual(numbers(200));
  });

  it('loses and repeats no write, by query, client or transaction, while sessions and servers are ended', async () => {
    const pool = balanced({ query_timeout: 5_000, drainTimeoutMillis: 5_000 });
    const text = 'insert into items values ($1)';
    const ways: readonly ((id: number) => Promise<unknown>)[] = [
      (id) => pool.query(text, [id]),
      (id) => pool.transaction((tx) => tx.query(text, [id]), id % 30 === 1 ? { signal: AbortSignal.timeout(3) } : {}),
      async (id) => {
        const client = await pool.connect();
        try {
          await client.query(text, [id]);
          client.release();
        } catch (error) {
          client.release(error as Error);
          throw error;
        }
      },
    ];
    const acknowledged: number[] = [];
    const failures = new Map<number, unknown>();
    let ids = 0;
    let isOver = false;
    const work = async () => {
      while (!isOver) {
        const id = ids++;
        // Most are queries, which share.
        const way = ways[id % 6 < 3 ? 0 : id % 3];
        await way?.(id).then(
          () => acknowledged.push(id),
          (error: unknown) => failures.set(id, outcomeOf(error)),
        );
        await sleep(1);
      }
    };
    const done = Promise.all(numbers(40).map(work));
    const more = async (count: number) => {
      const before = acknowledged.length;
      await expect.poll(() => acknowledged.length - before, { timeout: 20_000 }).toBeGreaterThan(count);
    };
    const [one, two] = webscaler.pair.servers;
    await more(500);
    for (const _ of numbers(3)) {
      await one.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'");
      await more(200);
    }
    await two.kill();
    await more(200);
    await two.start();
    await expect.poll(() => aside(pool), { timeout: 20_000 }).toEqual([]);
    await more(200);
    isOver = true;
    await done;
    const rows = await stored();
    expect({
      lost: acknowledged.filter((id) => !rows.has(id)),
      twice: [...rows].filter(([, times]) => times > 1),
      wronglyNotExecuted: [...failures].filter(([id, outcome]) => outcome === 'not-executed' && rows.has(id)),
      unanswered: ids - acknowledged.length - failures.size,
    }).toEqual({ lost: [], twice: [], wronglyNotExecuted: [], unanswered: 0 });
  });
});

describe('the end of a pool over several Services', () => {
  it('serves those who came before, even those who have to go on to another Service', async () => {
    const pool = balanced({ max: 1, tryNextAfterMillis: 50 });
    await Promise.all(numbers(20).map(readOf(pool)));
    const naps = numbers(2).map(() => pool.query('select pg_sleep(0.5)'));
    const reads = numbers(200).map(readOf(pool));
    const all = Promise.all([...naps, ...reads]);
    await pool.end();
    expect((await all).slice(naps.length)).toEqual(numbers(200));
    expect([pool.ended, pool.totalCount]).toEqual([true, 0]);
  });

  it('serves those who came before if all Services are paused', async () => {
    const pool = balanced({ tryNextAfterMillis: 60_000 });
    for (const name of ['one', 'two']) await pool.service(name)?.pause();
    const reads = Promise.all(numbers(50).map(readOf(pool)));
    await pool.end();
    expect(await reads).toEqual(numbers(50));
  });

  it('comes although the application has ended the pool of one, which serves no more', async () => {
    const pool = balanced();
    await pool.query('select 1');
    await pool.service('one')?.end();
    expect(await Promise.all(numbers(10).map(readOf(pool)))).toEqual(numbers(10));
    await pool.end();
    expect([pool.ended, pool.totalCount]).toEqual([true, 0]);
  });

  it('waits for a client that is out, and for no longer than endTimeoutMillis', async () => {
    const pool = balanced({ max: 1, endTimeoutMillis: 300 });
    const clients = [await pool.connect(), await pool.connect()];
    for (const client of clients) client.on('error', () => undefined);
    const late = pool.query('select 1');
    late.catch(() => undefined);
    await pool.end();
    await expect(late).rejects.toMatchObject({
      message: expect.stringContaining('after calling end'),
      outcome: 'not-executed',
    });
    expect([pool.ended, pool.totalCount]).toEqual([true, 0]);
  });
});
