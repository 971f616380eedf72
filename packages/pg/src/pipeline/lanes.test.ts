import { ManualClock } from '@externalname/core/internal-testing';
import fc from 'fast-check';
import type * as pg from 'pg';
import { describe, expect, it } from 'vitest';
import { KnownText } from './known-texts.ts';
import { Lane, type LaneConnection, type LaneHost } from './lane.ts';
import { LaneQuery } from './lane-query.ts';
import { Lanes } from './lanes.ts';

type Callback = (error: unknown, result: unknown) => void;

/** A client that answers when it is told to. */
class SilentClient {
  pipeline = false;
  readonly waiting: Callback[] = [];
  query(_text: unknown, _values: unknown, callback: Callback): void {
    this.waiting.push(callback);
  }
  answer(): void {
    this.waiting.shift()?.(null, {});
  }
}

interface FakeConnection extends LaneConnection {
  readonly fake: SilentClient;
}

function setUp({ depth = 4, count = 3 } = {}) {
  const clock = new ManualClock();
  const unfit = new Set<FakeConnection>();
  const lanes = new Lanes<FakeConnection>({
    clock,
    fits: ({ connection }) => !unfit.has(connection),
    choice: undefined,
    heard: () => undefined,
  });
  const host: LaneHost<FakeConnection> = {
    now: () => clock.now(),
    depth,
    mostNames: 0,
    isBusy: () => true,
    counts: { named: 0, closed: 0 },
    queryTimeoutMillis: 0,
    mayUseAgain: () => true,
    requested: () => undefined,
    answered: (lane, query) => {
      lane.isSlow = false;
      lanes.answered(query, clock.now());
    },
    timedOut: () => undefined,
    schedule: (callback, millis) => clock.schedule(callback, millis),
  };
  const all = Array.from({ length: count }, () => {
    const fake = new SilentClient();
    const lane = new Lane<FakeConnection>({ client: fake as unknown as pg.Client, fake }, host);
    lane.open();
    lanes.opened(lane);
    return lane;
  });
  const send = (lane: Lane<FakeConnection> | undefined) => {
    const query = new LaneQuery(
      'select 1',
      undefined,
      new KnownText('select 1'),
      () => undefined,
      () => undefined,
    );
    lane?.send(query);
    return query;
  };
  return { clock, lanes, all, send, unfit };
}

describe('the lane for the next query', () => {
  it('is the one whose oldest query is youngest', async () => {
    const { clock, lanes, all, send } = setUp();
    for (const lane of all) {
      send(lane);
      await clock.advance(1);
    }
    expect(lanes.choose()).toBe(all[2]);
    send(all[0]);
    all[0]?.connection.fake.answer();
    expect(lanes.choose()).toBe(all[0]);
  });

  it('has room', () => {
    const { lanes, all, send } = setUp({ depth: 2, count: 1 });
    const [lane] = all;
    send(lane);
    expect(lanes.choose()).toBe(lane);
    send(lane);
    expect(lanes.choose()).toBeUndefined();
    lane?.connection.fake.answer();
    expect(lanes.choose()).toBe(lane);
  });

  it('is fit: others are given back when they are empty', () => {
    const { lanes, all, send, unfit } = setUp({ count: 2 });
    for (const lane of all) send(lane);
    const first = lanes.choose();
    if (first !== undefined) unfit.add(first.connection);
    const second = lanes.choose();
    expect(second).not.toBe(first);
    expect([first?.isLeaving, second?.isLeaving]).toEqual([true, false]);
  });

  it('is none on which a query is slow, until that is answered', async () => {
    const { clock, lanes, all, send } = setUp({ count: 2 });
    // A lane is slow compared with what an answer takes.
    for (const lane of all) {
      send(lane);
      lane.connection.fake.answer();
    }
    const slow = send(all[0]);
    send(all[1]);
    for (let millis = 0; millis < 40; millis += 1) {
      await clock.advance(1);
      all[1]?.connection.fake.answer();
      send(all[1]);
    }
    expect([slow.wasSlow, all[0]?.isSlow, all[1]?.isSlow]).toEqual([true, true, false]);
    expect(lanes.choose()).toBe(all[1]);
    all[0]?.connection.fake.answer();
    expect(all[0]?.hasRoom).toBe(true);
  });

  it('is never full, leaving or slow, and is as young as any that is not', () => {
    const step = fc.record({ lane: fc.nat(4), what: fc.constantFrom('send', 'answer', 'leave', 'wait') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { clock, lanes, all, send } = setUp({ count: 5, depth: 3 });
        for (const { lane: index, what } of steps) {
          const lane = all[index];
          if (lane === undefined) continue;
          if (what === 'send' && lane.size < 3) send(lane);
          if (what === 'answer') lane.connection.fake.answer();
          if (what === 'leave') lane.isLeaving = true;
          if (what === 'wait') clock.advance(1).catch(() => undefined);
          const chosen = lanes.choose();
          const able = all.filter(({ hasRoom }) => hasRoom);
          expect(chosen === undefined).toBe(able.length === 0);
          if (chosen === undefined) continue;
          expect(chosen.size).toBeLessThan(3);
          expect(able.every(({ progressAt }) => progressAt <= chosen.progressAt)).toBe(true);
        }
      }),
    );
  });
});

describe('callers that need a connection of their own', () => {
  it('get the lanes that are empty soonest', () => {
    const { lanes, all, send } = setUp();
    for (const [index, lane] of all.entries()) for (let count = 0; count <= index; count += 1) send(lane);
    lanes.reserve(2);
    expect(all.map(({ isLeaving }) => isLeaving)).toEqual([true, true, false]);
    lanes.reserve(1);
    expect(all.map(({ isLeaving }) => isLeaving)).toEqual([true, true, false]);
    lanes.reserve(9);
    expect(all.map(({ isLeaving }) => isLeaving)).toEqual([true, true, true]);
  });

  it('get one that others use, whatever else leaves: that may take as long as it likes', () => {
    const { lanes, all, send } = setUp();
    for (const lane of all) send(lane);
    const [first] = all;
    if (first !== undefined) first.isLeaving = true;
    lanes.reserve(1);
    expect(all.map(({ isLeaving }) => isLeaving)).toEqual([true, true, false]);
    lanes.reserve(1);
    expect(all.map(({ isLeaving }) => isLeaving)).toEqual([true, true, false]);
  });
});
