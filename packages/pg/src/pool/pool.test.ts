import { ManualClock } from '@externalname/core/internal-testing';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeClient } from '../../test/support/fake-client.ts';
import type { PoolOptions } from '../options.ts';
import { Pool } from './pool.ts';

let clock = new ManualClock();
let pool: Pool | undefined;

/** A pool for a plain host whose clients need no server. */
function start(options: PoolOptions & Record<string, unknown> = {}): Pool {
  clock = new ManualClock();
  FakeClient.made.length = 0;
  pool = new Pool({ host: 'db.example.com', Client: FakeClient, ...options } as PoolOptions, {
    clock,
    random: () => 0,
  });
  return pool;
}

afterEach(async () => {
  if (pool !== undefined && !pool.ending) await ended(pool.end());
  expect(clock.pending).toBe(0);
});

/** Lets what needs no time happen, and then says that it did. */
async function ended(work: Promise<void>): Promise<void> {
  let isOver = false;
  const over = work.then(() => {
    isOver = true;
  });
  await clock.advance(0);
  expect(isOver).toBe(true);
  await over;
}

describe('a caller of a full pool', () => {
  it('waits for as long as connectionTimeoutMillis says, to the millisecond', async () => {
    const pool = start({ max: 1, connectionTimeoutMillis: 700 });
    const client = await pool.connect();
    const waiting = pool.connect().then(
      () => 'served',
      (error: Error) => error.message,
    );
    await clock.advance(699);
    expect(pool.waitingCount).toBe(1);
    await clock.advance(1);
    expect(pool.waitingCount).toBe(0);
    expect(await waiting).toBe('timeout exceeded when trying to connect');
    client.release();
  });

  it('is served when a client comes back within that time, and its deadline is gone', async () => {
    const pool = start({ max: 1, connectionTimeoutMillis: 700 });
    const client = await pool.connect();
    const waiting = pool.connect();
    await clock.advance(600);
    client.release();
    const next = await waiting;
    expect(next).toBe(client);
    await clock.advance(10_000);
    expect(pool.totalCount).toBe(1);
    next.release();
  });
});

describe('a verify hook that takes longer than its caller waits', () => {
  it('does not cost the place', async () => {
    let finish: () => void = () => undefined;
    let asked = 0;
    const pool = start({
      max: 1,
      connectionTimeoutMillis: 150,
      verify: (_client: unknown, done: () => void) => {
        asked += 1;
        if (asked === 1) finish = done;
        else done();
      },
    });
    const first = pool.connect().catch((error: Error) => error.message);
    await clock.advance(150);
    expect(await first).toMatch(/timeout/);
    finish();
    await clock.advance(0);
    const client = await pool.connect();
    client.release();
  });
});

describe('idleTimeoutMillis', () => {
  it('begins again each time that a client comes to be idle', async () => {
    const pool = start({ idleTimeoutMillis: 300 });
    const client = await pool.connect();
    await clock.advance(400);
    client.release();
    await clock.advance(150);
    (await pool.connect()).release();
    await clock.advance(299);
    expect([pool.totalCount, FakeClient.made.length]).toEqual([1, 1]);
    await clock.advance(1);
    expect(pool.totalCount).toBe(0);
  });

  it('does not run while a client goes from hand to hand', async () => {
    const pool = start({ max: 1, idleTimeoutMillis: 100 });
    let client = await pool.connect();
    for (let turn = 0; turn < 6; turn++) {
      const next = pool.connect();
      await clock.advance(60);
      client.release();
      client = await next;
    }
    expect([pool.totalCount, FakeClient.made.length]).toEqual([1, 1]);
    client.release();
    await clock.advance(100);
    expect(pool.totalCount).toBe(0);
  });

  it('keeps min clients', async () => {
    const pool = start({ max: 3, min: 2, idleTimeoutMillis: 100 });
    const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
    for (const client of clients) client.release();
    await clock.advance(1_000);
    expect(pool.totalCount).toBe(2);
  });
});

describe('maxLifetimeSeconds', () => {
  it('closes a client that is idle when it is over', async () => {
    const pool = start({ maxLifetimeSeconds: 60, idleTimeoutMillis: 0 });
    (await pool.connect()).release();
    await clock.advance(59_999);
    expect(pool.totalCount).toBe(1);
    await clock.advance(1);
    expect(pool.totalCount).toBe(0);
  });

  it('lets a client that is lent be used to the end', async () => {
    const pool = start({ maxLifetimeSeconds: 60 });
    const client = await pool.connect();
    await clock.advance(120_000);
    expect([pool.totalCount, pool.expiredCount]).toEqual([1, 1]);
    client.release();
    await clock.advance(0);
    expect(pool.totalCount).toBe(0);
  });
});

describe('end()', () => {
  it('cuts what is in use when endTimeoutMillis is over', async () => {
    const pool = start({ endTimeoutMillis: 500 });
    const client = await pool.connect();
    client.on('error', () => undefined);
    const over = pool.end();
    await clock.advance(499);
    expect(FakeClient.made[0]?.ended).toBeUndefined();
    await clock.advance(1);
    expect(FakeClient.made[0]?.ended).toBe('destroyed');
    await over;
    client.release();
  });

  it('waits no longer than a second for a server that says no goodbye', async () => {
    const pool = start();
    (await pool.connect()).release();
    const [client] = FakeClient.made;
    if (client !== undefined) client.answersGoodbye = false;
    const over = pool.end();
    await clock.advance(1_000);
    await over;
    expect(client?.ended).toBe('destroyed');
  });

  it('ends although a connect hook never does', async () => {
    const pool = start({ onConnect: () => new Promise(() => undefined), endTimeoutMillis: 300 });
    const connecting = pool.connect().catch((error: Error) => error.message);
    await clock.advance(0);
    const over = pool.end();
    await clock.advance(300);
    await over;
    expect(await connecting).toBe('Cannot use a pool after calling end on the pool');
  });
});
