import { FaultProxy, type ProxiedConnection } from '@externalname/testing';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, type Pool, type PoolOptions, retried, type Transaction } from '../src/index.ts';
import { describeSince, itSince } from './support/postgres-version.ts';
import { rejectionOf } from './support/rejection.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
let proxy: FaultProxy;
let repeats = 0;
const stopCounting = retried.subscribe(() => {
  repeats += 1;
});

// Every connection to the primary leads through the proxy.
beforeAll(async () => {
  webscaler = await startSharedWebscaler();
  const { pair, cluster } = webscaler;
  proxy = await FaultProxy.start({ target: { host: pair.primary.address, port: pair.port }, port: pair.port });
  cluster.hosts.set('primary-db.example.com', [proxy.address]);
  await onServer(`
    set role ${pair.user};
    create table writes (note text not null);
    create procedure writes_and_fails(state text) language plpgsql as $$
      begin
        insert into writes values (state);
        commit;
        raise exception 'said by SQL' using errcode = state;
      end $$;
    create function fails(state text) returns void language plpgsql as $$
      begin
        perform nextval('calls');
        raise exception 'said by SQL' using errcode = state;
      end $$;
    create sequence calls;
    create function write_one(note text) returns text language sql as 'insert into writes values (note) returning note';
    create function slowly(n int) returns int language plpgsql immutable as 'begin perform pg_sleep(0.4); return n; end';
    create table numbers as select n from generate_series(1, 5) n;
  `);
});

afterEach(async () => {
  await webscaler.endPools();
  await onServer('truncate writes; select setval($$calls$$, 1, false)');
  repeats = 0;
});

afterAll(async () => {
  stopCounting();
  await proxy?.close();
  await webscaler?.[Symbol.asyncDispose]();
});

/** Past every proxy and pool. */
async function onServer<R extends pg.QueryResultRow>(text: string): Promise<R[]> {
  const { primary, database } = webscaler.pair;
  return await primary.query<R>(text, [], { database });
}

async function writes(): Promise<number> {
  const [row] = await onServer<{ n: number }>('select count(*)::int as n from writes');
  return row?.n ?? -1;
}

describe('a statement that commits a part of its work and then fails', () => {
  const hidden: [string, string][] = [
    ['in plain', "call writes_and_fails('57P03')"],
    ['behind a comment that CR ends', "-- nightly\rcall writes_and_fails('57P03')"],
    ['behind a comment that nests', "/* a /* b */ ' */ call writes_and_fails('57P03')"],
    ['behind a form feed', "\fcall writes_and_fails('57P03')"],
    ['in a DO block', "do $do$ begin call writes_and_fails('57P03'); end $do$"],
    ['behind a string that a backslash does not keep open', "select '\\'; commit; call writes_and_fails('57P03')"],
  ];
  it.each(hidden)('is done once, and its outcome is unknown: %s', async (_, text) => {
    const pool = webscaler.pool();
    const error = await rejectionOf(pool.query(text));
    expect(outcomeOf(error)).toBe('unknown');
    expect(await writes()).toBeLessThanOrEqual(1);
    expect(repeats).toBe(0);
  });

  it('runs once if a backslash does keep a string open', async () => {
    const pool = webscaler.pool({ options: '-c standard_conforming_strings=off' });
    const text = "insert into writes values ('a\\''); commit; select fails('57P03') --')";
    expect(outcomeOf(await rejectionOf(pool.query(text)))).toBe('unknown');
    expect(await writes()).toBe(1);
  });

  it('is unknown on a client and by the name it was prepared under, too', async () => {
    const client = await webscaler.pool({ max: 1 }).connect();
    await client.query({ name: 'batch', text: 'select $1::text', values: ['warm'] });
    const prepared = await rejectionOf(
      client.query({ name: 'batch', values: [{ toPostgres: () => '1' }, 2] } as never),
    );
    expect(outcomeOf(prepared)).toBe('unknown');
    const called = await rejectionOf(client.query("-- c\rcall writes_and_fails('23505')"));
    expect(outcomeOf(called)).toBe('unknown');
    client.release();
  });

  itSince(17)(
    'that a timeout of the server ends is not retried, and leaves no index behind without an error',
    async () => {
      const pool = webscaler.pool({ options: '-c transaction_timeout=700' });
      const create = 'create index concurrently if not exists slow on numbers (slowly(n))';
      const error = await rejectionOf(pool.query(create));
      expect(error).toMatchObject({ code: '25P04' });
      expect(outcomeOf(error)).toBe('unknown');
      expect(repeats).toBe(0);
      await onServer('drop index if exists slow');
    },
  );
});

describe('a code of the server that SQL raises as an ERROR', () => {
  it.each(['57P01', '57P02', '57P03', '53300', '25P03', '25P04', '57P05', '08006'])(
    '%s is handed on: nothing is repeated, and the server is not put in doubt',
    async (state) => {
      const pool = webscaler.pool({ max: 1 });
      const { rows: before } = await pool.query('select pg_backend_pid() as pid');
      const error = await rejectionOf(pool.query('select fails($1)', [state]));
      expect(error).toMatchObject({ code: state, severity: 'ERROR' });
      expect(outcomeOf(error)).toBe('not-executed');
      expect(await onServer('select last_value::int as calls from calls')).toEqual([{ calls: 1 }]);
      expect(repeats).toBe(0);
      const { rows: after } = await pool.query('select pg_backend_pid() as pid');
      expect(after).toEqual(before);
    },
  );

  it('ends a transaction once', async () => {
    const pool = webscaler.pool();
    let runs = 0;
    const error = await rejectionOf(
      pool.transaction(async (tx) => {
        runs += 1;
        await tx.query("select fails('57P03')");
      }),
    );
    expect(error).toMatchObject({ code: '57P03', outcome: 'not-executed' });
    expect(runs).toBe(1);
  });

  it('raised at COMMIT ends it once, too', async () => {
    await onServer(`
      set role ${webscaler.pair.user};
      create table watched (id int);
      create function fails_at_commit() returns trigger language plpgsql as
        $$ begin insert into writes values ('deferred'); perform fails('57P03'); return null; end $$;
      create constraint trigger t after insert on watched deferrable initially deferred
        for each row execute function fails_at_commit()`);
    let runs = 0;
    const error = await rejectionOf(
      webscaler.pool().transaction(async (tx) => {
        runs += 1;
        await tx.query('insert into watched values (1)');
      }),
    );
    expect(error).toMatchObject({ code: '57P03' });
    expect(runs).toBe(1);
    expect(await writes()).toBe(0);
  });
});

describeSince(17)('25P04, the timeout of a transaction', () => {
  it('is not a reason to retry the statement: it would take as long', async () => {
    const pool = webscaler.pool({ options: '-c transaction_timeout=200' });
    const error = await rejectionOf(pool.query('select pg_sleep(2)'));
    expect(error).toMatchObject({ code: '25P04' });
    expect(outcomeOf(error)).toBe('not-executed');
    expect(repeats).toBe(0);
  });
});

// The proof of a COMMIT needs `pg_current_xact_id()`.
describeSince(13)('a transaction whose COMMIT writes', () => {
  it.each<[string, (tx: Transaction) => Promise<unknown>]>([
    [
      'by a cursor WITH HOLD over a function that inserts',
      (tx) => tx.query("declare c cursor with hold for select write_one('held') from numbers"),
    ],
    ['by a trigger that was deferred', (tx) => tx.query("insert into writes values ('first')")],
  ])('%s is done once, though the answer is lost', async (_, work) => {
    const pool = poolThatLosesTheAnswerToCommit();
    let runs = 0;
    const value = await pool.transaction(async (tx) => {
      runs += 1;
      await work(tx);
      return `run ${runs}`;
    });
    expect(value).toBe('run 1');
    const committed = await writes();
    expect([1, 5]).toContain(committed);
  });

  it('is notified of once, though the answer is lost', async () => {
    const heard: string[] = [];
    const listening = webscaler.pool();
    await listening.listen('jobs', ({ payload }) => heard.push(payload));
    const pool = poolThatLosesTheAnswerToCommit(async () => {
      await expect.poll(() => heard.length).toBe(1);
    });
    await pool.transaction((tx) => tx.query("notify jobs, 'once'"));
    expect(heard).toEqual(['once']);
  });
});

describe('a transaction that the application ends by itself', () => {
  it.each([
    ['commit', ['commit']],
    ['commit and chain', ['commit and chain']],
    ['in one string', ["insert into writes values ('b'); commit; begin"]],
    ['rollback, and a statement that commits by itself', ['rollback', "insert into writes values ('b')"]],
  ])('%s is never retried when the server is lost after it', async (_, statements) => {
    const pool = webscaler.pool();
    let runs = 0;
    const error = await rejectionOf(
      pool.transaction(async (tx) => {
        runs += 1;
        await tx.query("insert into writes values ('a')");
        for (const statement of statements) await tx.query(statement);
        const { rows } = await tx.query('select pg_backend_pid() as pid');
        await onServer(`select pg_terminate_backend(${(rows as { pid: number }[])[0]?.pid})`);
        await tx.query('select pg_sleep(5)');
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ENDED_EARLY' });
    expect(outcomeOf(error)).toBe('unknown');
    expect(runs).toBe(1);
  });

  it.each(['commit', "insert into writes values ('b'); commit"])(
    'is never retried when the answer to %s is lost',
    async (statement) => {
      const pool = webscaler.pool();
      let connection: ProxiedConnection | undefined;
      pool.on('connect', (client) => {
        connection ??= connectionOf(client);
      });
      let runs = 0;
      const error = await rejectionOf(
        pool.transaction(async (tx) => {
          runs += 1;
          await tx.query("insert into writes values ('a')");
          connection?.blackHole('to-client');
          const lost = tx.query(statement);
          await expect.poll(() => writes(), { interval: 20 }).toBeGreaterThan(0);
          connection?.reset();
          await lost;
        }),
      );
      expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ENDED_EARLY' });
      expect(runs).toBe(1);
      expect(await writes()).toBeLessThanOrEqual(2);
    },
  );

  it('may use the name of a statement that was prepared before', async () => {
    const pool = webscaler.pool();
    await pool.transaction(async (tx) => {
      await tx.query({ name: 'write', text: 'insert into writes values ($1)', values: ['a'] });
      await tx.query({ name: 'write', values: ['b'] } as pg.QueryConfig);
    });
    expect(await writes()).toBe(2);
  });
});

/** A pool whose first COMMIT is executed, and its answer lost. `meanwhile` runs in between. */
function poolThatLosesTheAnswerToCommit(meanwhile?: () => Promise<void>, options: PoolOptions = {}): Pool {
  const pool = webscaler.pool(options);
  let done = false;
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const faulty = (...args: unknown[]) => {
      const connection = connectionOf(client);
      if (args[0] !== 'COMMIT' || done || connection === undefined) return query(...args);
      done = true;
      connection.blackHole('to-client');
      const result = query(...args);
      const executed = meanwhile ?? (() => expect.poll(() => writes(), { interval: 20 }).toBeGreaterThan(0));
      Promise.resolve(executed())
        .catch(() => undefined)
        .finally(() => connection.reset());
      return result;
    };
    Object.assign(client, { query: faulty });
  });
  return pool;
}

function connectionOf(client: pg.PoolClient): ProxiedConnection | undefined {
  const { localPort } = (client as unknown as { connection: { stream: { localPort: number } } }).connection.stream;
  return proxy.connections.find(({ clientPort }) => clientPort === localPort);
}
