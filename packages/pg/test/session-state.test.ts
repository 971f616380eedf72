import pg from 'pg';
import Cursor from 'pg-cursor';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Client, outcomeOf, Pool, type PoolOptions } from '../src/index.ts';
import { rejectionOf } from './support/rejection.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

// What a session keeps (prepared statements, plans, cursors, tables of its own) may be in the way of a statement that is in order. `pg`
// drops a connection after any error, and with it what was in the way. A pool that keeps connections has to know which errors these are.

let webscaler: Webscaler;

let owner: pg.Client;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
  owner = new pg.Client(plainOptions() as pg.ClientConfig);
  await owner.connect();
});
afterEach(() => webscaler.endPools());
afterAll(async () => {
  await owner?.end();
  await webscaler?.[Symbol.asyncDispose]();
});

let table = '';
let tables = 0;

beforeEach(async () => {
  tables += 1;
  table = `items_${tables}`;
  await owner.query(`create table ${table} (id integer)`);
});

const addColumn = (column: string) => owner.query(`alter table ${table} add column ${column} integer`);

function plainOptions(overrides: PoolOptions = {}): PoolOptions {
  const { pair } = webscaler;
  const { ca } = pair;
  return {
    ...pair.connection(),
    ssl: { ca, servername: 'primary-db.example.com', checkServerIdentity: () => undefined },
    ...overrides,
  };
}

const pools: [string, (overrides?: PoolOptions) => Pool][] = [
  ['a pool for a Service', (overrides) => webscaler.pool(overrides)],
  [
    'a pool for a plain host',
    (overrides) => {
      const pool = new Pool(plainOptions(overrides));
      opened.push(pool);
      return pool;
    },
  ],
];
const opened: Pool[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((pool) => pool.end()));
});

const times = (count: number, work: () => Promise<unknown>) =>
  Promise.all(Array.from({ length: count }, () => work().then(() => 'ok', String)));
const allOk = (count: number) => Array.from({ length: count }, () => 'ok');

describe.each(pools)('a prepared statement of %s', (_, makePool) => {
  it('works after its table has got another column, on every connection', async () => {
    const pool = makePool({ max: 4 });
    const ask = () => pool.query({ name: 'all', text: `select * from ${table}` });
    await times(20, ask);
    const made = pool.totalCount;
    await addColumn('a');
    expect(await times(20, ask)).toEqual(allOk(20));
    await addColumn('b');
    expect(await times(20, ask)).toEqual(allOk(20));
    expect((await ask()).fields.map(({ name }) => name)).toEqual(['id', 'a', 'b']);
    // Nothing was lost by it, connections included.
    expect(pool.totalCount).toBe(made);
  });

  it('goes on after DISCARD ALL', async () => {
    const pool = makePool({ max: 1 });
    const ask = () => pool.query({ name: 'one', text: 'select $1::integer as one', values: [1] });
    await ask();
    await pool.query('discard all');
    expect((await ask()).rows).toEqual([{ one: 1 }]);
  });

  it('works if SQL has prepared another one with its name, which stays', async () => {
    const removed: unknown[] = [];
    const pool = makePool({
      max: 1,
      onConnect: async (client) => void (await client.query('prepare one as select 2')),
    });
    pool.on('remove', (client) => removed.push(client));
    for (let count = 0; count < 3; count += 1) {
      expect((await pool.query({ name: 'one', text: 'select 1 as one', rowMode: 'array' })).rows).toEqual([[1]]);
    }
    expect((await pool.query('execute one')).rows).toEqual([{ '?column?': 2 }]);
    expect(removed).toEqual([]);
  });

  it('goes on after a value that could not be written', async () => {
    const pool = makePool({ max: 1 });
    const ask = (value: unknown) => pool.query({ name: 'text', text: 'select $1::text as text', values: [value] });
    const unwritable = {
      toPostgres: () => {
        throw new Error('not today');
      },
    };
    expect((await rejectionOf(ask(unwritable))).message).toBe('not today');
    expect(await times(3, () => ask('fine'))).toEqual(allOk(3));
  });

  it('keeps its turn among those that were asked for on the same client', async () => {
    const pool = makePool({ max: 1 });
    const client = await pool.connect();
    const add = () => client.query({ name: 'add', text: `insert into ${table} values ($1)`, values: [1] });
    await add();
    await client.query('deallocate all');
    await Promise.all([add(), client.query(`update ${table} set id = id + 1`)]);
    expect((await client.query(`select id from ${table}`)).rows).toEqual([{ id: 2 }, { id: 2 }]);
    client.release();
  });

  it('fails once in a transaction of the application, was not executed, and goes on after it', async () => {
    const pool = makePool({ max: 1 });
    const client = await pool.connect();
    const ask = () => client.query({ name: 'all', text: `select * from ${table}` });
    await ask();
    await addColumn('a');
    await client.query('begin');
    const error = await rejectionOf(ask());
    expect(error).toMatchObject({ code: '0A000' });
    expect(outcomeOf(error)).toBe('not-executed');
    await client.query('rollback');
    await client.query('begin');
    await ask();
    await client.query('commit');
    client.release();
    await pool.query({ name: 'all', text: `select * from ${table}` });
  });

  it('makes transaction() retry, once, however many connections have lost it', async () => {
    const pool = makePool({ max: 8 });
    const ask = { name: 'all', text: `select * from ${table}` };
    let works = 0;
    const run = () =>
      pool.transaction(async (tx) => {
        works += 1;
        await tx.query(`insert into ${table} (id) values (1)`);
        await tx.query(ask);
      });
    await times(8, run);
    await addColumn('a');
    works = 0;
    expect(await times(8, run)).toEqual(allOk(8));
    expect(works).toBeLessThanOrEqual(16);
    works = 0;
    expect(await times(16, run)).toEqual(allOk(16));
    // Each connection has learned it by now.
    expect(works).toBe(16);
    expect((await pool.query(`select count(*)::integer as count from ${table}`)).rows).toEqual([{ count: 32 }]);
  });

  it('is not sent more than a few times if its error repeats', async () => {
    const pool = makePool({ max: 1 });
    const client = await pool.connect();
    await client.query(`prepare inner_one as select * from ${table}`);
    const ask = () => client.query({ name: 'outer', text: 'execute inner_one' });
    await ask();
    await addColumn('a');
    expect(await rejectionOf(ask())).toMatchObject({ code: '0A000' });
    await client.query('select 1');
    client.release();
  });
});

describe('a prepared statement of a Client', () => {
  it.each([
    ['for a Service', () => webscaler.options()],
    ['for a plain host', () => plainOptions()],
  ])('%s goes on', async (_, options) => {
    const client = new Client(options());
    await client.connect();
    const ask = () => client.query({ name: 'all', text: `select * from ${table}` });
    await ask();
    await addColumn('a');
    await ask();
    await client.query('discard all');
    await ask();
    await client.end();
  });
});

describe.each(pools)('on a connection of %s, what the session keeps', (_, makePool) => {
  /** The statement fails on the session that it has spoilt, and works on the next one. */
  it.each([
    ['a cursor that outlives its transaction', () => ['declare c cursor with hold for select 1'], '42P03'],
    ['a table of its own', () => ['create temporary table mine ()'], '42P07'],
    ['a statement that SQL has prepared', () => ['prepare p as select 1'], '42P05'],
  ])('%s, is in the way once', async (_what, statements, code) => {
    const pool = makePool({ max: 1 });
    const run = async () => {
      for (const text of statements()) await pool.query(text);
    };
    await run();
    expect(await rejectionOf(run())).toMatchObject({ code });
    await run();
  });

  it('a plan of a statement that SQL has prepared, is in the way once', async () => {
    const pool = makePool({
      max: 1,
      onConnect: async (client) => void (await client.query(`prepare p as select * from ${table}`)),
    });
    await pool.query('execute p');
    await addColumn('a');
    const error = await rejectionOf(pool.query('execute p'));
    expect(error).toMatchObject({ code: '0A000' });
    expect(outcomeOf(error)).toBe('not-executed');
    await pool.query('execute p');
  });

  it('a plan of PL/pgSQL, is in the way once', async () => {
    const pool = makePool({ max: 1 });
    await pool.query(`insert into ${table} values (1)`);
    await pool.query(
      `create function first_of_${table}() returns text language plpgsql as $$ declare r record; s text;
       begin for r in select * from ${table} limit 1 loop s := r.id::text; end loop; return s; end $$`,
    );
    const ask = () => pool.query(`select first_of_${table}()`);
    await ask();
    await owner.query(`alter table ${table} alter column id type text`);
    expect(await rejectionOf(ask())).toMatchObject({ code: '42804' });
    await ask();
  });

  it('is not held against a statement that is at fault itself', async () => {
    const pool = makePool({ max: 1 });
    const removed: unknown[] = [];
    pool.on('remove', (client) => removed.push(client));
    await rejectionOf(pool.query('select 1 / 0'));
    await rejectionOf(pool.query('select $1::integer', ['text']));
    expect(removed).toEqual([]);
  });
});

describe('a cursor', () => {
  it('is read to its end beside a prepared statement that was lost', async () => {
    const pool = webscaler.pool({ max: 1 });
    const client = await pool.connect();
    const ask = () => client.query({ name: 'one', text: 'select 1 as one' });
    await ask();
    await client.query('discard all');
    const cursor = client.query(new Cursor('select 1 as one'));
    const asked = ask();
    expect(await cursor.read(10)).toEqual([{ one: 1 }]);
    expect((await asked).rows).toEqual([{ one: 1 }]);
    client.release();
  });
});
