import type { PlannedSwitch } from '@externalname/core';
import { describe, expect, it } from 'vitest';
import { type PauseEvent, paused, type ResumeEvent, resumed } from '../src/index.ts';
import { obliging } from './support/fake-postgres.ts';
import { gate, type PoolOnFake, start, turn } from './support/pool-on-fake.ts';

/** A pool whose callers come in one after the other, and what they got. */
function callersOf({ pool }: PoolOnFake) {
  const served: number[] = [];
  const call = (number: number) => pool.query('select 1').then(() => served.push(number));
  return { served, call };
}

describe('pool.pause()', () => {
  it('holds callers, and resume() serves them in the order in which they came', async () => {
    const started = await start({ max: 1 });
    const { served, call } = callersOf(started);
    await started.pool.pause();
    const calls = [1, 2, 3, 4, 5].map(call);
    await turn();
    await turn();
    expect(served).toEqual([]);
    expect(started.pool.status()).toMatchObject({ waiting: 5, pause: { cause: 'application', quiet: true } });
    expect([started.pool.waitingCount, started.pool.totalCount]).toEqual([5, 0]);
    started.pool.resume();
    await Promise.all(calls);
    expect(served).toEqual([1, 2, 3, 4, 5]);
    expect(started.pool.status().pause).toBeUndefined();
  });

  it('resolves when the last connection in use is released, and that one is not lent again', async () => {
    const started = await start({ max: 1 });
    const { served, call } = callersOf(started);
    const client = await started.pool.connect();
    const waiting = call(1);
    let isQuiet = false;
    const pausing = started.pool.pause().then(() => {
      isQuiet = true;
    });
    await turn();
    expect([isQuiet, started.pool.status().pause?.quiet]).toEqual([false, false]);
    client.release();
    await pausing;
    expect([served.length, started.pool.idleCount]).toEqual([0, 1]);
    started.pool.resume();
    await waiting;
  });

  it('waits for a statement whose client was released without its answer', async () => {
    const answered = gate();
    const { pool } = await start(
      {},
      obliging(async () => {
        await answered.opened;
        return undefined;
      }),
    );
    const client = await pool.connect();
    client.query('select 1').catch(() => undefined);
    client.release();
    let isQuiet = false;
    const pausing = pool.pause().then(() => {
      isQuiet = true;
    });
    await turn();
    expect(isQuiet).toBe(false);
    answered.open();
    await pausing;
    pool.resume();
  });

  it('rejects when work takes too long, and serves callers again', async () => {
    const started = await start({ max: 2 });
    const { call } = callersOf(started);
    const client = await started.pool.connect();
    const pausing = started.pool.pause({ timeoutMillis: 20 });
    const waiting = call(1);
    await expect(pausing).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_PAUSE_ENDED' });
    await waiting;
    client.release();
  });

  it('ends with its signal, and rejects with the reason', async () => {
    const { pool } = await start();
    const client = await pool.connect();
    const controller = new AbortController();
    const pausing = pool.pause({ signal: controller.signal });
    controller.abort(new Error('not wanted'));
    await expect(pausing).rejects.toThrow('not wanted');
    expect(pool.status().pause).toBeUndefined();
    await expect(pool.pause({ signal: controller.signal })).rejects.toThrow('not wanted');
    client.release();
  });

  it('is rejected by resume(), and a second pause() goes on when the first gives up', async () => {
    const { pool } = await start();
    const client = await pool.connect();
    const controller = new AbortController();
    const first = pool.pause({ signal: controller.signal });
    const second = pool.pause();
    controller.abort(new Error('not wanted'));
    await expect(first).rejects.toThrow('not wanted');
    expect(pool.status().pause).toBeDefined();
    pool.resume();
    await expect(second).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_PAUSE_ENDED' });
    client.release();
  });

  it('leaves callers their deadlines and their signals', async () => {
    const { pool } = await start({ connectionTimeoutMillis: 20 });
    await pool.pause();
    await expect(pool.query('select 1')).rejects.toThrow('timeout exceeded when trying to connect');
    const controller = new AbortController();
    const transaction = pool.transaction(async () => undefined, { signal: controller.signal });
    controller.abort(new Error('not wanted'));
    await expect(transaction).rejects.toThrow('not wanted');
    expect(pool.status()).toMatchObject({ waiting: 0, pause: { quiet: true } });
  });

  it('counts held callers towards maxWaiting', async () => {
    const { pool } = await start({ maxWaiting: 2 });
    await pool.pause();
    const held = [pool.query('select 1'), pool.query('select 1')];
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TOO_MANY_WAITING' });
    pool.resume();
    await Promise.all(held);
  });

  it('is ended by end(), which serves callers that came before', async () => {
    const started = await start();
    const { served, call } = callersOf(started);
    const client = await started.pool.connect();
    const pausing = started.pool.pause();
    const held = call(1);
    await turn();
    const ending = started.pool.end();
    await expect(pausing).rejects.toThrow('Cannot use a pool after calling end on the pool');
    client.release();
    await Promise.all([held, ending]);
    expect(served).toEqual([1]);
    await expect(started.pool.pause()).rejects.toThrow('Cannot use a pool after calling end on the pool');
  });

  it('leaves listen() alone', async () => {
    const { pool } = await start();
    await pool.pause();
    const subscription = await pool.listen('jobs', () => undefined);
    expect(pool.status().pause?.quiet).toBe(true);
    await subscription.close();
    pool.resume();
  });

  it.each([
    [{ timeoutMillis: 0 }, 'timeoutMillis'],
    [{ timeoutMillis: Number.NaN }, 'timeoutMillis'],
    [{ timeout: 5 }, 'timeout'],
    [{ signal: 'now' }, 'signal'],
  ])('refuses %j', async (options, argument) => {
    const { pool } = await start();
    await expect(pool.pause(options as object)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument,
    });
    expect(pool.status().pause).toBeUndefined();
  });
});

describe('a switch that the source announces', () => {
  const plan: PlannedSwitch = { to: 'secondary-db.example.com' };

  it('holds callers until the pool has moved', async () => {
    const started = await start();
    const { served, call } = callersOf(started);
    await call(0);
    started.source.plan(plan);
    await turn();
    const held = [call(1), call(2)];
    await turn();
    expect(served).toEqual([0]);
    expect(started.pool.status()).toMatchObject({ waiting: 2, pause: { cause: 'planned-switch' } });
    await started.switchTo('secondary-db.example.com');
    await Promise.all(held);
    expect(served).toEqual([0, 1, 2]);
    expect(started.pool.status().pause).toBeUndefined();
  });

  it('serves callers again when the source gives it up, and when it takes longer than plannedHoldMillis', async () => {
    const started = await start({ plannedHoldMillis: 30 });
    const { call } = callersOf(started);
    const why: string[] = [];
    const stop = resumed.subscribe((event) => why.push(event.why));
    await call(0);
    started.source.plan(plan);
    await turn();
    const held = call(1);
    started.source.plan(undefined);
    await held;
    started.source.plan(plan);
    await turn();
    await call(2);
    stop();
    expect(why).toEqual(['given-up', 'expired']);
  });

  it('is held no longer than the source says', async () => {
    const started = await start();
    const { call } = callersOf(started);
    await call(0);
    started.source.plan({ ...plan, holdMillis: 20 });
    await turn();
    await call(1);
  });

  it.each([
    ['to where the pool is', { to: 'primary-db.example.com' }, {}],
    ['to a host that is not allowed', { to: 'elsewhere.example.com' }, {}],
    ['while plannedHoldMillis is 0', plan, { plannedHoldMillis: 0 }],
  ])('holds no caller %s', async (_, announced, options) => {
    const started = await start(options);
    const { call } = callersOf(started);
    await call(0);
    started.source.plan(announced);
    await turn();
    await turn();
    expect(started.pool.status().pause).toBeUndefined();
  });

  it('is held on by pool.pause(), and resume() ends both', async () => {
    const started = await start();
    const { served, call } = callersOf(started);
    await call(0);
    await started.pool.pause();
    started.source.plan(plan);
    await turn();
    await started.switchTo('secondary-db.example.com');
    const held = call(1);
    await turn();
    expect([served.length, started.pool.status().pause?.cause]).toEqual([1, 'application']);
    started.source.plan({ to: 'primary-db.example.com' });
    await turn();
    started.pool.resume();
    await held;
  });
});

it('a pause and its end are published, with the callers that were held', async () => {
  const { pool } = await start();
  const events: (PauseEvent | ResumeEvent)[] = [];
  const stops = [paused.subscribe((event) => events.push(event)), resumed.subscribe((event) => events.push(event))];
  await pool.pause();
  const held = pool.query('select 1');
  pool.resume();
  pool.resume();
  await held;
  for (const stop of stops) stop();
  expect(events).toMatchObject([
    { name: 'localhost', cause: 'application' },
    { name: 'localhost', cause: 'application', why: 'resumed', waiting: 1 },
  ]);
});
