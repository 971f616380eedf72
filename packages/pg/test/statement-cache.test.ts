import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { pgbouncerPath, startPgBouncer } from './support/pgbouncer.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
  await using pool = new Pool(webscaler.options({ max: 1 }));
  await pool.query('create table items (id int primary key, name text)');
  await pool.query("insert into items select n, 'item ' || n from generate_series(0, 99) n");
});

afterEach(() => webscaler.endPools());

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

const prepared = async (pool: Pool) =>
  (
    await pool.query<{ name: string; statement: string }>(
      "select name, statement from pg_prepared_statements where name like 'externalname%' order by 1",
    )
  ).rows;
const rejectionOr = (answer: Promise<unknown>) =>
  answer.then(
    () => 'answered',
    ({ code }) => code,
  );
const name = 'select name from items where id = $1';
const read = async (pool: Pool, id: number, text = name) => {
  const { rows } = await pool.query<{ name: string }>(text, [id]);
  return rows[0]?.name;
};

describe.each<[string, PoolOptions]>([
  ['on connections of their own', { statementCache: 3 }],
  ['on shared connections', { statementCache: 3, pipelining: 8 }],
])('statements %s', (_, options) => {
  const start = (overrides: PoolOptions = {}) => webscaler.pool({ max: 1, ...options, ...overrides });

  it('are prepared after the second use, by themselves', async () => {
    const pool = start();
    for (let id = 0; id < 2; id += 1) expect(await read(pool, id)).toBe(`item ${id}`);
    expect(await prepared(pool)).toEqual([]);
    for (let id = 0; id < 4; id += 1) expect(await read(pool, id)).toBe(`item ${id}`);
    expect(await prepared(pool)).toMatchObject([{ statement: name }]);
    expect(pool.status().sharing).toMatchObject({ prepared: 1, pooled: 0 });
  });

  it('take no second connection for a caller who asks one after the other', async () => {
    const pool = start({ max: 4 });
    for (let id = 0; id < 10; id += 1) {
      expect(await read(pool, id)).toBe(`item ${id}`);
      expect(pool.totalCount).toBe(1);
    }
    expect(pool.status().sharing).toMatchObject({ prepared: 1, pooled: 0 });
  });

  it('are at most so many, also on the server', async () => {
    const pool = start();
    for (let round = 0; round < 4; round += 1) {
      for (let number = 0; number < 8; number += 1) {
        expect(await read(pool, number, `select name from items where id = $1 + ${number} - ${number}`)).toBe(
          `item ${number}`,
        );
      }
    }
    expect(await prepared(pool)).toHaveLength(3);
    expect(pool.status().sharing).toMatchObject({ prepared: 3 });
    expect(pool.status().sharing?.closed).toBeGreaterThan(5);
  });

  it.each(['discard all', 'deallocate all'])('are forgotten with %s', async (text) => {
    const pool = start();
    for (let id = 0; id < 5; id += 1) await read(pool, id);
    const client = await pool.connect();
    await client.query(text);
    client.release();
    expect(await Promise.all([1, 2, 3, 4, 5].map((id) => read(pool, id)))).toEqual(
      [1, 2, 3, 4, 5].map((id) => `item ${id}`),
    );
    expect(pool.totalCount).toBe(1);
  });

  it('that the server has lost without a word are sent again', async () => {
    const pool = start();
    for (let id = 0; id < 5; id += 1) await read(pool, id);
    await pool.query("do $$ begin execute 'deallocate all'; end $$").catch(() => undefined);
    const client = await pool.connect();
    await client.query('begin; deallocate all; commit');
    client.release();
    expect(await Promise.all([1, 2, 3, 4, 5].map((id) => read(pool, id)))).toEqual(
      [1, 2, 3, 4, 5].map((id) => `item ${id}`),
    );
  });

  it('whose table has changed have the new columns', async () => {
    const pool = start();
    await pool.query('create table changing (a int)');
    await pool.query('insert into changing values (1)');
    const all = () => pool.query('select * from changing where a = $1', [1]);
    for (let count = 0; count < 5; count += 1) await all();
    await using other = new Pool(webscaler.options({ max: 1 }));
    for (let column = 0; column < 5; column += 1) {
      await other.query(`alter table changing add column b${column} int default ${column}`);
      const results = await Promise.all(Array.from({ length: 12 }, all));
      for (const { rows } of results) expect(Object.keys(rows[0])).toHaveLength(column + 2);
    }
    expect(pool.totalCount).toBe(1);
    await pool.query('drop table changing');
  });

  it('whose parameters have other types by now are made once more, and prepared for these', async () => {
    const pool = start();
    await using other = new Pool(webscaler.options({ max: 1 }));
    await pool.query("create type mood as enum ('good')");
    await pool.query('create table changing (id int, code int, mood mood)');
    const asked = [
      () => pool.query('insert into changing (id) values ($1)', ['3000000000']),
      () => pool.query('select code from changing where code = $1', ['abc']),
      () => pool.query('insert into changing (mood) values ($1)', ['good']),
    ];
    const codes = async () => {
      const answers = await Promise.all(asked.flatMap((each) => [each, each, each]).map((ask) => rejectionOr(ask())));
      return answers.filter((_, index) => index % 3 === 2);
    };
    for (let round = 0; round < 3; round += 1) expect(await codes()).toEqual(['22003', '22P02', 'answered']);
    await other.query('alter table changing alter id type bigint, alter code type text');
    await other.query('alter table changing drop mood');
    await other.query('drop type mood');
    await other.query("create type mood as enum ('good')");
    await other.query('alter table changing add mood mood');
    for (let round = 0; round < 3; round += 1) expect(await codes()).toEqual(['answered', 'answered', 'answered']);
    const types =
      'select statement, parameter_types::text from pg_prepared_statements where statement like $1 order by 1';
    expect((await pool.query(types, ['%changing%'])).rows).toEqual([
      { statement: 'insert into changing (id) values ($1)', parameter_types: '{bigint}' },
      { statement: 'insert into changing (mood) values ($1)', parameter_types: '{mood}' },
      { statement: 'select code from changing where code = $1', parameter_types: '{text}' },
    ]);
    await pool.query('drop table changing');
    await pool.query('drop type mood');
  });

  it('that made place for others while they were in flight are prepared when they come again', async () => {
    const pool = start();
    const clients: pg.PoolClient[] = [];
    pool.on('connect', (client) => clients.push(client));
    const numbers = Array.from({ length: 30 }, (_, number) => number);
    const all = () =>
      Promise.all(
        numbers.map((number) => read(pool, number, `select name from items where id = $1 + ${number} - ${number}`)),
      );
    for (let round = 0; round < 3; round += 1) await all();
    const before = pool.status().sharing?.named ?? 0;
    for (let round = 0; round < 3; round += 1) expect(await all()).toEqual(numbers.map((number) => `item ${number}`));
    expect((pool.status().sharing?.named ?? 0) - before).toBe(90);
    const [{ connection }] = clients as unknown as [{ connection: { parsedStatements: object } }];
    expect(Object.keys(connection.parsedStatements)).toHaveLength(3);
  });

  it('are asked once what their rows look like', async () => {
    const pool = start();
    let descriptions = 0;
    pool.on('connect', (client) => {
      const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
      connection.on('rowDescription', () => {
        descriptions += 1;
      });
    });
    for (let id = 0; id < 5; id += 1) await read(pool, id);
    const before = descriptions;
    expect(await Promise.all([1, 2, 3, 4, 5].map((id) => read(pool, id)))).toEqual(
      [1, 2, 3, 4, 5].map((id) => `item ${id}`),
    );
    expect(descriptions).toBe(before);
  });

  it('answer like statements that are not prepared: fields, rows as arrays, types, no rows, no columns', async () => {
    const pool = start();
    await using plain = new Pool(webscaler.options({ max: 1 }));
    const shown = ({ command, rowCount, oid, fields, rows }: pg.QueryResult) => ({
      command,
      rowCount,
      oid,
      fields,
      rows,
    });
    const types = { getTypeParser: () => (value: string) => `as ${value}` } as unknown as pg.CustomTypesConfig;
    const asked: pg.QueryConfig[] = [
      { text: 'select id, name from items where id = $1', values: [1] },
      { text: 'select id, name from items where id = $1', values: [-1] },
      { text: 'select id, name from items where id = $1', values: [2], rowMode: 'array' } as pg.QueryArrayConfig,
      { text: 'select id, name from items where id = $1', values: [3], types },
      { text: 'select null::int as a, now() is null as b, $1::jsonb as c', values: ['{"d": [1]}'] },
      { text: 'select from items where id < $1', values: [3] },
      { text: 'update items set name = name where id = $1', values: [-1] },
      { text: 'update items set name = name where id = $1 returning id', values: [4] },
    ];
    for (let round = 0; round < 5; round += 1) {
      for (const config of asked) expect(shown(await pool.query(config))).toEqual(shown(await plain.query(config)));
    }
  });

  it('have fields that each caller may change', async () => {
    const pool = start();
    for (let id = 0; id < 6; id += 1) {
      const { fields, rows } = await pool.query<{ name: string }>(name, [id]);
      expect(rows).toEqual([{ name: `item ${id}` }]);
      const [field] = fields;
      if (field !== undefined) field.name = 'mine';
      fields.length = 0;
    }
  });

  it('that are wrong fail with their own error each time, and hold up nobody', async () => {
    const pool = start();
    const wrong = () => pool.query('select nothing from nowhere where id = $1', [1]).catch(({ code }) => code);
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all([wrong(), read(pool, 1), wrong(), read(pool, 2)]);
      expect(answers).toEqual(['42P01', 'item 1', '42P01', 'item 2']);
    }
  });

  it('of a transaction, or under a name of the application, are left alone', async () => {
    const pool = start();
    for (let id = 0; id < 5; id += 1) {
      await pool.transaction((tx) => tx.query(name, [id]));
      await pool.query({ name: 'mine', text: name, values: [id] });
    }
    expect(await prepared(pool)).toEqual([]);
    const { rows } = await pool.query("select name from pg_prepared_statements where name = 'mine'");
    expect(rows).toEqual([{ name: 'mine' }]);
  });

  it.skipIf(pgbouncerPath === undefined)('are not prepared behind a pooler', async () => {
    const { pair } = webscaler;
    await using pgbouncer = await startPgBouncer(pair, { default_pool_size: '3' });
    const { user, password, database } = pair;
    await using pool = new Pool({
      host: '127.0.0.1',
      port: pgbouncer.port,
      user,
      password,
      database,
      max: 4,
      ...options,
    });
    for (let round = 0; round < 20; round += 1) {
      const ids = Array.from({ length: 20 }, (_, id) => id);
      expect(await Promise.all(ids.map((id) => read(pool, id)))).toEqual(ids.map((id) => `item ${id}`));
    }
    expect(pool.status().sharing).toMatchObject({ prepared: 0, named: 0 });
    expect(pool.status().sharing?.pooled).toBeGreaterThan(0);
    const direct = new pg.Client(webscaler.plainOptions());
    await direct.connect();
    await direct.end();
  });
});

describe('a name that another statement gets while answers to the first one still come', () => {
  it('has the rows of the new one', async () => {
    const pool = webscaler.pool({ max: 1, statementCache: 1, pipelining: 8 });
    await pool.query('create table renamed (a int)');
    await pool.query('insert into renamed values (1)');
    const all = () => pool.query('select * from renamed where $1', [true]).then(({ rows }) => rows);
    const wait = (seconds: number) => pool.query('select pg_sleep($1)', [seconds]);
    for (let count = 0; count < 4; count += 1) {
      await all();
      await wait(0);
    }
    const answers = [all(), wait(1), all()];
    await answers[0];
    await using other = new Pool(webscaler.options({ max: 1 }));
    await other.query('alter table renamed rename a to b');
    answers.push(all());
    const [before, , after, last] = await Promise.all(answers);
    expect([before, after, last]).toEqual([[{ a: 1 }], [{ b: 1 }], [{ b: 1 }]]);
    await pool.query('drop table renamed');
  });
});
