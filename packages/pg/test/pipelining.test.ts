import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '@externalname/core';
import type pg from 'pg';
import Cursor from 'pg-cursor';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { outcomeOf, Pool, type PoolOptions } from '../src/index.ts';
import { laneLookMillis } from '../src/pipeline/lanes.ts';
import { rejectionOf } from './support/rejection.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
  await webscaler.inDatabase('create table items (id int not null)');
});

beforeEach(async () => {
  await webscaler.inDatabase('truncate items');
});

afterEach(async () => {
  await Promise.all(webscaler.pair.servers.map((server) => server.thaw()));
  await Promise.all(pools.splice(0).map((pool) => (pool.ending ? undefined : pool.end())));
  // A server does not notice that a client has left while it sleeps, and goes on with what it has read already.
  const left =
    "select pg_terminate_backend(pid) from pg_stat_activity where query like '%''sleeper''%' and pid <> pg_backend_pid()";
  await webscaler.pair.primary.query(left);
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

// A busy machine makes any query slow now and then, and then the pool does not share it, but here it has to. Whatever else
// waits, however briefly, waits as long as it asks for.
const withoutLooks: Clock = {
  ...systemClock,
  schedule: (callback, delayMillis, options) =>
    systemClock.schedule(
      callback,
      delayMillis === laneLookMillis && options?.background ? 3_600_000 : delayMillis,
      options,
    ),
};
const pools: Pool[] = [];
const started = (options: PoolOptions, clock = withoutLooks): Pool => {
  const pool = new Pool(options, { clock });
  pools.push(pool);
  return pool;
};
const pipelined = (options: PoolOptions = {}, clock?: Clock): Pool =>
  started(webscaler.options({ pipelining: 16, ...options }), clock);
const pipelinedToHost = (options: PoolOptions = {}): Pool =>
  started(webscaler.plainOptions({ pipelining: 16, ...options }));
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);
const insert = (pool: Pool, id: number) => pool.query('insert into items values ($1)', [id]);
const stored = async () => (await webscaler.inDatabase('select id from items order by id')).map(({ id }) => id);
const soon = { timeout: 10_000 };

/** A connection with one statement that takes long, and as many behind it. */
async function behindSleeper(pool: Pool, seconds: number, work: readonly (() => Promise<unknown>)[]) {
  const sleep = (forSeconds: number) => pool.query("select pg_sleep($1), 'sleeper' as name", [forSeconds]);
  // Until a text has run, no query waits behind it.
  await sleep(0);
  await insert(pool, -1);
  await webscaler.inDatabase('truncate items');
  const sleeper = sleep(seconds);
  sleeper.catch(() => undefined);
  const behind = work.map((each) => each());
  for (const each of behind) each.catch(() => undefined);
  const sessions = () =>
    webscaler.pair.primary.query<{ pid: number }>(
      "select pid from pg_stat_activity where query like '%''sleeper''%' and state = 'active' and pid <> pg_backend_pid()",
    );
  await expect.poll(sessions, soon).toHaveLength(1);
  const [session] = await sessions();
  return { sleeper, behind, pid: session?.pid ?? 0 };
}

describe('queries on one connection', () => {
  it('each have their own answer', async () => {
    const pool = pipelined({ max: 2 });
    await pool.query('select $1::int as n', [0]);
    const answers = await Promise.all(
      numbers(200).map(async (number) => {
        const { rows } = await pool.query<{ n: number }>('select $1::int as n', [number]);
        return rows[0]?.n;
      }),
    );
    expect(answers).toEqual(numbers(200));
    expect(pool.totalCount).toBe(2);
    expect(pool.status().sharing?.shared).toBeGreaterThan(100);
    expect(pool.status()).toMatchObject({ idle: 2, sharing: { lanes: 0, inFlight: 0 } });
  });

  it('have them in every form of the call', async () => {
    const pool = pipelined({ max: 1 });
    const byCallback = new Promise((resolve) => {
      const nothing: unknown = pool.query('select 3 as n', (_error: Error, { rows }: pg.QueryResult) => resolve(rows));
      expect(nothing).toBeUndefined();
    });
    const both = await Promise.all([
      pool.query('select 1 as n').then(({ rows }) => rows),
      pool.query({ text: 'select $1::int as n', values: [2], rowMode: 'array' }).then(({ rows }) => rows),
      byCallback,
      pool.query({ name: 'four', text: 'select 4 as n' }).then(({ rows }) => rows),
    ]);
    expect(both).toEqual([[{ n: 1 }], [[2]], [{ n: 3 }], [{ n: 4 }]]);
  });

  it('each fail for themselves', async () => {
    const pool = pipelined({ max: 1 });
    const results = await Promise.allSettled(
      numbers(60).map((number) => pool.query('insert into items values (60 / $1::int)', [number % 3])),
    );
    expect(results.map(({ status }) => status === 'fulfilled')).toEqual(numbers(60).map((number) => number % 3 !== 0));
    expect(await stored()).toHaveLength(40);
    expect(pool.totalCount).toBe(1);
  });

  it('are not disturbed by a value that cannot be written, or values that are none', async () => {
    const pool = pipelined({ max: 1 });
    const unwritable = {
      toPostgres() {
        throw new Error('not to be written');
      },
    };
    const results = await Promise.allSettled([
      insert(pool, 1),
      pool.query('insert into items values ($1)', [unwritable]),
      pool.query('insert into items values (1)', 'x' as unknown as unknown[]),
      insert(pool, 2),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(await stored()).toEqual([1, 2]);
  });

  it('are not mixed up with one that is alone, and has a value that cannot be written', async () => {
    const pool = pipelined({ max: 1 });
    const unwritable = {
      toPostgres() {
        throw new Error('not to be written');
      },
    };
    for (let number = 0; number < 5; number += 1) {
      const failure = rejectionOf(pool.query('select $1::text as text', [unwritable]));
      const [{ message }, { rows }] = await Promise.all([failure, pool.query('select $1::int as n', [number])]);
      expect([message, rows]).toEqual(['not to be written', [{ n: number }]]);
      const again = failure.then(() => pool.query('select $1::int as n', [number]));
      expect((await again).rows).toEqual([{ n: number }]);
    }
  });

  it.each([
    ['an answer', 1],
    ['an error', 0],
  ])('keep their connection when one with a value that cannot be written came last, behind %s', async (_, value) => {
    const pool = pipelined({ max: 1 });
    const errors: Error[] = [];
    let connected = 0;
    pool.on('connect', () => {
      connected += 1;
    });
    pool.on('error', (error) => errors.push(error));
    const unwritable = {
      toPostgres() {
        throw new Error('not to be written');
      },
    };
    const divide = (by: unknown) => pool.query('select 10 / $1::int as n', [by]);
    await divide(1);
    for (let round = 0; round < 3; round += 1) {
      await Promise.allSettled([divide(value), divide(unwritable), divide(unwritable)]);
      expect((await divide(2)).rows).toEqual([{ n: 5 }]);
    }
    expect([connected, errors]).toEqual([1, []]);
  });

  it.each([
    ['the same connection', 1],
    ['another one', 2],
  ])('are not mixed up with one that a value asks for while it is written, on %s', async (_, max) => {
    const pool = pipelined({ max });
    const read = (value: unknown) => pool.query('select $1::int as n', [value]).then(({ rows }) => rows);
    const other = (value: number) => pool.query('select $1::int + 100 as other', [value]).then(({ rows }) => rows);
    for (let count = 0; count < 2; count += 1) await Promise.all([read(0), other(0)]);
    let within: Promise<unknown> | undefined;
    const asking = {
      toPostgres() {
        within ??= other(3);
        return 2;
      },
    };
    expect(await Promise.all([read(1), read(asking)])).toEqual([[{ n: 1 }], [{ n: 2 }]]);
    expect(await within).toEqual([{ other: 103 }]);
  });

  it('are not mixed up with one that a value of a transaction asks for while it is written', async () => {
    const pool = pipelined({ max: 2 });
    const other = () => pool.query('select $1::int + 100 as other', [3]).then(({ rows }) => rows);
    await Promise.all([other(), other()]);
    let within: Promise<unknown> | undefined;
    const asking = {
      toPostgres() {
        within ??= other();
        return 2;
      },
    };
    const { rows } = await pool.transaction((tx) => tx.query('select $1::int as n', [asking]));
    expect([rows, await within]).toEqual([[{ n: 2 }], [{ other: 103 }]]);
  });

  it('are what was asked for, whatever their callers write into the config while they wait', async () => {
    const pool = pipelined({ max: 1, statementCache: 5 });
    const one = 'select 1 as n';
    for (let count = 0; count < 4; count += 1) await pool.query(one);
    const client = await pool.connect();
    const config = { text: one };
    const waiting = pool.query(config);
    config.text = "set work_mem = '66MB'";
    client.release();
    expect((await waiting).rows).toEqual([{ n: 1 }]);
    expect((await pool.query('show work_mem')).rows).toEqual([{ work_mem: '4MB' }]);
  });

  it('fail with a stack that leads to the caller', async () => {
    const pool = pipelined({ max: 1 });
    const asksForNothing = async () => await pool.query('select nothing');
    const [error] = await Promise.all([rejectionOf(asksForNothing()), pool.query('select 1')]);
    expect(error.stack).toContain('asksForNothing');
  });

  it('keep the context of their callers', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const storage = new AsyncLocalStorage<number>();
    const pool = pipelined({ max: 1, pipelining: 2 });
    await pool.query('select 1');
    const client = await pool.connect();
    const original = client.query;
    const seen: (number | undefined)[] = [];
    client.query = function (this: pg.PoolClient, ...query: unknown[]) {
      seen.push(storage.getStore());
      return Reflect.apply(original, this, query);
    } as typeof client.query;
    client.release();
    await Promise.all(numbers(8).map((number) => storage.run(number, () => pool.query('select 1'))));
    expect(seen).toEqual(numbers(8));
  });
});

describe('what needs a connection of its own', () => {
  it('is a text under a name that another one has: it does not come behind that one', async () => {
    const pool = pipelined({ max: 1 });
    const order: string[] = [];
    const slowly = (seconds: number) => pool.query({ name: 'mine', text: 'select pg_sleep($1)', values: [seconds] });
    await slowly(0);
    const first = slowly(0.2).then(() => order.push('first'));
    const second = rejectionOf(pool.query({ name: 'mine', text: 'select pg_sleep($1) as other', values: [0] }));
    const { message } = await second;
    order.push('second');
    expect(message).toContain('must be unique');
    await first;
    expect(order).toEqual(['first', 'second']);
    expect(pool.totalCount).toBe(1);
  });

  it('gets one, in which no other caller runs anything, while others go on', async () => {
    const pool = pipelined({ max: 3 });
    let over = false;
    const others = numbers(30).map(async (number) => {
      while (!over) await insert(pool, number);
    });
    for (let round = 0; round < 10; round += 1) {
      await pool
        .transaction(async (tx) => {
          await tx.query('create temp table mine (n int)');
          await sleep(5);
          await tx.query('insert into mine values (1)');
          throw new Error('rolled back');
        })
        .catch(() => undefined);
      const client = await pool.connect();
      await client.query("set application_name = 'mine'");
      await sleep(5);
      const { rows } = await client.query('show application_name');
      expect(rows).toEqual([{ application_name: 'mine' }]);
      client.release(true);
    }
    over = true;
    await Promise.all(others);
    expect(await webscaler.inDatabase("select from pg_class where relname = 'mine'")).toEqual([]);
  });

  it('waits no longer than until one of the connections is empty', async () => {
    const pool = pipelined({ max: 1 });
    let over = false;
    const others = numbers(20).map(async () => {
      while (!over) await pool.query('select 1');
    });
    for (let count = 0; count < 20; count += 1) (await pool.connect()).release();
    over = true;
    await Promise.all(others);
    expect(pool.status()).toMatchObject({ waiting: 0, idle: 1 });
  });

  it('is a text that has not run yet', async () => {
    const pool = pipelined({ max: 1 });
    await Promise.all(numbers(10).map((number) => pool.query(`select ${number}`)));
    expect(pool.status().sharing?.shared).toBe(0);
  });

  it('is a text that was slow before: no query waits behind it', async () => {
    const pool = pipelined({ max: 2 }, systemClock);
    const slow = (seconds = 0.3) => pool.query("select pg_sleep($1), 'slow' as name", [seconds]);
    await slow();
    await pool.query('select 1');
    // Longer than a busy machine takes to open the second connection.
    let isOver = false;
    const first = rejectionOf(slow(20)).finally(() => {
      isOver = true;
    });
    await Promise.all(numbers(40).map(() => pool.query('select 1')));
    expect(isOver).toBe(false);
    await webscaler.pair.primary.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where query like '%''slow'' as name' and pid <> pg_backend_pid()",
    );
    expect(await first).toMatchObject({ code: '57014' });
  });

  it('is such a text, and however many of them come at a time, quick ones get through', async () => {
    const pool = pipelined({ max: 3 }, systemClock);
    const slow = (seconds: number) => pool.query("select pg_sleep($1), 'slow' as name", [seconds]);
    for (let count = 0; count < 2; count += 1) await Promise.all([slow(0.4), pool.query('select 1')]);
    let slowOnes = 0;
    const all = numbers(9).map(async () => {
      await slow(1);
      slowOnes += 1;
    });
    let quick = 0;
    for (; slowOnes < 4; quick += 1) await pool.query('select 1');
    expect(quick).toBeGreaterThan(20);
    await Promise.all(all);
  });
});

describe('when a process of the server is terminated', () => {
  it('what it was at is unknown, and what it had not begun goes on elsewhere, once', async () => {
    const pool = pipelined({ max: 1 });
    const { sleeper, behind, pid } = await behindSleeper(
      pool,
      60,
      numbers(5).map((id) => () => insert(pool, id)),
    );
    await webscaler.pair.primary.query('select pg_terminate_backend($1)', [pid]);
    expect(outcomeOf(await rejectionOf(sleeper))).toBe('unknown');
    await Promise.all(behind);
    expect(await stored()).toEqual(numbers(5));
  });
});

describe('when the server is killed', () => {
  it('what was sent is unknown, each with an error of its own; what was not goes on, once', async () => {
    const pool = pipelined({ max: 1, pipelining: 4 });
    const { primary } = webscaler.pair;
    const { sleeper, behind } = await behindSleeper(
      pool,
      60,
      numbers(9).map((id) => () => insert(pool, id)),
    );
    await primary.kill();
    const failures = await Promise.all([sleeper, ...behind.slice(0, 3)].map((each) => rejectionOf(each)));
    expect(new Set(failures).size).toBe(4);
    expect(failures.map(outcomeOf)).toEqual(['unknown', 'unknown', 'unknown', 'unknown']);
    for (const failure of failures) expect(failure).toBeInstanceOf(Error);
    await primary.start();
    await Promise.all(behind.slice(3));
    expect(await stored()).toEqual([3, 4, 5, 6, 7, 8]);
  });
});

describe('when the connection is lost in the turn in which the queries come', () => {
  it('queries that have left are unknown, and the others, which have not, are made elsewhere, once', async () => {
    const pool = pipelined({ max: 1 });
    const clients: pg.PoolClient[] = [];
    pool.on('acquire', (client) => clients.push(client));
    await insert(pool, -1);
    await webscaler.inDatabase('truncate items');
    const failure = rejectionOf(insert(pool, 0));
    const others = numbers(5).map((id) => insert(pool, 1 + id));
    const [client] = clients as unknown as { connection: { stream: { destroy(error: Error): void } } }[];
    client?.connection.stream.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    expect(await failure).toMatchObject({ code: 'ECONNRESET', outcome: 'unknown' });
    await Promise.all(others);
    expect((await webscaler.inDatabase('select id from items where id > 0 order by id')).map(({ id }) => id)).toEqual([
      1, 2, 3, 4, 5,
    ]);
  });
});

describe('when the server falls silent', () => {
  it('what was sent is unknown, and the pool goes on when it is back', async () => {
    const pool = pipelined({ max: 1, liveness: { afterMillis: 300, intervalMillis: 200 } });
    const { primary } = webscaler.pair;
    const { sleeper, behind } = await behindSleeper(pool, 60, [() => insert(pool, 1), () => insert(pool, 2)]);
    await primary.freeze();
    for (const each of [sleeper, ...behind]) {
      expect(await rejectionOf(each)).toMatchObject({ code: 'ERR_EXTERNALNAME_PEER_SILENT', outcome: 'unknown' });
    }
    await primary.thaw();
    await insert(pool, 3);
    expect(await stored()).toContain(3);
  });
});

describe('query_timeout', () => {
  it('ends the query that the server is at, and its neighbours notice nothing', async () => {
    const pool = pipelined({ max: 1, query_timeout: 3_000 });
    const { sleeper, behind } = await behindSleeper(
      pool,
      60,
      numbers(5).map((id) => () => insert(pool, id)),
    );
    expect(await rejectionOf(sleeper)).toMatchObject({ message: 'Query read timeout', outcome: 'unknown' });
    await Promise.all(behind);
    expect(await stored()).toEqual(numbers(5));
    await expect(pool.query('select 1')).resolves.toBeDefined();
    expect(pool.totalCount).toBe(1);
  });

  it('ends a query that has no neighbours with its connection', async () => {
    const pool = pipelined({ max: 1, query_timeout: 2_000 });
    const { sleeper, pid } = await behindSleeper(pool, 60, []);
    expect(await rejectionOf(sleeper)).toMatchObject({ message: 'Query read timeout', outcome: 'unknown' });
    await expect(pool.query('select 1')).resolves.toBeDefined();
    const left = () => webscaler.pair.primary.query('select from pg_stat_activity where pid = $1', [pid]);
    await expect.poll(left, soon).toEqual([]);
  });

  it.each([
    ['a Service', pipelined],
    ['a plain host', pipelinedToHost],
  ])('of a cursor that was read to its end does not end the queries that come after it: %s', async (_, start) => {
    const pool = start({ max: 1, query_timeout: 1_500 });
    await pool.query('select pg_sleep($1)', [0]);
    const client = await pool.connect();
    const cursor = client.query(new Cursor('select generate_series(1, 3) as n'));
    expect(await cursor.read(5)).toHaveLength(3);
    client.release();
    const until = Date.now() + 2_500;
    const asking = numbers(4).map(async () => {
      while (Date.now() < until) await pool.query('select pg_sleep($1)', [0.01]);
    });
    await Promise.all(asking);
    expect(pool.status().sharing?.shared).toBeGreaterThan(10);
  });

  it('of a single query gives it a connection of its own', async () => {
    const pool = pipelined({ max: 2 });
    const config = { text: 'select pg_sleep(60)', query_timeout: 300 } as pg.QueryConfig;
    const failure = rejectionOf(pool.query(config));
    await Promise.all(numbers(30).map((id) => insert(pool, id)));
    expect(await failure).toMatchObject({ message: 'Query read timeout' });
    expect(await stored()).toEqual(numbers(30));
  });
});

describe('a cancel', () => {
  it('concerns the query that the server is at', async () => {
    const pool = pipelined({ max: 1 });
    const { sleeper, behind, pid } = await behindSleeper(
      pool,
      60,
      numbers(5).map((id) => () => insert(pool, id)),
    );
    await webscaler.pair.primary.query('select pg_cancel_backend($1)', [pid]);
    expect(await rejectionOf(sleeper)).toMatchObject({ code: '57014' });
    await Promise.all(behind);
    expect(await stored()).toEqual(numbers(5));
  });
});

describe('a pause', () => {
  it('holds queries, also those that might share, and waits for those in flight', async () => {
    const pool = pipelined({ max: 1 });
    const { sleeper, behind } = await behindSleeper(pool, 0.3, [() => insert(pool, 1)]);
    const pausing = pool.pause();
    const held = insert(pool, 2);
    await pausing;
    await Promise.all([sleeper, ...behind]);
    expect(await stored()).toEqual([1]);
    expect(pool.status()).toMatchObject({ waiting: 1, pause: { quiet: true } });
    pool.resume();
    await held;
    expect(await stored()).toEqual([1, 2]);
  });
});

describe('end()', () => {
  it('waits for the queries in flight, and for those that wait', async () => {
    const pool = pipelined({ max: 1, pipelining: 3 });
    const { sleeper, behind } = await behindSleeper(
      pool,
      0.2,
      numbers(8).map((id) => () => insert(pool, id)),
    );
    await pool.end();
    await Promise.all([sleeper, ...behind]);
    expect(await stored()).toEqual(numbers(8));
  });
});

describe('limits of a connection', () => {
  it('max holds, whatever a listener of "acquire" asks for', async () => {
    const pool = pipelined({ max: 2 });
    await Promise.all([pool.query('select 1'), pool.query('select pg_sleep(0.01)')]);
    let most = 0;
    const within: Promise<unknown>[] = [];
    pool.on('acquire', () => {
      most = Math.max(most, pool.totalCount);
      if (within.length < 6)
        within.push(pool.query('select 2'), pool.query('select pg_sleep(0.02)'), pool.query('select 3'));
    });
    await pool.query('select 1');
    await Promise.all(within);
    expect(within.length).toBeGreaterThan(3);
    expect(Math.max(most, pool.totalCount)).toBe(2);
  });

  it('maxUses counts each query', async () => {
    const pool = pipelined({ max: 1, maxUses: 10 });
    const pids = new Set<number>();
    await Promise.all(
      numbers(100).map(async () => {
        const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
        if (rows[0] !== undefined) pids.add(rows[0].pid);
      }),
    );
    expect(pids.size).toBeGreaterThanOrEqual(10);
  });

  it('maxWaiting counts those that wait, not those that were sent', async () => {
    const pool = pipelined({ max: 1, pipelining: 4, maxWaiting: 2 });
    const briefly = () => pool.query('select pg_sleep($1)', [0.005]);
    await briefly();
    const results = await Promise.allSettled(numbers(8).map(briefly));
    const refused = results.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(2);
    expect(refused[0]).toMatchObject({ reason: { code: 'ERR_EXTERNALNAME_TOO_MANY_WAITING' } });
  });
});

// It leaves the pair the other way round, so it comes last.
describe('when the Service is pointed elsewhere', () => {
  it('the queries on a connection are answered, and those that come go to the new server', async () => {
    const pool = pipelined({ max: 2, drainTimeoutMillis: 5_000 });
    const { sleeper, behind } = await behindSleeper(pool, 0.5, [() => pool.query('select 1 as one')]);
    const { standby } = webscaler.pair;
    await standby.promote();
    await webscaler.point(standby.hostName);
    await expect.poll(() => pool.status().target?.externalName, soon).toBe(standby.hostName);
    const where = await pool.query<{ port: string }>('select inet_server_addr()::text as address');
    expect(where.rows).toEqual([{ address: expect.stringContaining(standby.address) }]);
    await expect(sleeper).resolves.toBeDefined();
    await expect(Promise.all(behind)).resolves.toBeDefined();
    await pool.drained();
  });
});
