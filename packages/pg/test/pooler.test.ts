import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { type PgBouncer, pgbouncerPath, startPgBouncer } from './support/pgbouncer.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// With a real PgBouncer, where it is installed.
describe.skipIf(pgbouncerPath === undefined)('behind PgBouncer in transaction mode', () => {
  let webscaler: Webscaler;
  let pgbouncer: PgBouncer;
  const pools: Pool[] = [];

  beforeAll(async () => {
    webscaler = await startWebscaler();
    pgbouncer = await startPgBouncer(webscaler.pair, { default_pool_size: '3' });
  });
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
  });
  afterAll(async () => {
    await pgbouncer?.[Symbol.asyncDispose]();
    await webscaler?.[Symbol.asyncDispose]();
  });

  function makePool(overrides: PoolOptions = {}): Pool {
    const { user, database } = webscaler.pair;
    const pool = new Pool({ host: '127.0.0.1', port: pgbouncer.port, user, database, max: 8, ...overrides });
    pools.push(pool);
    return pool;
  }

  it('a prepared statement never fails, whichever session it comes to', async () => {
    const pool = makePool();
    const ask = (value: number) =>
      pool.query({ name: 'twice', text: 'select $1::integer * 2 as twice', values: [value], rowMode: 'array' });
    const answers = await Promise.all(Array.from({ length: 300 }, (_, value) => ask(value)));
    expect(answers.map(({ rows }) => rows[0]?.[0])).toEqual(answers.map((_, value) => value * 2));
  });

  it('nor does one in transaction(), and nothing is written twice', async () => {
    const pool = makePool();
    await pool.query('create table written (id integer primary key)');
    const write = (id: number) =>
      pool.transaction((tx) => tx.query({ name: 'write', text: 'insert into written (id) values ($1)', values: [id] }));
    await Promise.all(Array.from({ length: 100 }, (_, id) => write(id)));
    expect((await pool.query('select count(*)::integer as count from written')).rows).toEqual([{ count: 100 }]);
  });

  it('a name that another program has taken is left to it', async () => {
    const [one, other] = [makePool(), makePool()];
    const ask = (pool: Pool, value: number) => pool.query({ name: 'mine', text: `select ${value} as value` });
    const answers: unknown[] = [];
    for (let round = 0; round < 20; round += 1) {
      answers.push((await ask(one, 1)).rows[0].value, (await ask(other, 2)).rows[0].value);
    }
    expect(answers).toEqual(Array.from({ length: 20 }, () => [1, 2]).flat());
  });
});
