import type { Target } from '@externalname/core';
import { Connections, type Epoch } from '@externalname/core/internal';
import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { FakeClient } from '../../test/support/fake-client.ts';
import { RoleReports } from '../connect/session-role.ts';
import { type DrainedEvent, drained, type SwitchEvent, switched } from '../events.ts';
import type { MadeConnection } from '../failover/connection-factory.ts';
import { PooledConnection } from './pooled-connection.ts';
import { Switching } from './switching.ts';

const target = (externalName: string) => ({ externalName, source: 'static', via: [] }) as unknown as Target;
const primary = target('primary-db.example.com');
const secondary = target('secondary-db.example.com');
const epochOf = (number: number): Epoch => ({ number, over: new AbortController().signal });

/** A pool's connections and what a switch does to them, with hooks that take as long as a test likes. */
function setUp({ max = 2, hook = async (): Promise<void> => undefined } = {}) {
  const clock = new ManualClock();
  let epoch = epochOf(0);
  const connections = new Connections<PooledConnection>(max, epoch);
  const factory = { target: primary, candidate: undefined as Target | undefined, suspect: () => undefined };
  const madeIdle: PooledConnection[] = [];
  const make = (): MadeConnection => ({
    client: FakeClient.connected(),
    endpoint: undefined,
    roles: new RoleReports(),
    epoch,
  });
  const adopt = (made: MadeConnection): PooledConnection =>
    new PooledConnection(made, {
      clock,
      forget: (each) => connections.drop(each),
      drained: () => switching.check(),
      releasePermit: () => undefined,
      closed: (each) => connections.forget(each),
      failed: () => undefined,
      ended: () => undefined,
      idleFailed: () => undefined,
      cancelStatement: async () => undefined,
    });
  const parts = {
    pool: { emit: () => true },
    settings: { name: 'webscaler-db', drainTimeoutMillis: 250, attemptTimeoutMillis: 5_000 },
    clock,
    factory,
    connections,
    preparation: { adopt, runHook: hook },
    lending: { isOver: false, makeIdle: (each: PooledConnection) => madeIdle.push(each) },
  };
  const switching: Switching = new Switching(parts as unknown as ConstructorParameters<typeof Switching>[0]);
  const add = (state: 'idle' | 'lent') => {
    const connection = adopt(make());
    connections.add(connection);
    const client = connection.client as unknown as FakeClient;
    client.on('error', () => undefined);
    if (state === 'lent') {
      connection.lend('application', {});
      client.begin({ inTransaction: true });
    } else {
      connection.rest(0, false, () => undefined);
      connections.giveBack(connection);
    }
    return { connection, client };
  };
  const switchTo = (to: Target, first = false) => {
    const previous = factory.target;
    factory.target = to;
    epoch = epochOf(epoch.number + 1);
    switching.switchTo({ target: to, previous, epoch, decisionMillis: 40, first: first ? make() : undefined });
    switching.check();
  };
  return { clock, connections, factory, switching, add, switchTo, madeIdle };
}

describe('a switch', () => {
  it('lends nothing that is idle any more, and closes it when callers have had their turn', async () => {
    const { add, switchTo, connections } = setUp();
    const { connection } = add('idle');
    switchTo(secondary);
    expect([connections.total, connections.idleCount, connections.borrow()]).toEqual([0, 0, undefined]);
    expect(connection.state).toBe('idle');
    await new Promise((resolve) => setImmediate(resolve));
    expect(connection.state).toBe('closed');
  });

  it('lets what is in use go on for the drain time, to the millisecond', async () => {
    const { clock, add, switchTo, connections } = setUp();
    const lent = add('lent');
    switchTo(secondary);
    expect(lent.connection.state).toBe('lent');
    expect([connections.total, connections.drainingCount]).toEqual([0, 1]);
    await clock.advance(249);
    expect(lent.connection.state).toBe('lent');
    await clock.advance(1);
    expect([lent.connection.state, lent.client.ended, connections.drainingCount]).toEqual(['closed', 'destroyed', 0]);
    expect(clock.pending).toBe(0);
  });

  it('is published once, and so is its end, with the time between', async () => {
    const { clock, add, switchTo } = setUp();
    const events: (SwitchEvent | DrainedEvent)[] = [];
    const stops = [switched.subscribe((event) => events.push(event)), drained.subscribe((event) => events.push(event))];
    add('idle');
    const { client } = add('lent');
    switchTo(secondary);
    await clock.advance(100);
    client.finish('I');
    await clock.advance(0);
    for (const stop of stops) stop();
    expect(events).toMatchObject([
      { from: primary.externalName, to: secondary.externalName, epoch: 1, idle: 1, draining: 1 },
      { to: secondary.externalName, epoch: 1, durationMillis: 100 },
    ]);
  });

  it('closes the longest draining ones if more than max would drain, by the name that they led to', async () => {
    const { add, switchTo, connections, clock } = setUp({ max: 1 });
    const old = add('lent');
    switchTo(secondary);
    const young = add('lent');
    switchTo(primary);
    expect([old.connection.state, young.connection.state]).toEqual(['closing', 'lent']);
    expect(connections.drainingCount).toBe(1);
    await clock.advance(250);
    expect(connections.open().size).toBe(0);
  });
});

describe('the connection that a switch begins with', () => {
  it('is idle when its hook is over; until then no other one is made', async () => {
    let finish: () => void = () => undefined;
    const { switchTo, switching, madeIdle, clock } = setUp({
      hook: () => new Promise((resolve) => (finish = resolve)),
    });
    switchTo(secondary, true);
    expect(switching.first).toBeDefined();
    finish();
    await clock.advance(0);
    expect(switching.first).toBeUndefined();
    expect(madeIdle).toHaveLength(1);
  });

  it('is given up when its hook takes longer than an attempt may', async () => {
    const { switchTo, switching, connections, clock } = setUp({ hook: () => new Promise(() => undefined) });
    switchTo(secondary, true);
    await clock.advance(4_999);
    expect([switching.first === undefined, connections.total]).toEqual([false, 1]);
    await clock.advance(1);
    expect([switching.first === undefined, connections.total]).toEqual([true, 0]);
  });

  it('is closed, and not made idle, when the Service points elsewhere before its hook is over', async () => {
    let finish: () => void = () => undefined;
    const { switchTo, madeIdle, connections, clock } = setUp({
      hook: () => new Promise((resolve) => (finish = resolve)),
    });
    switchTo(secondary, true);
    switchTo(primary);
    finish();
    await clock.advance(250);
    expect([madeIdle.length, connections.open().size]).toEqual([0, 0]);
  });
});

describe('drained()', () => {
  it('resolves at once if no switch is in progress', async () => {
    await setUp().switching.drained(undefined);
  });

  it('waits for the last connection of an earlier target, and for a candidate', async () => {
    const { clock, add, switchTo, switching, factory } = setUp();
    add('lent');
    switchTo(secondary);
    factory.candidate = primary;
    let isDrained = false;
    switching.drained(undefined).then(() => {
      isDrained = true;
    }, fail);
    await clock.advance(250);
    expect(isDrained).toBe(false);
    factory.candidate = undefined;
    switching.check();
    await clock.advance(0);
    expect(isDrained).toBe(true);
  });

  it('rejects with the reason of its signal, before and after it fires', async () => {
    const { add, switchTo, switching } = setUp();
    add('lent');
    switchTo(secondary);
    const controller = new AbortController();
    const waiting = switching.drained(controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(switching.drained(controller.signal)).rejects.toThrow('enough');
  });
});

function fail(error: unknown): never {
  throw error;
}
