import { type DnsAnswerEvent, dnsAnswerChannel, type SplitBrainEvent, splitBrainSeen } from '@externalname/core/events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  type ConnectEvent,
  connected,
  type OperationEvent,
  operationEnded,
  type ProbeEvent,
  serverProbed,
  type WaitEvent,
  waited,
} from '../src/index.ts';
import { itSince } from './support/postgres-version.ts';
import { nextSwitch, startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
const stops: (() => void)[] = [];

beforeAll(async () => {
  webscaler = await startWebscaler();
});

afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await webscaler.endPools();
});

afterAll(() => webscaler?.[Symbol.asyncDispose]());

/** What a channel tells from now on, until the test is over. */
function heard<Event extends object>(channel: {
  subscribe(listener: (event: Event) => void): () => void;
}): readonly Event[] {
  const events: Event[] = [];
  stops.push(channel.subscribe((event) => events.push(event)));
  return events;
}

describe('the end of a call', () => {
  it('is told with its duration, its attempts and the target', async () => {
    const pool = webscaler.pool();
    const events = heard<OperationEvent>(operationEnded);
    await pool.query('select 1');
    await pool.transaction((tx) => tx.query('select 1'));
    await new Promise((resolve) => pool.query('select 1', resolve));
    const told = { name: 'webscaler-db', attempts: 1, target: 'primary-db.example.com' };
    expect(events).toEqual(
      ['query', 'transaction', 'query'].map((operation) => ({
        ...told,
        operation,
        durationMillis: expect.any(Number),
      })),
    );
  });

  it('is told with the error that the caller gets, and its kind', async () => {
    const pool = webscaler.pool();
    const events = heard<OperationEvent>(operationEnded);
    const error = await pool.query('select 1/0').catch((cause: unknown) => cause);
    await expect(pool.transaction(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(events).toMatchObject([
      { operation: 'query', kind: 'statement', attempts: 1 },
      { operation: 'transaction', attempts: 1 },
    ]);
    expect(events[0]?.error).toBe(error);
  });

  it('says how often it was tried, and for how long after the first failure', async () => {
    const pool = webscaler.pool({ max: 1 });
    const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    const events = heard<OperationEvent>(operationEnded);
    const slow = pool.query({ text: 'select pg_sleep(0.4)', idempotent: true });
    await webscaler.pair.primary.query('select pg_sleep(0.2), pg_terminate_backend($1)', [rows[0]?.pid]);
    await slow;
    expect(events).toMatchObject([{ attempts: 2, retriedMillis: expect.any(Number) }]);
    expect(events[0]).not.toHaveProperty('error');
  });
});

describe('a wait for a connection', () => {
  it('is told if none was at hand, with its end', async () => {
    const pool = webscaler.pool({ max: 1 });
    const events = heard<WaitEvent>(waited);
    const client = await pool.connect();
    expect(events).toEqual([{ name: 'webscaler-db', durationMillis: expect.any(Number) }]);
    const waiting = pool.query('select 1');
    client.release();
    await waiting;
    expect(events).toHaveLength(2);
    await pool.query('select 1');
    expect(events).toHaveLength(2);
  });

  it('is told if the time is up, or the queue is full', async () => {
    const pool = webscaler.pool({ max: 1, connectionTimeoutMillis: 3_000, maxWaiting: 1 });
    const client = await pool.connect();
    const events = heard<WaitEvent>(waited);
    const waiting = pool.connect();
    const refused = pool.connect();
    await expect(refused).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TOO_MANY_WAITING' });
    await expect(waiting).rejects.toThrow('timeout exceeded');
    client.release();
    expect(events).toMatchObject([
      { durationMillis: 0, error: { code: 'ERR_EXTERNALNAME_TOO_MANY_WAITING' } },
      { kind: 'deadline' },
    ]);
    expect(events[1]?.durationMillis).toBeGreaterThanOrEqual(2_999);
  });
});

describe('a connection', () => {
  it('is told with the end of the certificate that the server showed', async () => {
    const events = heard<ConnectEvent>(connected);
    await webscaler.pool().query('select 1');
    expect(events).toMatchObject([{ target: 'primary-db.example.com', certificateExpiresAt: expect.any(Date) }]);
    expect(Number(events[0]?.certificateExpiresAt)).toBeGreaterThan(Date.now());
  });

  it('is told for a plain host as well, and so is its failure', async () => {
    const { Pool } = await import('../src/index.ts');
    const events = heard<ConnectEvent>(connected);
    await using pool = new Pool(webscaler.plainOptions());
    await pool.query('select 1');
    await using wrong = new Pool(webscaler.plainOptions({ password: 'wrong' }));
    await expect(wrong.query('select 1')).rejects.toMatchObject({ code: '28P01' });
    expect(events).toMatchObject([{ certificateExpiresAt: expect.any(Date) }, { kind: 'authentication' }]);
  });

  it('asks DNS, and says where each answer came from', async () => {
    const answers = heard<DnsAnswerEvent>(dnsAnswerChannel);
    const pool = webscaler.pool({ max: 2 });
    await pool.query('select 1');
    await Promise.all([pool.query('select 1'), pool.query('select 1')]);
    const facts = { from: 'server', result: 'found', elapsedMillis: expect.any(Number) };
    expect(answers).toContainEqual({ ...facts, name: 'webscaler-db.default.svc.cluster.local' });
    expect(answers).toContainEqual({ ...facts, name: 'primary-db.example.com', from: 'cache' });
  });
});

describe('status()', () => {
  it('counts connections by role and state, and says how old the word of the source is', async () => {
    const pool = webscaler.pool({ max: 3 });
    expect(pool.status()).toMatchObject({
      max: 3,
      connections: [],
      targetMillis: undefined,
      confirmedMillisAgo: undefined,
    });
    const client = await pool.connect();
    await pool.query('select 1');
    const connecting = pool.connect();
    const { connections, targetMillis, confirmedMillisAgo } = pool.status();
    expect(connections).toEqual(
      expect.arrayContaining([
        { role: 'primary', state: 'used', count: 1 },
        { role: 'primary', state: 'idle', count: 1 },
      ]),
    );
    expect(targetMillis).toBeGreaterThan(0);
    expect(confirmedMillisAgo).toBeGreaterThanOrEqual(0);
    (await connecting).release();
    client.release();
  });

  // With `any`, the role is known if the server reports it.
  itSince(14)('tells connections to an earlier target from those to the current one', async () => {
    const pool = webscaler.pool({ targetSessionAttrs: 'any' });
    const client = await pool.connect();
    await client.query('begin');
    const moved = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    expect((await moved).decisionMillis).toBeGreaterThan(0);
    await expect
      .poll(() => pool.status().connections)
      .toEqual(expect.arrayContaining([{ role: 'primary', state: 'draining', count: 1 }]));
    await client.query('commit');
    client.release();
    await pool.query('select 1');
    expect(pool.status().connections).toEqual([{ role: 'standby', state: 'idle', count: 1 }]);
    await webscaler.point('primary-db.example.com');
    await expect.poll(() => pool.status().target?.externalName, { timeout: 5_000 }).toBe('primary-db.example.com');
  });
});

describe('a server that falls silent', () => {
  it('is probed, and each probe is told', async () => {
    const pool = webscaler.pool({ liveness: { afterMillis: 200, intervalMillis: 200, failures: 1 } });
    await pool.query('select 1');
    const probes = heard<ProbeEvent>(serverProbed);
    await pool.query('select pg_sleep(0.6)');
    expect(probes[0]).toEqual({
      name: 'webscaler-db',
      address: `${webscaler.pair.primary.address}:${webscaler.pair.port}`,
      alive: true,
      durationMillis: expect.any(Number),
    });
  });
});

// The last one: from here on there are two primaries.
describe('two servers that take writes', () => {
  itSince(14)('are seen by a pool with ready sessions', async () => {
    const seen = heard<SplitBrainEvent>(splitBrainSeen);
    await webscaler.pool({ readySessions: 1 }).query('select 1');
    await webscaler.pair.standby.promote();
    const pool = webscaler.pool({ readySessions: 1 });
    await pool.query('select 1');
    await expect
      .poll(() => seen, { timeout: 10_000 })
      .toEqual([{ name: 'webscaler-db', targets: ['primary-db.example.com', 'secondary-db.example.com'] }]);
  });
});
