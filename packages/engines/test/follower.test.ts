import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  type EngineFollower,
  type FollowEngineOptions,
  type FollowerHeldEvent,
  type FollowerSwitchedEvent,
  followerHeld,
  followerSwitched,
} from '../src/index.ts';
import { until } from './engine.contract.ts';
import { FollowedService, hurried, pause, primary, secondary } from './stand-ins/followed-service.ts';
import { answersOf, ScriptedClients } from './stand-ins/postgres-clients.ts';
import type { ScriptedEngine } from './stand-ins/scripted-engine.ts';

let db: FollowedService;
let engine: ScriptedEngine;
let held: FollowerHeldEvent[];
let switched: FollowerSwitchedEvent[];
let follower: EngineFollower;

beforeEach(async () => {
  db = await FollowedService.start();
  engine = db.engine;
  held = [];
  switched = [];
  const ends = [
    followerHeld.subscribe((event) => held.push(event)),
    followerSwitched.subscribe((event) => switched.push(event)),
  ];
  onTestFinished(() => {
    for (const end of ends) end();
  });
});

describe('a follower', () => {
  it('switches the Service to the leader that the engine names and that confirms it', async () => {
    await follow();
    db.promote();
    engine.lead('b');
    await until('the switch', async () => (await db.target()) === secondary);
    await until('its end', () => follower.status().settled);
    expect(follower.status()).toMatchObject({
      holdsLease: true,
      target: secondary,
      hold: undefined,
      confirmed: { member: 'b', timeline: 2, systemIdentifier: '7' },
      lastSwitch: { result: 'switched', from: primary, to: secondary, reason: 'scripted names b' },
    });
    expect(switched).toMatchObject([{ from: primary, to: secondary, member: 'b', timeline: 2, dryRun: false }]);
    await follower.close();
    expect(db.clients.open).toBe(0);
  });

  it('follows one switch after the other, back and forth', async () => {
    await follow();
    for (const [to, member] of [
      [secondary, 'b'],
      [primary, 'a'],
      [secondary, 'b'],
    ] as const) {
      db.promote(to);
      engine.lead(member);
      await until(`the switch to ${to}`, async () => (await db.target()) === to && follower.status().settled);
    }
    expect(switched.map(({ to }) => to)).toEqual([secondary, primary, secondary]);
  });

  it('waits for a leader that is still being promoted', async () => {
    await follow();
    engine.lead('b');
    await until('a look', () => follower.status().hold?.reason === 'not-writable');
    await pause(100);
    expect(await db.target()).toBe(primary);
    db.promote();
    await until('the switch', async () => (await db.target()) === secondary);
    expect(held).toEqual([]);
  });

  it('asks a standby again in one session, and does not open another for each look', async () => {
    await follow({ probeTimeoutMillis: 20_000 });
    engine.lead('b');
    await until('a session', () => db.clients.opened.includes(secondary));
    await pause(100);
    db.promote();
    await until('the switch', async () => (await db.target()) === secondary);
    expect(db.clients.opened.filter((host) => host === secondary)).toHaveLength(1);
  });

  it('turns from a leader that is still being promoted as soon as the engine names another', async () => {
    await follow({ probeTimeoutMillis: 60_000 });
    engine.lead('b');
    await until('a session', () => db.clients.opened.includes(secondary));
    engine.lead('a');
    await until('the leader', () => follower.status().settled);
    expect(await db.target()).toBe(primary);
    expect(switched).toEqual([]);
  });

  it('waits for an old target that is silent while the new one is promoted, and not once more after it', async () => {
    await follow({ probeTimeoutMillis: 2_000 });
    db.clients.gate = (host) => (host === primary ? new Promise(() => {}) : undefined);
    const before = db.clients.opened.length;
    engine.lead('b');
    await until('the look', () => db.clients.opened.slice(before).includes(primary));
    db.promote();
    await until('the switch', async () => (await db.target()) === secondary);
    expect(db.clients.opened.slice(before).filter((host) => host === primary)).toHaveLength(1);
  });

  it('brings back a Service that was pointed to another member by hand', async () => {
    await follow();
    await until('the leader', () => follower.status().settled);
    db.server(secondary).inRecovery = true;
    await db.point(secondary);
    await until(
      'the switch back',
      async () => (await db.target()) === primary && follower.status().settled && switched.length > 0,
    );
    expect(switched).toMatchObject([{ from: secondary, to: primary }]);
  });

  it('tells in a dry run what it would do, changes nothing, and takes no Lease from one that switches', async () => {
    await follow({ dryRun: true });
    db.promote();
    engine.lead('b');
    await until('the dry run', () => switched.length > 0);
    expect(switched).toMatchObject([{ dryRun: true, to: secondary }]);
    expect(await db.target()).toBe(primary);
    expect(await db.lease()).toBeUndefined();
  });

  it('is ready while the Service points to the leader or another replica holds the Lease, and not while a guard holds', async () => {
    const begunAt = performance.now();
    await follow();
    expect(follower.status()).toMatchObject({
      ready: true,
      service: 'db.default.svc.cluster.local',
      engineName: 'scripted',
    });
    expect(follower.status().engineHeardMillisAgo).toBeGreaterThanOrEqual(0);
    expect(follower.status().engineHeardMillisAgo).toBeLessThanOrEqual(performance.now() - begunAt);
    const holder = follower;
    await follow({}, false);
    await until('the other to wait', () => follower.status().hold?.reason === 'standby' && follower.status().ready);
    engine.tell({ state: 'unknown', reason: 'paused', detail: 'patronictl resume' });
    await until('the hold', () => holder.status().hold?.reason === 'paused');
    expect(holder.status().ready).toBe(false);
  });

  it('needs no Lease if there is only one, and then writes none', async () => {
    await follow({ lease: false });
    db.promote();
    engine.lead('b');
    await until('the switch', async () => (await db.target()) === secondary && follower.status().settled);
    expect(await db.lease()).toBeUndefined();
  });

  it('does nothing after it was closed, or its signal fired', async () => {
    const controller = new AbortController();
    await follow({ signal: controller.signal });
    controller.abort();
    await follower.close();
    db.promote();
    engine.lead('b');
    await pause(100);
    expect(await db.target()).toBe(primary);
    expect((await db.lease())?.spec).toMatchObject({ holderIdentity: '' });
  });
});

describe('a follower does not switch', () => {
  it.each([
    ['paused', { state: 'unknown', reason: 'paused', detail: 'patronictl resume' }],
    ['unlocked', { state: 'unknown', reason: 'unlocked', detail: 'no lock' }],
    ['no-quorum', { state: 'unknown', reason: 'no-quorum', detail: 'etcd' }],
    ['two-leaders', { state: 'unknown', reason: 'two-leaders', detail: 'a and b' }],
    ['stale', { state: 'unknown', reason: 'stale', detail: 'old' }],
    ['doubt', { state: 'unknown', reason: 'doubt', detail: '?' }],
    ['releasing', { state: 'releasing', member: 'a', to: 'b' }],
  ] as const)('while the engine says %s', async (reason, state) => {
    await follow();
    db.promote();
    engine.tell(state);
    await refused(reason);
    engine.lead('b');
    await until('the switch after it', async () => (await db.target()) === secondary);
  });

  it('while the engine gives no answer', async () => {
    await follow();
    db.promote();
    engine.isDown = true;
    engine.tell({ state: 'leader', member: 'b' });
    await refused('unreachable');
  });

  it('to a leader that was pushed, but that the engine does not name when it is asked (a stale API)', async () => {
    await follow();
    db.promote();
    // The look that the push causes is answered from a cache; the look before the patch by the engine.
    engine.next.push({ state: 'leader', member: 'b' });
    engine.tell({ state: 'leader', member: 'a' });
    await until('two looks', () => engine.reads >= 4);
    await until(
      'the engine to be heard',
      () => follower.status().engine?.state === 'leader' && follower.status().settled,
    );
    expect(await db.target()).toBe(primary);
    expect(switched).toEqual([]);
  });

  it('to a member that says itself that it does not lead', async () => {
    await follow();
    db.promote();
    engine.words.set('b', { leads: false, detail: 'b: it says that it is replica, running' });
    engine.lead('b');
    await refused('not-leading');
    engine.words.delete('b');
    await until('the switch after it', async () => (await db.target()) === secondary);
  });

  it.each([
    ['is a standby', { inRecovery: true }],
    // The session is asked for the role itself: whatever stands before the server may hand out transaction ids.
    ['is a standby', { inRecovery: true, assignsIds: true }],
    ['is read-only', { readOnly: true, inRecovery: false }],
    ['is read-only', { readOnly: true, inRecovery: false, assignsIds: true }],
    ['is read-only', { inRecovery: false, assignsIds: false }],
  ])('to a leader that %s, and takes no writes: %o', async (why, change) => {
    await follow();
    db.promote();
    Object.assign(db.server(secondary), change);
    engine.lead('b');
    await refused('not-writable');
    expect(follower.status().hold?.detail).toContain(why);
  });

  it('to a leader that is still a standby when the patience for its promotion is over', async () => {
    follower = db.follow({ lease: false }, { clock: hurried(20) });
    await until('the first leader', () => follower.status().settled);
    db.promote();
    db.server(secondary).inRecovery = true;
    engine.lead('b');
    await refused('not-writable');
    // A minute of the follower, which gives a promotion ten seconds.
    await pause(3_000);
    await refused('not-writable');
    expect(held.map(({ reason }) => reason)).toEqual(['not-writable']);
  });

  it('to a leader whose server refuses connections', async () => {
    await follow();
    db.promote();
    db.clients.down.add(secondary);
    engine.lead('b');
    await refused('not-writable');
  });

  it('to a leader on which the write of the caller fails', async () => {
    const failing = new ScriptedClients((host, query) => {
      if (query === 'insert into heartbeat default values')
        throw new Error('could not extend file: No space left on device');
      return answersOf(db.server(host), query);
    });
    await follow({ client: failing.client, writeStatement: 'insert into heartbeat default values' }, false);
    db.promote();
    engine.lead('b');
    await refused('not-writable');
    expect(follower.status().hold?.detail).toContain('No space left');
  });

  it('to a leader on a lower timeline than the last one', async () => {
    db.server(primary).timeline = 5;
    await follow();
    db.promote(secondary, 4);
    engine.lead('b');
    await refused('older-timeline');
  });

  it('to a leader that is not a copy of the last one', async () => {
    await follow();
    db.promote();
    db.server(secondary).system = '8';
    engine.lead('b');
    await refused('different-system');
  });

  it('to a member without a name in targets', async () => {
    await follow();
    db.promote();
    engine.lead('c');
    await refused('member-not-allowed');
  });

  it('while the old target still takes writes', async () => {
    await follow();
    db.promote();
    Object.assign(db.server(primary), { inRecovery: false });
    engine.lead('b');
    await refused('switch-refused');
    expect(held).toMatchObject([
      { reason: 'switch-refused', member: 'b', detail: expect.stringContaining('split-brain') },
    ]);
  });

  it('a Service that somebody pointed elsewhere', async () => {
    await follow();
    await db.point('other.example.com');
    db.promote();
    engine.lead('b');
    await until('the hold', () => follower.status().hold?.reason === 'service-elsewhere');
    expect(await db.target()).toBe('other.example.com');
  });

  it('while the Kubernetes API gives no answer', async () => {
    await follow({ requestTimeoutMillis: 200 });
    db.promote();
    db.cluster.api.fault({ kind: 'refusing' });
    engine.lead('b');
    await until('the hold', () => held.some(({ reason }) => ['service-unknown', 'standby'].includes(reason)));
    db.cluster.api.heal();
    await until('the switch after it', async () => (await db.target()) === secondary);
  });
});

async function follow(options: Partial<FollowEngineOptions> = {}, settles = true): Promise<void> {
  follower = db.follow(options);
  if (settles) await until('the first leader', () => follower.status().settled);
}

/** The follower holds for that reason, and the Service stays. */
async function refused(reason: FollowerHeldEvent['reason']): Promise<void> {
  await until(`the hold ${reason}`, () => follower.status().hold?.reason === reason);
  await pause(100);
  expect(await db.target()).toBe(primary);
  expect(switched).toEqual([]);
}
