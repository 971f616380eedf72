import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { FakeClient } from '../../test/support/fake-client.ts';
import { RoleReports } from '../connect/session-role.ts';
import { PooledConnection } from './pooled-connection.ts';

function setUp() {
  const clock = new ManualClock();
  const client = FakeClient.connected();
  const told: string[] = [];
  let cancelled: () => void = () => undefined;
  const connection: PooledConnection = new PooledConnection(
    {
      client,
      endpoint: undefined,
      roles: new RoleReports(),
      epoch: { number: 0, over: new AbortController().signal },
    },
    {
      clock,
      forget: ({ state }) => {
        told.push(`forgotten while ${state}`);
        return 'current';
      },
      drained: () => told.push('drained'),
      releasePermit: () => told.push('permit'),
      closed: (each, announced) => {
        told.push(announced ? 'closed' : 'closed, never announced');
        each.releasePermit();
      },
      failed: () => undefined,
      ended: () => undefined,
      idleFailed: (_, error) => told.push(`failed while idle: ${error.message}`),
      cancelStatement: () =>
        new Promise((resolve) => {
          cancelled = resolve;
        }),
    },
  );
  const lend = () => connection.lend('application', {});
  return { clock, client, connection, told, lend, cancelled: () => cancelled() };
}

describe('a pooled connection', () => {
  it('goes from hand to hand in one state at a time', () => {
    const { connection, lend } = setUp();
    const states = [connection.state];
    const note = () => states.push(connection.state);
    lend();
    note();
    connection.beginDelivery();
    note();
    connection.endDelivery();
    note();
    expect(connection.isOut).toBe(true);
    expect(connection.takeBack()).toBe('lent');
    note();
    connection.rest(0, false, () => undefined);
    note();
    connection.take();
    note();
    expect(states).toEqual(['preparing', 'lent', 'delivering', 'lent', 'returning', 'idle', 'preparing']);
  });

  it('that is released while it is being delivered says so, and does not become lent after that', () => {
    const { connection, lend } = setUp();
    lend();
    connection.beginDelivery();
    expect(connection.takeBack()).toBe('delivering');
    connection.endDelivery();
    expect(connection.state).toBe('returning');
  });

  it('that is lost while a caller has it is the caller’s until it is released', () => {
    const { connection, lend } = setUp();
    lend();
    connection.lose();
    expect([connection.state, connection.isOut]).toEqual(['lost', true]);
    expect(connection.takeBack()).toBe('lost');
  });

  it.each<[string, (connection: PooledConnection) => void]>([
    ['lend()', (each) => each.lend('query')],
    ['take()', (each) => each.take()],
    ['beginDelivery()', (each) => each.beginDelivery()],
    ['lose()', (each) => each.lose()],
    ['takeBack()', (each) => void each.takeBack()],
    ['close()', (each) => each.close()],
    ['abandon()', (each) => each.abandon()],
  ])('is not brought back by %s once it is closing', (_, act) => {
    const { connection, told } = setUp();
    connection.close();
    act(connection);
    expect(connection.state).toBe('closing');
    expect(told).toEqual(['forgotten while preparing']);
  });

  it('gets an error while it is idle, and its caller gets it while it is lent', () => {
    const { connection, client, told, lend } = setUp();
    connection.hearIdleErrors();
    client.emit('error', new Error('one'));
    lend();
    client.on('error', () => told.push('heard by its caller'));
    client.emit('error', new Error('two'));
    expect(told).toEqual(['failed while idle: one', 'heard by its caller']);
  });
});

describe('the idle time of a connection', () => {
  it('starts again each time that it becomes idle, on one timer', async () => {
    const { connection, clock, lend } = setUp();
    let expired = 0;
    const rest = () => connection.rest(300, false, () => void expired++);
    rest();
    await clock.advance(200);
    connection.take();
    lend();
    connection.takeBack();
    rest();
    expect(clock.pending).toBe(1);
    await clock.advance(299);
    expect(expired).toBe(0);
    await clock.advance(1);
    expect(expired).toBe(1);
  });

  it('does not run if there is none, and not after the end', async () => {
    const { connection, clock } = setUp();
    connection.rest(0, false, () => undefined);
    expect(clock.pending).toBe(0);
    connection.rest(300, false, () => undefined);
    connection.close();
    await clock.advance(0);
    expect(clock.pending).toBe(0);
  });
});

describe('the lifetime of a connection', () => {
  it('is reported to the millisecond, and not after the end', async () => {
    const { connection, clock } = setUp();
    let expired = 0;
    connection.expireAfter(60_000, () => void expired++);
    await clock.advance(59_999);
    expect(expired).toBe(0);
    await clock.advance(1);
    expect(expired).toBe(1);
    connection.expireAfter(60_000, () => void expired++);
    connection.close();
    await clock.advance(120_000);
    expect(expired).toBe(1);
    expect(clock.pending).toBe(0);
  });
});

describe('the end of a connection', () => {
  it('is polite, is reported once, and releases the permit', async () => {
    const { connection, client, clock, told, lend } = setUp();
    lend();
    connection.close();
    expect([connection.state, told]).toEqual(['closing', ['forgotten while lent']]);
    await clock.advance(0);
    expect([connection.state, client.ended, told]).toEqual([
      'closed',
      'politely',
      ['forgotten while lent', 'closed', 'permit'],
    ]);
    expect(clock.pending).toBe(0);
  });

  it('comes by force when the server says no goodbye for a second', async () => {
    const { connection, client, clock } = setUp();
    client.answersGoodbye = false;
    connection.close();
    await clock.advance(999);
    expect(connection.state).toBe('closing');
    await clock.advance(1);
    expect([connection.state, client.ended]).toEqual(['closed', 'destroyed']);
  });

  it('waits for the server to be asked to end what runs on it, while the place is free at once', async () => {
    const { connection, clock, told, lend, cancelled } = setUp();
    lend();
    connection.abandon();
    expect(told).toEqual(['permit', 'forgotten while lent']);
    await clock.advance(5_000);
    expect([connection.state, connection.isAbandoned]).toEqual(['closing', true]);
    cancelled();
    await clock.advance(0);
    expect(connection.state).toBe('closed');
  });

  it('is not reported to an application that never knew it', async () => {
    const { connection, clock, told } = setUp();
    connection.close('politely', false);
    await clock.advance(0);
    expect(told).toContain('closed, never announced');
  });
});

describe('a connection that drains', () => {
  const target = { externalName: 'primary-db.example.com' } as never;

  it('gives its permit back at once, and tells its holder when its statement is over', async () => {
    const { connection, client, clock, told, lend } = setUp();
    lend();
    client.begin();
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    connection.retire(target, 250);
    expect(told).toEqual(['permit']);
    client.finish();
    await clock.advance(0);
    expect(errors).toMatchObject([{ code: 'ERR_EXTERNALNAME_TARGET_RETIRED', outcome: 'not-executed' }]);
    expect(connection.state).toBe('closed');
    expect(clock.pending).toBe(0);
  });

  it('is closed after the drain time', async () => {
    const { connection, client, clock, lend } = setUp();
    lend();
    client.begin({ inTransaction: true });
    connection.retire(target, 250);
    await clock.advance(249);
    expect(connection.state).toBe('lent');
    await clock.advance(1);
    expect([connection.state, client.destroyedWith]).toMatchObject(['closed', { outcome: 'unknown' }]);
  });

  it('of pool.query() ends with the release, and gets no event', async () => {
    const { connection, client, clock } = setUp();
    connection.lend('query', {});
    client.begin();
    connection.retire(target, 250);
    client.finish();
    await clock.advance(100);
    expect(connection.state).toBe('lent');
  });
});
