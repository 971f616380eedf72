import pg from 'pg';
import Cursor from 'pg-cursor';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client, outcomeOf, Pool, type PoolOptions } from '../src/index.ts';
import { type FakePostgres, obliging, startFakePostgres } from './support/fake-postgres.ts';
import { rejectionOf } from './support/rejection.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
  const pool = webscaler.pool();
  await pool.query('create table items (id integer primary key, name text not null)');
  await pool.query('insert into items values (1, $1)', ['one']);
});
afterEach(() => webscaler.endPools());
afterAll(() => webscaler?.[Symbol.asyncDispose]());

/** The clients on which an application may run its statements. */
const clients: [string, () => Promise<{ client: pg.ClientBase; done: () => void | Promise<void> }>][] = [
  [
    'a client that was checked out',
    async () => {
      const client = await webscaler.pool({ max: 1 }).connect();
      return { client, done: () => client.release() };
    },
  ],
  [
    'a client that was checked out of a pool for a plain host',
    async () => {
      const { pair } = webscaler;
      const { user, password, database, port, ca } = pair;
      const { address, hostName } = pair.primary;
      const pool = new Pool({ user, password, database, port, host: address, ssl: { ca, servername: hostName } });
      const client = await pool.connect();
      return {
        client,
        done: async () => {
          client.release();
          await pool.end();
        },
      };
    },
  ],
  [
    'a client by itself',
    async () => {
      const client = new Client(webscaler.options());
      client.on('error', () => undefined);
      await client.connect();
      return { client, done: () => client.end() };
    },
  ],
];

describe.each(clients)('the error of a statement on %s', (_, open) => {
  it('says that it was not executed if the server says so', async () => {
    const { client, done } = await open();
    expect(outcomeOf(await rejectionOf(client.query('select 1 / 0')))).toBe('not-executed');
    expect(outcomeOf(await rejectionOf(client.query('insert into items values (1, $1)', ['again'])))).toBe(
      'not-executed',
    );
    await client.query('begin');
    expect(outcomeOf(await rejectionOf(client.query('insert into items values (2, null)')))).toBe('not-executed');
    expect(outcomeOf(await rejectionOf(client.query('select 1')))).toBe('not-executed');
    await client.query('rollback');
    await done();
  });

  it('says that it was not executed if it has more parameters than the protocol can count', async () => {
    const { client, done } = await open();
    const values = Array.from({ length: 65_536 }, (_, index) => index);
    const text = `insert into items (id, name) select id::integer, $1 from unnest(array[${values.map((index) => `$${index + 1}::text`).join()}]) as id`;
    const error = await rejectionOf(client.query(text, values));
    expect(error).toMatchObject({ code: '08P01' });
    expect(outcomeOf(error)).toBe('not-executed');
    expect((await client.query('select id from items')).rows).toEqual([{ id: 1 }]);
    await done();
  });

  it('says so in every form of a query', async () => {
    const { client, done } = await open();
    const byCallback = await new Promise<Error>((resolve) => client.query('select 1 / 0', (error) => resolve(error)));
    const byName = await rejectionOf(client.query({ name: 'zero', text: 'select 1 / $1::int', values: [0] }));
    const byEvent = await new Promise<Error>((resolve) =>
      client.query(new pg.Query('select 1 / 0')).on('error', resolve),
    );
    const byCursor = await rejectionOf(client.query(new Cursor('select 1 / 0')).read(1));
    expect([byCallback, byName, byEvent, byCursor].map(outcomeOf)).toEqual(Array(4).fill('not-executed'));
    await done();
  });

  it('leaves the rest of the error as pg made it', async () => {
    const { client, done } = await open();
    const error = await rejectionOf(client.query('select 1 / 0'));
    expect(error).toBeInstanceOf(pg.DatabaseError);
    expect(Object.keys(error)).not.toContain('outcome');
    expect(error.stack).toContain('statement-outcome.test.ts');
    await done();
  });

  it('says that nothing is known if it may have committed a part of its work', async () => {
    const { client, done } = await open();
    const error = await rejectionOf(client.query("insert into items values (100, 'a'); commit; select 1 / 0"));
    expect(outcomeOf(error)).toBe('unknown');
    await client.query('delete from items where id = 100');
    expect(outcomeOf(await rejectionOf(client.query('do $$ begin commit; perform 1 / 0; end $$')))).toBe('unknown');
    // Inside a transaction the server lets no block commit.
    await client.query('begin');
    expect(outcomeOf(await rejectionOf(client.query('do $$ begin perform 1 / 0; end $$')))).toBe('not-executed');
    await client.query('rollback');
    await done();
  });

  it('says that nothing is known if the server was lost meanwhile, and of the next one that it was never sent', async () => {
    const { client, done } = await open();
    client.on('error', () => undefined);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const slow = rejectionOf(client.query('select pg_sleep(10)'));
    await webscaler.pair.primary.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
    const lost = await slow;
    expect(outcomeOf(lost)).toBe('unknown');
    await expect
      .poll(() => rejectionOf(client.query('select 1')).then((error) => error.message))
      .toMatch(/not queryable/);
    expect(outcomeOf(await rejectionOf(client.query('select 1')))).toBe('not-executed');
    const byCallback = await new Promise<Error>((resolve) => client.query('select 1', (error) => resolve(error)));
    expect(outcomeOf(byCallback)).toBe('not-executed');
    await done();
  });
});

describe('the error of a connection that breaks', () => {
  let server: FakePostgres | undefined;
  let pool: Pool | undefined;

  afterEach(async () => {
    await pool?.end();
    await server?.[Symbol.asyncDispose]();
  });

  async function open(options: PoolOptions = {}) {
    server = await startFakePostgres({
      // It never answers what is slow.
      script: obliging((text) => (text === 'slow' ? new Promise<never>(() => undefined) : undefined)),
    });
    pool = new Pool(server.options({ liveness: false, ...options }));
    const client = await pool.connect();
    client.on('error', () => undefined);
    return client;
  }

  it('says that nothing is known of a statement that was sent', async () => {
    const client = await open();
    const slow = rejectionOf(client.query('slow'));
    await expect.poll(() => server?.received()).toContain('slow');
    server?.sessions[0]?.socket.destroy();
    expect(outcomeOf(await slow)).toBe('unknown');
    client.release();
  });

  it('has no outcome if nothing was in flight', async () => {
    const client = await open();
    const broken = new Promise<Error>((resolve) => client.once('error', resolve));
    server?.sessions[0]?.socket.destroy();
    expect(outcomeOf(await broken)).toBeUndefined();
    client.release();
  });
});
