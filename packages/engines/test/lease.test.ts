import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type EngineFollower, type FollowerLeaseEvent, followerLease } from '../src/index.ts';
import { until } from './engine.contract.ts';
import { FollowedService, pause, primary, secondary } from './stand-ins/followed-service.ts';
import type { ScriptedEngine } from './stand-ins/scripted-engine.ts';

let db: FollowedService;
let engine: ScriptedEngine;
let leases: FollowerLeaseEvent[];

beforeEach(async () => {
  db = await FollowedService.start();
  engine = db.engine;
  leases = [];
  const end = followerLease.subscribe((event) => leases.push(event));
  onTestFinished(end);
});

describe('replicas of a follower', () => {
  it('let one of them switch, and the next one when it is closed', async () => {
    const [one, other] = [follow('one'), follow('other')];
    await until('a holder', () => [one, other].some((each) => each.status().settled));
    const [holder, waiting] = one.status().settled ? [one, other] : [other, one];
    await until('the other to wait', () => waiting.status().hold?.reason === 'standby');
    db.promote();
    engine.lead('b');
    await until('the switch', async () => (await db.target()) === secondary && holder.status().settled);
    expect(waiting.status().lastSwitch).toBeUndefined();
    await holder.close();
    await until('the next holder', () => waiting.status().settled);
    expect(waiting.status().confirmed).toEqual({ member: 'b', timeline: 2, systemIdentifier: '7' });
  });

  it('take over from one that is gone, after its time, and not before', async () => {
    await steal(3);
    const startedAt = performance.now();
    const follower = follow('one');
    await until('the Lease', () => follower.status().holdsLease);
    expect(performance.now() - startedAt).toBeGreaterThan(2_900);
    await until('the leader', () => follower.status().settled);
    expect(leases).toMatchObject([{ lease: 'db-follower', identity: 'one', held: true }]);
    expect((await db.lease())?.spec).toMatchObject({
      holderIdentity: 'one',
      leaseDurationSeconds: 3,
      leaseTransitions: 1,
    });
  });

  it('end a switch before the patch if the Lease is taken in the middle', async () => {
    const follower = follow('one');
    await until('the leader', () => follower.status().settled);
    db.promote();
    const gate = holdLookAtOldTarget();
    engine.lead('b');
    await gate.reached;
    const before = await version();
    // The other look, which asks the server for the Lease, is over: what is lost now is only learned by the renewal.
    await until('the Lease to be confirmed', async () => (await version()) !== before);
    await pause(50);
    await steal(60);
    await until('the loss', () => leases.some(({ held }) => !held));
    gate.open();
    await until('the hold', () => follower.status().hold?.reason === 'standby');
    await pause(100);
    expect(await db.target()).toBe(primary);
    expect(follower.status()).toMatchObject({ holdsLease: false, lastSwitch: undefined });
  });

  it('ask the server for the Lease right before the patch, whatever they believe', async () => {
    const follower = follow('one', 60_000);
    await until('the leader', () => follower.status().settled);
    await steal(60);
    db.promote();
    engine.lead('b');
    await until('the hold', () => follower.status().hold?.reason === 'standby');
    await pause(100);
    expect(await db.target()).toBe(primary);
  });

  it('lose it if it cannot be renewed, before another may take it, and get it again', async () => {
    const follower = follow('one');
    await until('the leader', () => follower.status().settled);
    db.cluster.api.fault({ kind: 'refusing' });
    await until('the loss', () => !follower.status().holdsLease);
    db.cluster.api.heal();
    await until('the Lease again', () => follower.status().holdsLease);
  });

  it('hand on the timeline that must not go back', async () => {
    Object.assign(db.server(primary), { timeline: 9 });
    const one = follow('one');
    await until('the leader', () => one.status().settled);
    await until(
      'the record',
      async () => (await db.lease())?.metadata.annotations?.['follow.externalname/timeline'] === '9',
    );
    await one.close();
    Object.assign(db.server(primary), { timeline: 3 });
    db.promote(secondary, 4);
    const other = follow('other');
    engine.lead('b');
    await until('the hold', () => other.status().hold?.reason === 'older-timeline');
    expect(await db.target()).toBe(primary);
  });
});

function follow(identity: string, durationMillis = 3_000): EngineFollower {
  const lease = { identity, durationMillis };
  return db.follow({ lease, requestTimeoutMillis: 500, probeTimeoutMillis: 10_000 });
}

/** Lets the look at the old target wait, which a switch takes right before its patch. */
function holdLookAtOldTarget(): { readonly reached: Promise<void>; readonly open: () => void } {
  let open = () => {};
  let isReached = () => {};
  const reached = new Promise<void>((resolve) => {
    isReached = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  db.clients.gate = (host, query) => {
    if (host !== primary || !query.includes('replay_delay')) return undefined;
    isReached();
    return gate;
  };
  return { reached, open };
}

/** Another process takes the Lease. */
async function steal(leaseDurationSeconds: number): Promise<void> {
  const resourceVersion = await version();
  await db.cluster.objects.apply({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'db-follower', namespace: 'default', ...(resourceVersion !== undefined && { resourceVersion }) },
    spec: { holderIdentity: 'thief', leaseDurationSeconds, renewTime: '2026-11-29T00:00:00.000000Z' },
  } as Parameters<FollowedService['cluster']['objects']['apply']>[0]);
}

async function version(): Promise<string | undefined> {
  return (await db.lease())?.metadata.resourceVersion;
}
