import { EventEmitter } from 'node:events';
import pg from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Pool } from '../src/index.ts';
import { itSince } from './support/postgres-version.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

type Note = (what: string) => void;
/** Resolves when so many clients have been removed since the beginning, however long their sockets take to close. */
type Removals = (count: number) => Promise<void>;
type Scenario = (pool: pg.Pool, note: Note, removals: Removals) => Promise<void>;

/** What an application sees of a pool in a scenario: its events, counts and answers, in order. */
async function trace(pool: pg.Pool, scenario: Scenario): Promise<string[]> {
  const notes: string[] = [];
  const note: Note = (what) => notes.push(what);
  const counts = () => `total ${pool.totalCount} idle ${pool.idleCount} waiting ${pool.waitingCount}`;
  for (const event of ['connect', 'acquire', 'remove'] as const) {
    pool.on(event, (client) => note(`${event} ${client instanceof pg.Client}`));
  }
  const counted = { connect: 0, remove: 0 };
  for (const event of ['connect', 'remove'] as const) pool.on(event, () => counted[event]++);
  const removals: Removals = (count) =>
    new Promise((resolve) => {
      const look = () => counted.remove >= count && resolve();
      pool.on('remove', look);
      look();
    });
  pool.on('release', (error, client) => note(`release ${error?.message ?? error} ${client instanceof pg.Client}`));
  pool.on('error', (error, client) => note(`error ${error.message} ${client instanceof pg.Client}`));
  note(counts());
  await scenario(pool, (what) => note(`${what} | ${counts()}`), removals);
  if (!pool.ending) await pool.end();
  // pg.Pool says that it has ended before its sockets are closed; ours waits for them.
  await removals(counted.connect);
  await tick();
  note(`ended ${pool.ended}`);
  return notes;
}

async function expectTheSame(scenario: Scenario, options: pg.PoolConfig = {}): Promise<void> {
  const expected = await trace(new pg.Pool(webscaler.plainOptions(options)), scenario);
  const actual = await trace(new Pool(webscaler.plainOptions(options)), scenario);
  expect(actual).toEqual(expected);
  const shared = { ...webscaler.plainOptions(options), pipelining: 8, statementCache: 20 };
  expect(await trace(new Pool(shared), scenario)).toEqual(expected);
  expect(expected.length).toBeGreaterThan(3);
}

const tick = (millis = 50) => new Promise((resolve) => setTimeout(resolve, millis));

describe('seen from the application, it does what pg.Pool does with', () => {
  it('a query as text, with values, as a config, and as an array', () =>
    expectTheSame(async (pool, note) => {
      note(JSON.stringify((await pool.query('select 1 as one')).rows));
      note(JSON.stringify((await pool.query('select $1::text as name', ['x'])).rows));
      note(JSON.stringify((await pool.query({ text: 'select $1::int as n', values: [7] })).rows));
      note(JSON.stringify((await pool.query({ name: 'named', text: 'select 2 as two' })).rows));
      note(JSON.stringify((await pool.query({ text: 'select 1, 2', rowMode: 'array' })).rows));
      const both = (await pool.query('select 1 as a; select 2 as b')) as unknown as pg.QueryResult[];
      note(JSON.stringify(both.map(({ rows }) => rows)));
    }));

  it('callbacks in every form, never called from inside the call', () =>
    expectTheSame(async (pool, note) => {
      await new Promise<void>((resolve) => {
        let inside = true;
        // biome-ignore lint/nursery/noFloatingPromises: the form with a callback returns nothing
        pool.query('select 1 as one', (error, result) => {
          note(`${error} ${JSON.stringify(result?.rows)} ${inside}`);
          resolve();
        });
        inside = false;
      });
      await new Promise<void>((resolve) => {
        pool.query('select $1::int as n', [3], (error, result) => {
          note(`${error} ${JSON.stringify(result?.rows)}`);
          resolve();
        });
      });
      await new Promise<void>((resolve) => {
        pool.connect((error, client, done) => {
          note(`${error} ${client instanceof pg.Client} ${typeof done}`);
          done();
          resolve();
        });
      });
      let returned: unknown = 'nothing yet';
      await new Promise<void>((resolve) => {
        returned = pool.query('select 1', () => resolve());
      });
      await tick();
      note(String(returned));
    }));

  it('a client that is taken, used and released', () =>
    expectTheSame(async (pool, note, removals) => {
      const promise = pool.connect();
      note('asked');
      const client = await promise;
      note('taken');
      await client.query('select 1');
      client.release();
      note('released');
      const again = await pool.connect();
      note(`the same: ${again === client}`);
      again.release(true);
      await removals(1);
      note('destroyed');
      const third = await pool.connect();
      third.release(new Error('not good'));
      await removals(2);
      note('destroyed with an error');
    }));

  it('a client that is released twice', () =>
    expectTheSame(async (pool, note) => {
      const client = await pool.connect();
      client.release();
      try {
        client.release();
      } catch (error) {
        note(String(error));
      }
    }));

  it('more callers than max, served in their order', () =>
    expectTheSame(
      async (pool, note) => {
        const first = await pool.connect();
        const order: number[] = [];
        const waiting = [1, 2, 3].map(async (number) => {
          const client = await pool.connect();
          order.push(number);
          client.release();
        });
        note('waiting');
        first.release();
        await Promise.all(waiting);
        note(order.join());
      },
      { max: 1 },
    ));

  it('callers that wait too long', () =>
    expectTheSame(
      async (pool, note) => {
        const client = await pool.connect();
        await Promise.all([
          pool.connect().catch((error: Error) => note(`${error.name} ${error.message}`)),
          pool.query('select 1').catch((error: Error) => note(error.message)),
        ]);
        client.release();
        note('released');
        await pool.query('select 1');
      },
      // Enough for a connection to be made on a busy machine.
      { max: 1, connectionTimeoutMillis: 3_000 },
    ));

  it('no server at the port', () =>
    expectTheSame(
      async (pool, note) => {
        await pool.connect().catch((error: Error & { code?: string }) => note(`${error.code}`));
        await pool.query('select 1').catch((error: Error & { code?: string }) => note(`${error.code}`));
        note('still usable');
        await new Promise<void>((resolve) =>
          pool.connect((error, client, done) => {
            note(`${(error as Error & { code?: string })?.code} ${client} ${typeof done}`);
            resolve();
          }),
        );
      },
      { port: 1 },
    ));

  it('maxUses', () =>
    expectTheSame(
      async (pool, note, removals) => {
        await pool.query('select 1');
        note('once');
        await pool.query('select 1');
        await removals(1);
        note('twice');
      },
      { maxUses: 2 },
    ));

  it('idleTimeoutMillis and min', () =>
    expectTheSame(
      async (pool, note, removals) => {
        const clients = await Promise.all([pool.connect(), pool.connect()]);
        for (const client of clients) client.release();
        note('idle');
        await removals(1);
        await tick(400);
        note('after the time');
      },
      { idleTimeoutMillis: 100, min: 1 },
    ));

  it('maxLifetimeSeconds', () =>
    expectTheSame(
      async (pool, note, removals) => {
        const client = await pool.connect();
        await pool.query('select 1');
        await tick(1_300);
        note(`expired ${pool.expiredCount}`);
        client.release();
        await removals(1);
        note('gone');
      },
      { maxLifetimeSeconds: 1 },
    ));

  it('onConnect and verify, and their errors', async () => {
    await expectTheSame(
      async (pool, note) => {
        note(JSON.stringify((await pool.query('show application_name')).rows));
      },
      {
        onConnect: async (client) => {
          await client.query("set application_name = 'greeted'");
        },
      } as pg.PoolConfig,
    );
    await expectTheSame(
      async (pool, note) => {
        await pool.connect().catch((error: Error) => note(error.message));
        await tick();
        note('after');
      },
      {
        onConnect: async () => {
          throw new Error('unwelcome');
        },
      } as pg.PoolConfig,
    );
    await expectTheSame(
      async (pool, note, removals) => {
        await pool.connect().catch((error: Error) => note(error.message));
        await removals(1);
        note('after');
      },
      { verify: (_client, done) => done(new Error('not verified')) },
    );
  });

  it('submittables: a cursor and a stream', () =>
    expectTheSame(async (pool, note) => {
      const client = await pool.connect();
      const cursor = new Cursor<{ n: number }>('select n from generate_series(1, 5) as n');
      note(String(client.query(cursor) === cursor));
      note(JSON.stringify(await cursor.read(2)));
      await cursor.close();
      const stream = client.query(new QueryStream('select n from generate_series(1, 3) as n'));
      for await (const row of stream) note(JSON.stringify(row));
      client.release();
      note('released');
    }));

  it('a query event emitter', () =>
    expectTheSame(async (pool, note) => {
      const client = await pool.connect();
      const query = client.query(new pg.Query('select n from generate_series(1, 2) as n'));
      note(String(query instanceof EventEmitter));
      query.on('row', (row) => note(JSON.stringify(row)));
      await new Promise((resolve) => query.on('end', resolve));
      client.release();
    }));

  it('query_timeout, which leaves the connection to the statement that took too long', () =>
    expectTheSame(async (pool, note, removals) => {
      const client = await pool.connect();
      const { rows } = await client.query('select pg_backend_pid() as pid');
      const slow = { text: 'select pg_sleep(0.4)', query_timeout: 100 } as pg.QueryConfig;
      await client.query(slow).catch((error: Error) => note(error.message));
      const again = await client.query('select pg_backend_pid() as pid');
      note(`the same: ${again.rows[0].pid === rows[0].pid}`);
      client.release();
      note('released');
      await pool.query(slow).catch((error: Error) => note(error.message));
      await removals(1);
      note('after pool.query');
    }));

  it('mistakes in its use', () =>
    expectTheSame(async (pool, note, removals) => {
      await new Promise<void>((resolve) => {
        const query = pool.query as unknown as (this: pg.Pool, callback: (error: Error) => void) => void;
        query.call(pool, (error) => {
          note(error.message);
          resolve();
        });
      });
      await pool.query('select 1');
      await pool.end();
      await removals(1);
      await pool.connect().catch((error: Error) => note(error.message));
      await pool.query('select 1').catch((error: Error) => note(error.message));
      await pool.end().catch((error: Error) => note(error.message));
    }));

  it('end(), called with work in flight', () =>
    expectTheSame(async (pool, note) => {
      const query = pool.query('select pg_sleep(0.1), 1 as one');
      await pool.end();
      note(JSON.stringify((await query).rows.length));
    }));

  it('passwords, which do not show', () => {
    const { pair } = webscaler;
    const pool = new Pool(webscaler.plainOptions());
    expect(JSON.stringify(pool.options)).not.toContain(pair.password);
    expect(pool.options.password).toBe(pair.password);
  });
});

describe('on purpose, it does otherwise than pg.Pool in that', () => {
  it('an ordinary SQL error costs no connection', async () => {
    const pool = new Pool(webscaler.plainOptions());
    await expect(pool.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
    expect(pool.totalCount).toBe(1);
    // Nor does a mistake that pg finds before it sends anything.
    await expect(pool.query('select $1', 'no array' as unknown as string[])).rejects.toThrow('must be an array');
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
    await pool.end();
  });

  // For `pg_current_xact_id_if_assigned()`.
  itSince(13)('a client released inside an open transaction is not lent again', async () => {
    const pool = new Pool(webscaler.plainOptions({ max: 1 }));
    const client = await pool.connect();
    await client.query('begin');
    client.release();
    const { rows } = await pool.query(
      'select pg_current_xact_id_if_assigned() is null as outside, now() = statement_timestamp() as fresh',
    );
    expect(rows).toEqual([{ outside: true, fresh: true }]);
    await pool.end();
  });

  it('a process without a listener for errors survives the death of an idle client', async () => {
    const pool = new Pool(webscaler.plainOptions({ max: 1 }));
    const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    const removed = new Promise((resolve) => pool.once('remove', resolve));
    await webscaler.pair.primary.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    await removed;
    await expect(pool.query('select 1')).resolves.toBeDefined();
    await pool.end();
  });
});
