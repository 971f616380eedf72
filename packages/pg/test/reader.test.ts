import { StaticTargetSource } from '@externalname/core';
import type { PostgresServer } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type OperationEvent,
  operationEnded,
  Pool,
  type PoolOptions,
  type ReaderOptions,
  replicaChanged,
  type TokenWaitEvent,
  tokenAwaited,
} from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
  await webscaler.pool().query('create table orders (id serial primary key, note text)');
}, 120_000);

afterEach(async () => {
  await resumeReplay(webscaler.pair.standby);
  await webscaler.endPools();
});

afterAll(() => webscaler?.[Symbol.asyncDispose]());

/** A pool whose reader finds the standby behind another name. */
function poolWith(reader: ReaderOptions = {}, options: PoolOptions = {}): Pool {
  const source = new StaticTargetSource('secondary-db.example.com');
  return webscaler.pool({ max: 4, reader: { source, ...reader }, ...options });
}

const pauseReplay = (server: PostgresServer) => server.query('select pg_wal_replay_pause()');
const resumeReplay = (server: PostgresServer) => server.query('select pg_wal_replay_resume()');
/** Whether a session has asked the server how far it has replayed, and has the answer. */
const hasToldItsPosition = async (server: PostgresServer) => {
  const text = `select 1 from pg_stat_activity where state = 'idle' and query like '%pg_last_wal_replay_lsn()%'`;
  return (await server.query(text)).length > 0;
};
const serverOf = async (pool: Pool, after?: string) => {
  const text = 'select host(inet_server_addr()) as address, pg_is_in_recovery() as recovery';
  const { rows } = await pool.query({ text, after });
  return rows[0].recovery ? 'standby' : 'primary';
};

describe('pool.reader', () => {
  it('reads from a standby, and is made at first use', async () => {
    const pool = poolWith();
    expect(pool.status().reader).toBeUndefined();
    expect(await serverOf(pool.reader)).toBe('standby');
    expect(await serverOf(pool)).toBe('primary');
    expect(pool.reader).toBe(pool.reader);
    expect(pool.reader.reader).toBe(pool.reader);
    expect(pool.status().reader).toMatchObject({ serving: true, max: 4 });
  });

  it('counts the reads of each server', async () => {
    const pool = poolWith();
    for (let read = 0; read < 3; read += 1) await serverOf(pool.reader);
    const token = await pool.currentToken();
    await serverOf(pool.reader, token);
    const { address } = webscaler.pair.standby;
    const known = pool.status().reader?.addresses.find((each) => each.address === address);
    expect(known).toMatchObject({ answered: 4, failedRequests: 0 });
  });

  it('finds the standby among the addresses of the same name', async () => {
    const { pair, cluster } = webscaler;
    const name = 'both-db.example.com';
    cluster.hosts.set(name, [pair.primary.address, pair.standby.address]);
    for (const server of pair.servers) {
      await server.setCertificate(await pair.authority.issue({ hostNames: [server.hostName, name] }));
    }
    const pool = webscaler.pool({ source: new StaticTargetSource(name), allowedTargets: [name] });
    expect(await serverOf(pool.reader)).toBe('standby');
  });

  it('ends with its pool, and is not made after it', async () => {
    const pool = poolWith();
    const { reader } = pool;
    await reader.query('select 1');
    await pool.end();
    expect(reader.ended).toBe(true);
    expect(pool.reader).toBe(reader);
    const unused = poolWith();
    await unused.end();
    expect(() => unused.reader).toThrow('Cannot use a pool after calling end on the pool');
  });

  it('writes nothing, on the primary neither', async () => {
    const pool = poolWith();
    const write = "insert into orders (note) values ('by a reader')";
    await expect(pool.reader.query(write)).rejects.toMatchObject({ code: '25006' });
    const primary = poolWith({ source: new StaticTargetSource('primary-db.example.com') });
    expect(await serverOf(primary.reader)).toBe('primary');
    await expect(primary.reader.query(write)).rejects.toMatchObject({ code: '25006' });
    await expect(primary.reader.transaction((tx) => tx.query(write))).rejects.toMatchObject({ code: '25006' });
  });

  it('reads from the primary if no standby can be reached, unless fallback is false', async () => {
    const nowhere = new StaticTargetSource('nowhere.example.com');
    const allowedTargets = ['nowhere.example.com'];
    const pool = poolWith({ source: nowhere, allowedTargets });
    expect(await serverOf(pool.reader)).toBe('primary');
    const strict = poolWith({ source: nowhere, allowedTargets, fallback: false }, { failoverTimeoutMillis: 300 });
    await expect(strict.reader.query('select 1')).rejects.toThrow();
  });

  it('returns to a standby when one serves again', async () => {
    const source = new StaticTargetSource('nowhere.example.com');
    const pool = poolWith({ source, allowedTargets: ['*.example.com'], lagCheckMillis: 50 });
    expect(await serverOf(pool.reader)).toBe('primary');
    source.set('secondary-db.example.com');
    await expect.poll(() => serverOf(pool.reader), { timeout: 10_000 }).toBe('standby');
  });
});

describe('the lag limit of a reader', () => {
  it('takes reads from a standby that lags more bytes, until it has caught up', async () => {
    const pool = poolWith({ maxLagBytes: 1_000, lagCheckMillis: 50 });
    const changes: boolean[] = [];
    const stop = replicaChanged.subscribe(({ lagging }) => changes.push(lagging));
    expect(await serverOf(pool.reader)).toBe('standby');
    await pauseReplay(webscaler.pair.standby);
    await pool.query("insert into orders (note) select repeat('x', 500) from generate_series(1, 100)");
    await expect.poll(() => serverOf(pool.reader), { timeout: 10_000 }).toBe('primary');
    expect(pool.status().reader?.replicas).toMatchObject([{ lagging: true }]);
    await resumeReplay(webscaler.pair.standby);
    await expect.poll(() => serverOf(pool.reader), { timeout: 15_000 }).toBe('standby');
    expect(pool.status().reader?.replicas).toMatchObject([{ lagging: false, lagBytes: 0, lagMillis: 0 }]);
    stop();
    expect(changes).toEqual([true, false]);
  });

  it('is about the age of the data, and an idle primary makes no standby old', async () => {
    const pool = poolWith({ maxLagMillis: 100, lagCheckMillis: 50 });
    expect(await serverOf(pool.reader)).toBe('standby');
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await serverOf(pool.reader)).toBe('standby');
    await pauseReplay(webscaler.pair.standby);
    await pool.query("insert into orders (note) values ('late')");
    await expect.poll(() => serverOf(pool.reader), { timeout: 10_000 }).toBe('primary');
  });

  it('is an error without the fallback', async () => {
    const pool = poolWith({ maxLagBytes: 0, lagCheckMillis: 50, fallback: false }, { failoverTimeoutMillis: 3_000 });
    await pauseReplay(webscaler.pair.standby);
    await pool.query("insert into orders (note) values ('late')");
    await expect(pool.reader.query('select 1')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      cause: { code: 'ERR_EXTERNALNAME_REPLICA_LAG' },
    });
  });
});

describe('a read with a token', () => {
  const insert = "insert into orders (note) values ('mine') returning id";
  const read = 'select id from orders where id = $1';

  it('sees the write', async () => {
    const pool = poolWith();
    for (let count = 0; count < 50; count += 1) {
      const { id } = (await pool.query(insert)).rows[0];
      const after = await pool.currentToken();
      expect((await pool.reader.query({ text: read, values: [id], after })).rows).toEqual([{ id }]);
      const rows = await pool.reader.transaction(async (tx) => (await tx.query(read, [id])).rows, { after });
      expect(rows).toEqual([{ id }]);
    }
    expect(pool.status().reader?.tokenReads).toMatchObject({ total: 100 });
  });

  it('waits for a standby that is late', async () => {
    const pool = poolWith({ catchUpMillis: 20_000 });
    const waits: TokenWaitEvent[] = [];
    const stop = tokenAwaited.subscribe((event) => waits.push(event));
    await pool.reader.query('select 1');
    await pauseReplay(webscaler.pair.standby);
    const { id } = (await pool.query(insert)).rows[0];
    const after = await pool.currentToken();
    const reading = pool.reader.query({ text: read, values: [id], after });
    await expect.poll(() => hasToldItsPosition(webscaler.pair.standby), { timeout: 10_000 }).toBe(true);
    await resumeReplay(webscaler.pair.standby);
    expect((await reading).rows).toEqual([{ id }]);
    stop();
    expect(waits).toMatchObject([{ server: 'standby' }]);
  });

  it('goes to the primary after catchUpMillis, and writes nothing there', async () => {
    const pool = poolWith({ catchUpMillis: 20 });
    await pauseReplay(webscaler.pair.standby);
    const { id } = (await pool.query(insert)).rows[0];
    const after = await pool.currentToken();
    expect((await pool.reader.query({ text: read, values: [id], after })).rows).toEqual([{ id }]);
    expect(await serverOf(pool.reader, after)).toBe('primary');
    await expect(pool.reader.query({ text: insert, after })).rejects.toMatchObject({ code: '25006' });
    expect(pool.status().reader?.tokenReads).toEqual({ total: 3, waited: 3, toPrimary: 3 });
    // The connection of the pool itself is none the worse.
    await pool.query(insert);
  });

  it('is told with all of its time, also if a connection of the primary served it', async () => {
    const pool = poolWith({ catchUpMillis: 20 });
    await pool.reader.query('select 1');
    await pauseReplay(webscaler.pair.standby);
    await pool.query(insert);
    const after = await pool.currentToken();
    const calls: OperationEvent[] = [];
    const stop = operationEnded.subscribe((event) => calls.push(event));
    await pool.reader.query({ text: 'select pg_sleep(0.2)', after });
    stop();
    expect(calls.map(({ durationMillis }) => durationMillis >= 190)).toEqual([true]);
  });

  it('is an error if no server has it in time', async () => {
    const pool = poolWith({ fallback: false }, { failoverTimeoutMillis: 3_000 });
    // Connects first: what runs out then is the time for the token.
    await pool.reader.query('select 1');
    await pauseReplay(webscaler.pair.standby);
    await pool.query(insert);
    const after = await pool.currentToken();
    await expect(pool.reader.query({ text: 'select 1', after })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_NOT_REPLAYED',
      outcome: 'not-executed',
    });
  });

  it('runs on the pool itself, too, where the primary has it', async () => {
    const pool = poolWith();
    const after = await pool.currentToken();
    expect(await serverOf(pool, after)).toBe('primary');
    expect(await pool.reader.currentToken()).toMatch(/^1-/);
  });

  it.each(['', '0/3000148', '1-', 5, '1-0/3000148 '])('refuses %j, without a connection', async (after) => {
    const pool = poolWith();
    const refusal = { code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'after' };
    const given = after as string;
    await expect(pool.reader.query({ text: 'select 1', after: given })).rejects.toMatchObject(refusal);
    await expect(pool.reader.transaction(async () => 1, { after: given })).rejects.toMatchObject(refusal);
    expect(pool.reader.totalCount).toBe(0);
  });
});

describe('the option reader', () => {
  it.each([
    [{ max: 0 }, 'reader.max'],
    [{ service: 5 }, 'reader.service'],
    [{ source: {} }, 'reader.source.current'],
    [{ fallback: 'yes' }, 'reader.fallback'],
    [{ maxLagBytes: -1 }, 'reader.maxLagBytes'],
    [{ maxLagMillis: 10 }, 'reader.maxLagMillis'],
    [{ lagCheckMillis: 0 }, 'reader.lagCheckMillis'],
    [{ catchUpMillis: Number.NaN }, 'reader.catchUpMillis'],
    [{ balancing: 'fastest' }, 'reader.balancing'],
    [{ maxLag: 5 }, 'reader.maxLag'],
    ['standby', 'reader'],
  ])('refuses %j', (reader, argument) => {
    expect(() => new Pool(webscaler.options({ reader: reader as object }))).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });

  it('takes the connection string of the pool, but for host, options and role', async () => {
    const { pair } = webscaler;
    const connectionString = `postgres://${pair.user}:${pair.password}@webscaler-db:${pair.port}/${pair.database}?options=-c%20work_mem%3D5MB&target_session_attrs=read-write`;
    const { user: _, password: __, port: ___, database: ____, ...options } = webscaler.options();
    const source = new StaticTargetSource('secondary-db.example.com');
    const pool = new Pool({ ...options, connectionString, reader: { source } });
    const { rows } = await pool.reader.query('show work_mem');
    expect(rows).toEqual([{ work_mem: '5MB' }]);
    expect(await serverOf(pool.reader)).toBe('standby');
    await pool.end();
  });

  it('works for a plain host, which has one server', async () => {
    const pool = new Pool(webscaler.plainOptions());
    expect(await serverOf(pool.reader)).toBe('primary');
    await expect(pool.reader.query("insert into orders (note) values ('no')")).rejects.toMatchObject({ code: '25006' });
    await pool.end();
  });
});
