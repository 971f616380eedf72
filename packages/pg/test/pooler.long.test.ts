import { StaticTargetSource } from '@externalname/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, Pool, type PoolOptions } from '../src/index.ts';
import {
  authenticationOk,
  backendKey,
  commandComplete,
  emptyQuery,
  everythingIsHere,
  message,
  obliging,
  primaryParameters,
  readyForQuery,
} from './support/fake-postgres.ts';
import { type PgBouncer, pgbouncerPath, startPgBouncer, tracksPreparedStatements } from './support/pgbouncer.ts';
import { start } from './support/pool-on-fake.ts';
import { rejectionOf } from './support/rejection.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// With a real PgBouncer, where it is installed.
describe
  .skipIf(pgbouncerPath === undefined)
  .each<[string, Record<string, string>]>([
    ['that knows nothing of prepared statements', tracksPreparedStatements ? { max_prepared_statements: '0' } : {}],
    ...(tracksPreparedStatements
      ? [
          ['that keeps track of prepared statements', { max_prepared_statements: '200' }] as [
            string,
            Record<string, string>,
          ],
        ]
      : []),
  ])('behind PgBouncer in transaction mode, %s', (_, settings) => {
  let webscaler: Webscaler;
  let pgbouncer: PgBouncer;
  const pools: Pool[] = [];

  beforeAll(async () => {
    webscaler = await startWebscaler();
    pgbouncer = await startPgBouncer(webscaler.pair, { default_pool_size: '3', ...settings });
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

  it('nor does one whose table has got another column', async () => {
    const pool = makePool();
    await pool.query('create table grown (id integer)');
    const ask = () => pool.query({ name: 'grown', text: 'select * from grown' });
    await Promise.all(Array.from({ length: 50 }, ask));
    await pool.query('alter table grown add column other integer');
    await Promise.all(Array.from({ length: 50 }, ask));
    await Promise.all(
      Array.from({ length: 50 }, () => pool.transaction((tx) => tx.query({ name: 'g', text: 'select * from grown' }))),
    );
    await pool.query('alter table grown add column third integer');
    await Promise.all(
      Array.from({ length: 50 }, () => pool.transaction((tx) => tx.query({ name: 'g', text: 'select * from grown' }))),
    );
    expect((await ask()).fields).toHaveLength(3);
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

  it('while it has no server, statements and transactions wait, and run once when it has one', async () => {
    const { pair } = webscaler;
    const pool = new Pool({
      service: 'webscaler-db',
      source: new StaticTargetSource('primary-db.example.com'),
      allowedTargets: ['primary-db.example.com'],
      allowedNetworks: ['127.0.0.0/8'],
      dns: everythingIsHere,
      port: pgbouncer.port,
      user: pair.user,
      database: pair.database,
      ssl: false,
      max: 4,
      failoverTimeoutMillis: 30_000,
    });
    pools.push(pool);
    await pool.query('create table kept (id integer)');
    await pair.primary.kill();
    const statements = Array.from({ length: 4 }, (_, id) => pool.query('insert into kept values ($1)', [id]));
    const transaction = pool.transaction((tx) => tx.query('insert into kept values (4)'));
    const settled = Promise.allSettled([...statements, transaction]);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await pair.primary.start();
    // What was sent to the server that died is unknown, and all others are there.
    const answers = await settled;
    const failed = answers.flatMap((answer) => (answer.status === 'rejected' ? outcomeOf(answer.reason) : []));
    expect(failed.filter((outcome) => outcome !== 'unknown')).toEqual([]);
    const { rows } = await pool.query<{ id: number }>('select id from kept order by id');
    expect(rows).toHaveLength(answers.length - failed.length);
  }, 60_000);
});

// As PgBouncer 1.18 sends it: three fields, and the end of the connection.
const refusal = (text: string) => message('E', 'SFATAL', 'C08P01', `M${text}`, Buffer.from([0]));

describe('a pooler that keeps a plan, even if the statement is closed', () => {
  it('is sent the statement without its name', async () => {
    // PgBouncer from 1.21 on knows a statement by its text, and does not prepare it again.
    const bound: string[] = [];
    let altered = false;
    const { pool } = await start({ max: 1 }, async (session) => {
      session.send(authenticationOk, ...primaryParameters, backendKey(1), readyForQuery());
      let failed = false;
      for (;;) {
        const asked = await session.receive();
        if (asked === undefined || asked.type === 'X') return void session.socket.end();
        if (asked.type === 'S') failed = false;
        if (failed) continue;
        if (asked.type === 'B') {
          const [, name = ''] = asked.body.toString('latin1').split('\0');
          bound.push(name);
          failed = altered && name !== '';
        }
        session.send(failed ? stalePlan : (answers[asked.type] ?? Buffer.alloc(0)));
      }
    });
    const ask = () => pool.query({ name: 'all', text: 'select * from items' });
    await ask();
    altered = true;
    await ask();
    expect(bound).toEqual(['all', 'all', 'all', '']);
    await ask();
    expect(bound.slice(4)).toEqual(['']);
  });

  const answers: Record<string, Buffer> = {
    P: message('1'),
    B: message('2'),
    C: message('3'),
    D: message('n'),
    E: commandComplete('SELECT 0'),
    S: readyForQuery(),
    Q: Buffer.concat([emptyQuery, readyForQuery()]),
  };
  const stalePlan = message(
    'E',
    ...['SERROR', 'VERROR', 'C0A000', 'Mcached plan must not change result type', 'RRevalidateCachedQuery'],
    Buffer.from([0]),
  );
});

describe('a pooler without a server', () => {
  it.each(['server login has been failing, try again later (server_login_retry)', 'query_wait_timeout'])(
    'that says "%s" is waited for, as a server that starts',
    async (words) => {
      let refusals = 0;
      const open = new Set<unknown>();
      const { pool } = await start(
        { failoverTimeoutMillis: 5_000 },
        obliging((text, session) => {
          const [command = ''] = text.toUpperCase().split(' ');
          if (['INSERT', 'CALL', 'BEGIN'].includes(command) && !open.has(session)) {
            refusals += 1;
            if (refusals % 3 !== 0) {
              session.send(refusal(words));
              session.socket.end();
              return [];
            }
          }
          if (command === 'BEGIN') open.add(session);
          if (command === 'COMMIT') open.delete(session);
          const answer = text === '' ? emptyQuery : commandComplete(command);
          return [answer, readyForQuery(open.has(session) ? 'T' : 'I')];
        }),
      );
      await pool.query('insert into items values (1)');
      expect(refusals).toBe(3);
      // Nothing of it was begun, so nothing of it was committed.
      await pool.query('call commits_within()');
      expect(refusals).toBe(6);
      await pool.transaction((tx) => tx.query('insert into items values (1)'), { commitProof: false });
      expect(refusals).toBe(9);
      const client = await pool.connect();
      client.on('error', () => undefined);
      const error = await rejectionOf(client.query('insert into items values (2)'));
      expect(error).toMatchObject({ code: '08P01', message: words });
      expect(outcomeOf(error)).toBe('not-executed');
      client.release();
    },
  );

  it('says nothing of a statement whose server broke', async () => {
    const { pool } = await start(
      {},
      obliging((text, session) => {
        if (!text.startsWith('insert')) return undefined;
        session.send(refusal('server conn crashed?'));
        session.socket.end();
        return [];
      }),
    );
    expect(outcomeOf(await rejectionOf(pool.query('insert into items values (1)')))).toBe('unknown');
  });
});
