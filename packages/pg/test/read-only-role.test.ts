import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client, outcomeOf, Pool, type PoolOptions, type RetryEvent, retried } from '../src/index.ts';
import { rejectionOf } from './support/rejection.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
const retries: RetryEvent[] = [];
const stop = retried.subscribe((event) => retries.push(event));

beforeAll(async () => {
  webscaler = await startWebscaler();
  const { primary, database } = webscaler.pair;
  await webscaler.pool().query('create table items (id integer)');
  for (const role of ['reader', 'reader_here', 'plain']) {
    await primary.query(`create role ${role} login password 'role password'`);
    await primary.query(`grant all on database ${database} to ${role}`);
  }
  await primary.query('alter role reader set default_transaction_read_only = on');
  await primary.query(`alter role reader_here in database ${database} set default_transaction_read_only = on`);
});

afterEach(async () => {
  retries.splice(0);
  await webscaler.endPools();
});

afterAll(async () => {
  stop();
  await webscaler?.[Symbol.asyncDispose]();
});

const as = (user: string, options: PoolOptions = {}): PoolOptions =>
  webscaler.options({ user, password: 'role password', failoverTimeoutMillis: 8_000, ...options });

/** What waits for another server, as for a standby that is to be promoted, fails the test. */
const outlastingTheTest: PoolOptions = { failoverTimeoutMillis: 600_000 };

const readOnlySessions: [string, () => PoolOptions][] = [
  ['whose role is set so', () => as('reader')],
  ['whose role is set so in its database', () => as('reader_here')],
  ['that asks for it when it starts', () => as('plain', { options: '-c default_transaction_read_only=on' })],
];

describe('a session that is read-only by its own setting', () => {
  it.each(readOnlySessions)('%s reads at once', async (_, options) => {
    const pool = new Pool({ ...options(), ...outlastingTheTest });
    const { rows } = await pool.query('select 1 as one, pg_is_in_recovery() as standby');
    expect(rows).toEqual([{ one: 1, standby: false }]);
    await pool.end();
    const client = new Client(options());
    await client.connect();
    for (let turn = 0; turn < 3; turn++) expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  it.each(readOnlySessions)('%s gets at once the error that it cannot write, and goes on', async (_, options) => {
    const pool = new Pool({ ...options(), max: 1 });
    const pidOf = async () => (await pool.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
    const pid = await pidOf();
    const error = await rejectionOf(pool.query('insert into items values (1)'));
    expect(error).toMatchObject({ code: '25006' });
    expect(outcomeOf(error)).toBe('not-executed');
    expect(retries).toEqual([]);
    expect(pool.status().serving).toBe(true);
    expect(await pidOf()).toBe(pid);
    await pool.end();
  });

  it('is refused at once if read-write was asked for, with what to write instead', async () => {
    const pool = new Pool(as('reader', { ...outlastingTheTest, targetSessionAttrs: 'read-write' }));
    const error = await rejectionOf(pool.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_SERVER_ROLE', outcome: 'not-executed' });
    expect(error.message).toMatch(/default_transaction_read_only.*role.*targetSessionAttrs: 'primary'/s);
    await pool.end();
  });
});

describe('a server that is read-only', () => {
  it.each([
    ['itself', (on: boolean) => (on ? webscaler.pair.primary.fence() : webscaler.pair.primary.unfence())],
    [
      'in the whole database',
      async (on: boolean) => {
        const { primary, database } = webscaler.pair;
        await primary.query(
          `alter database ${database} ${on ? 'set' : 'reset'} default_transaction_read_only ${on ? '= on' : ''}`,
        );
      },
    ],
  ])('%s is waited for as before', async (_, set) => {
    await set(true);
    const pool = new Pool(as('plain', outlastingTheTest));
    try {
      let answered = false;
      const answer = pool.query('select 1 as one').then(({ rows }) => {
        answered = true;
        return rows;
      });
      await expect.poll(() => pool.status().serving).toBe(false);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(answered).toBe(false);
      await set(false);
      expect(await answer).toEqual([{ one: 1 }]);
    } finally {
      await set(false);
      await pool.end();
    }
  });
});

// The last one, as it turns the servers round.
describe('a pool of such sessions', () => {
  it('follows a switch, to a session that is ready too, and does not serve from a standby', async () => {
    const { pair } = webscaler;
    const standby = new Pool(as('reader', { failoverTimeoutMillis: 500 }));
    await webscaler.point('secondary-db.example.com');
    expect(await rejectionOf(standby.query('select 1'))).toMatchObject({ code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT' });
    await standby.end();
    await webscaler.point('primary-db.example.com');

    const pools = [new Pool(as('reader')), new Pool(as('reader', { readySessions: 1 }))];
    for (const pool of pools) await pool.query('select 1');
    await pair.switchover({ onPromoted: () => webscaler.point('secondary-db.example.com'), rejoin: false });
    for (const pool of pools) {
      await expect.poll(() => pool.status().target?.externalName, { timeout: 10_000 }).toBe('secondary-db.example.com');
      const { rows } = await pool.query('select pg_is_in_recovery() as standby');
      expect(rows).toEqual([{ standby: false }]);
      await pool.end();
    }
  });
});
