import pg from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { rejectionOf } from './support/rejection.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// A query is answered in any case. A cursor, a stream and a COPY wait for their reader or writer, and pg sends nothing else
// meanwhile: given back like that, a client is of no use to anybody, and must not count.

let webscaler: Webscaler;
const opened: Pool[] = [];

beforeAll(async () => {
  webscaler = await startWebscaler();
  const pool = webscaler.pool();
  await pool.query('create table items (id integer)');
});
afterEach(async () => {
  await Promise.all([webscaler.endPools(), ...opened.splice(0).map((pool) => pool.end())]);
});
afterAll(() => webscaler?.[Symbol.asyncDispose]());

const endless = 'select generate_series(1, 2000000000) as number';

const pools: [string, (overrides?: PoolOptions) => Pool][] = [
  ['a pool for a Service', (overrides) => webscaler.pool(overrides)],
  [
    'a pool for a plain host',
    (overrides) => {
      const { pair } = webscaler;
      const ssl = { ca: pair.ca, servername: 'primary-db.example.com', checkServerIdentity: () => undefined };
      const pool = new Pool({ ...pair.connection(), ssl, connectionTimeoutMillis: 10_000, ...overrides });
      opened.push(pool);
      return pool;
    },
  ],
];

/** COPY in pg's own words, as pg-copy-streams speaks them. */
class Copy implements pg.Submittable {
  readonly text: string;
  connection: (pg.Connection & { endCopyFrom(): void; sendCopyFromChunk(chunk: Buffer): void }) | undefined;
  error: Error | undefined;
  begun: Promise<void>;
  #begin: () => void = () => undefined;

  constructor(text: string) {
    this.text = text;
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  submit(connection: pg.Connection): void {
    this.connection = connection as typeof this.connection;
    connection.query(this.text);
  }

  handleCopyInResponse(): void {
    this.#begin();
  }

  handleCopyData(): void {
    this.#begin();
  }

  handleError(error: Error): void {
    this.error = error;
  }

  handleCommandComplete(): void {}
  handleReadyForQuery(): void {}
}

describe.each(pools)('a client released to %s', (_, makePool) => {
  /** Gives a client back with that on it, and says how long another caller then waits for the only place. */
  async function waitAfter(
    begin: (client: pg.PoolClient) => unknown,
    overrides: PoolOptions = {},
  ): Promise<{ pool: Pool; waitedMillis: number }> {
    const pool = makePool({ max: 1, ...overrides });
    const client = await pool.connect();
    await begin(client);
    const begunAt = performance.now();
    client.release();
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0]);
    return { pool, waitedMillis: performance.now() - begunAt };
  }

  it.each<[string, (client: pg.PoolClient) => unknown]>([
    ['a cursor that is not read', (client) => void client.query(new Cursor(endless))],
    ['a cursor that is being read', (client) => void client.query(new Cursor(endless)).read(1)],
    ['a cursor that was read in part', (client) => client.query(new Cursor(endless)).read(1)],
    [
      'a cursor whose rows were all read, and no more asked for',
      (client) => client.query(new Cursor('select 1')).read(1),
    ],
    [
      'a cursor that waits behind a query',
      (client) => {
        client.query('select pg_sleep(0.1)');
        client.query(new Cursor(endless));
      },
    ],
    [
      'a query that waits behind a cursor',
      (client) => {
        client.query(new Cursor(endless));
        client.query('select 1').catch(() => undefined);
      },
    ],
    ['a stream that is not read', (client) => void client.query(new QueryStream(endless))],
    [
      'a stream that was read in part',
      async (client) => {
        const stream = client.query(new QueryStream(endless));
        await new Promise((resolve) => stream.once('readable', resolve));
        stream.read();
      },
    ],
    ['a COPY that gets no rows', (client) => client.query(new Copy('copy items from stdin')).begun],
    [
      'a COPY whose end is not told',
      async (client) => {
        const copy = client.query(new Copy('copy items from stdin'));
        await copy.begun;
        copy.connection?.sendCopyFromChunk(Buffer.from('1\n'));
      },
    ],
  ])('with %s, costs no place', async (_what, begin) => {
    const { waitedMillis } = await waitAfter(begin);
    expect(waitedMillis).toBeLessThan(4_000);
  });

  it('with a COPY that was given up, wrote nothing', async () => {
    const { pool } = await waitAfter(async (client) => {
      const copy = client.query(new Copy('copy items from stdin'));
      await copy.begun;
      copy.connection?.sendCopyFromChunk(Buffer.from('77\n'));
    });
    expect((await pool.query('select id from items where id = 77')).rows).toEqual([]);
  });

  it.each<[string, (client: pg.PoolClient) => unknown]>([
    ['a query under way', (client) => void client.query('select pg_sleep(0.2)')],
    ['a query for a long time', (client) => void client.query('select pg_sleep(2.5)')],
    [
      'a cursor that is being closed',
      async (client) => {
        const cursor = client.query(new Cursor(endless));
        await cursor.read(1);
        cursor.close().catch(() => undefined);
      },
    ],
    [
      'a stream that was destroyed',
      async (client) => {
        const stream = client.query(new QueryStream(endless));
        await new Promise((resolve) => stream.once('readable', resolve));
        stream.destroy();
      },
    ],
    [
      'a COPY that is over',
      async (client) => {
        const copy = client.query(new Copy('copy items from stdin'));
        await copy.begun;
        copy.connection?.endCopyFrom();
      },
    ],
    [
      'a COPY of many rows without a reader',
      (client) => void client.query('copy (select generate_series(1, 300000)) to stdout'),
    ],
  ])('with %s, is used again', async (_what, begin) => {
    const removed: unknown[] = [];
    const pool = makePool({ max: 1 });
    pool.on('remove', (client) => removed.push(client));
    const client = await pool.connect();
    await begin(client);
    client.release();
    await pool.query('select 1');
    expect(removed).toEqual([]);
  });

  it('with a cursor whose rows were asked for, still answers that', async () => {
    const pool = makePool({ max: 1 });
    const client = await pool.connect();
    client.query('select pg_sleep(0.1)').catch(() => undefined);
    const read = client.query(new Cursor(endless)).read(2);
    client.release();
    expect(await read).toEqual([{ number: 1 }, { number: 2 }]);
    await pool.query('select 1');
  });

  it('with a query under way, is not kept beyond its lifetime', async () => {
    const pool = makePool({ max: 1, maxLifetimeSeconds: 1 });
    const client = await pool.connect();
    const removed = new Promise((resolve) => pool.once('remove', resolve));
    client.query('select pg_sleep(1.5)').catch(() => undefined);
    client.release();
    expect(await removed).toBe(client);
    await pool.query('select 1');
  });
});

describe.each(pools)('a cursor or stream that is passed to query() of %s', (_, makePool) => {
  it('gives its client back when it was read to its end', async () => {
    const pool = makePool({ max: 1 });
    const stream = new QueryStream('select generate_series(1, 1000) as number');
    const answer = pool.query(stream as pg.Submittable);
    const rows: unknown[] = [];
    for await (const row of stream) rows.push(row);
    expect(rows).toHaveLength(1_000);
    await answer;
    const cursor = new Cursor('select 1 as one');
    const read = pool.query(cursor as pg.Submittable);
    expect(await cursor.read(10)).toEqual([{ one: 1 }]);
    await read;
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });

  it('gives its client back when it is closed early', async () => {
    const pool = makePool({ max: 1 });
    const stream = new QueryStream(endless);
    const answer = pool.query(stream as pg.Submittable);
    for await (const _row of stream) break;
    await answer;
    const cursor = new Cursor(endless);
    const read = pool.query(cursor as pg.Submittable);
    await cursor.read(1);
    await cursor.close();
    await read;
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });

  it('gives its client back when it fails', async () => {
    const pool = makePool({ max: 1 });
    const cursor = new Cursor('select 1 / 0');
    const answer = rejectionOf(pool.query(cursor as pg.Submittable) as unknown as Promise<unknown>);
    await rejectionOf(cursor.read(1));
    expect(await answer).toMatchObject({ code: '22012' });
    await pool.query('select 1');
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });

  it('is given up when it was not read for five seconds', async () => {
    const pool = makePool({ max: 1 });
    const answer = rejectionOf(pool.query(new QueryStream(endless) as pg.Submittable) as unknown as Promise<unknown>);
    const waiting = pool.query('select 1 as one');
    expect(await answer).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'query' });
    expect((await waiting).rows).toEqual([{ one: 1 }]);
  });

  it('is left alone while its reader takes its time', async () => {
    const pool = makePool({ max: 1 });
    const cursor = new Cursor(endless);
    const answer = pool.query(cursor as pg.Submittable);
    await cursor.read(1);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(await cursor.read(1)).toHaveLength(1);
    await cursor.close();
    await answer;
  }, 20_000);
});

describe('a query object with its own callback', () => {
  it.each(pools)('that is passed to query() of %s and fails, tells its callback alone', async (_, makePool) => {
    const pool = makePool({ max: 1 });
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    const error = await new Promise<Error | undefined>((resolve) => {
      pool.query(new pg.Query('select 1 / 0', [], (failed: Error | undefined) => resolve(failed)));
    });
    expect(error).toMatchObject({ code: '22012' });
    // So a cursor, whose reader hears of it.
    const cursor = new Cursor('select 1 / 0');
    pool.query(cursor as pg.Submittable);
    expect(await rejectionOf(cursor.read(1))).toMatchObject({ code: '22012' });
    await pool.query('select 1');
    await new Promise((resolve) => setImmediate(resolve));
    process.removeListener('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  it.each(pools)('that is passed to query() of %s, calls it, and gives its client back', async (_, makePool) => {
    const pool = makePool({ max: 1 });
    const asked = await new Promise<pg.QueryResult>((resolve, reject) => {
      const query = new pg.Query('select 1 as one', [], (error: Error | undefined, result: pg.QueryResult) =>
        error ? reject(error) : resolve(result),
      );
      pool.query(query);
    });
    expect(asked.rows).toEqual([{ one: 1 }]);
    await pool.query('select 1');
  });
});

describe('a transaction() whose work leaves a cursor open', () => {
  it.each<[string, (tx: { query: pg.ClientBase['query'] }) => unknown]>([
    ['that was read in part', (tx) => tx.query(new Cursor(endless)).read(1)],
    ['that is not read', (tx) => void tx.query(new QueryStream(endless))],
    ['in the form of a COPY', (tx) => tx.query(new Copy('copy items from stdin')).begun],
  ])('%s, is rolled back and says why, at once', async (_what, leave) => {
    const pool = webscaler.pool({ max: 1 });
    const failed = rejectionOf(
      pool.transaction(async (tx) => {
        await tx.query('insert into items values (99)');
        await leave(tx);
      }),
    );
    expect(await failed).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
    const nested = rejectionOf(
      pool.transaction(async (tx) => {
        await tx.query('insert into items values (99)');
        await tx.transaction(async (inner) => void (await leave(inner))).catch(() => undefined);
        await tx.query('select 1');
      }),
    );
    expect(await nested).toMatchObject({ outcome: 'not-executed' });
    expect((await pool.query('select id from items where id = 99')).rows).toEqual([]);
  });

  it('and throws, is rolled back at once', async () => {
    const pool = webscaler.pool({ max: 1 });
    const begunAt = performance.now();
    const failed = pool.transaction(async (tx) => {
      await tx.query(new Cursor(endless)).read(1);
      throw new Error('enough');
    });
    await expect(failed).rejects.toThrow('enough');
    await pool.query('select 1');
    expect(performance.now() - begunAt).toBeLessThan(3_000);
  });

  it('which it has closed, or read to its end, is committed', async () => {
    const pool = webscaler.pool({ max: 1 });
    await pool.transaction(async (tx) => {
      await tx.query('insert into items values (55)');
      const cursor = tx.query(new Cursor(endless));
      await cursor.read(1);
      cursor.close().catch(() => undefined);
    });
    await pool.transaction(async (tx) => {
      await tx.query('insert into items values (55)');
      for await (const _row of tx.query(new QueryStream('select generate_series(1, 1000)'))) break;
      tx.query('select pg_sleep(0.1)').catch(() => undefined);
    });
    expect((await pool.query('select id from items where id = 55')).rows).toHaveLength(2);
  });
});
