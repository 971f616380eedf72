import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type EngineFollower, type FollowerLeaseEvent, followEngine, followerLease } from '../src/index.ts';
import { until } from './engine.contract.ts';
import { answersOf, ScriptedClients, type ScriptedPostgres } from './stand-ins/postgres-clients.ts';
import { ScriptedEngine } from './stand-ins/scripted-engine.ts';

const [primary, secondary] = ['primary-db.example.com', 'secondary-db.example.com'];
const leaseKind = ['coordination.k8s.io/v1', 'Lease', 'default', 'db-follower'] as const;

let cluster: LocalCluster;
let kubeConfig: string;
let servers: Record<string, ScriptedPostgres>;
let clients: ScriptedClients;
let engine: ScriptedEngine;
let leases: FollowerLeaseEvent[];

beforeEach(async () => {
  cluster = await LocalCluster.start({
    services: [
      { metadata: { name: 'db', namespace: 'default' }, spec: { type: 'ExternalName', externalName: primary } },
    ],
  });
  kubeConfig = await cluster.writeKubeconfig();
  servers = {
    [primary]: { inRecovery: false, readOnly: false, timeline: 1, system: '7' },
    [secondary]: { inRecovery: true, readOnly: false, timeline: 1, system: '7' },
  };
  clients = new ScriptedClients((host, query) => answersOf(servers[host] as ScriptedPostgres, query));
  engine = new ScriptedEngine('a');
  leases = [];
  const end = followerLease.subscribe((event) => leases.push(event));
  onTestFinished(end);
});

afterEach(async () => {
  await engine.engine.close();
  await cluster.close();
});

describe('replicas of a follower', () => {
  it('let one of them switch, and the next one when it is closed', async () => {
    const [one, other] = [follow('one'), follow('other')];
    await until('a holder', () => [one, other].some((each) => each.status().settled));
    const [holder, waiting] = one.status().settled ? [one, other] : [other, one];
    await until('the other to wait', () => waiting.status().hold?.reason === 'standby');
    promote();
    engine.lead('b');
    await until('the switch', async () => (await target()) === secondary && holder.status().settled);
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
    const { spec } = await lease();
    expect(spec).toMatchObject({ holderIdentity: 'one', leaseDurationSeconds: 3, leaseTransitions: 1 });
  });

  it('end a switch before the patch if the Lease is taken in the middle', async () => {
    const follower = follow('one');
    await until('the leader', () => follower.status().settled);
    promote();
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
    expect(await target()).toBe(primary);
    expect(follower.status()).toMatchObject({ holdsLease: false, lastSwitch: undefined });
  });

  it('ask the server for the Lease right before the patch, whatever they believe', async () => {
    const follower = follow('one', 60_000);
    await until('the leader', () => follower.status().settled);
    await steal(60);
    promote();
    engine.lead('b');
    await until('the hold', () => follower.status().hold?.reason === 'standby');
    await pause(100);
    expect(await target()).toBe(primary);
  });

  it('lose it if it cannot be renewed, before another may take it, and get it again', async () => {
    const follower = follow('one');
    await until('the leader', () => follower.status().settled);
    cluster.api.fault({ kind: 'refusing' });
    await until('the loss', () => !follower.status().holdsLease);
    cluster.api.heal();
    await until('the Lease again', () => follower.status().holdsLease);
  });

  it('hand on the timeline that must not go back', async () => {
    Object.assign(servers[primary] as ScriptedPostgres, { timeline: 9 });
    const one = follow('one');
    await until('the leader', () => one.status().settled);
    await until(
      'the record',
      async () => (await lease()).metadata.annotations?.['follow.externalname/timeline'] === '9',
    );
    await one.close();
    Object.assign(servers[primary] as ScriptedPostgres, { timeline: 3 });
    promote(4);
    const other = follow('other');
    engine.lead('b');
    await until('the hold', () => other.status().hold?.reason === 'older-timeline');
    expect(await target()).toBe(primary);
  });
});

function follow(identity: string, durationMillis = 3_000): EngineFollower {
  const follower = followEngine({
    engine: engine.engine,
    service: 'db',
    namespace: 'default',
    kubeConfig,
    targets: { a: primary, b: secondary },
    client: clients.client,
    lease: { identity, durationMillis },
    requestTimeoutMillis: 500,
    probeTimeoutMillis: 10_000,
  });
  onTestFinished(() => follower.close());
  return follower;
}

function promote(timeline = 2): void {
  Object.assign(servers[primary] as ScriptedPostgres, { inRecovery: true });
  Object.assign(servers[secondary] as ScriptedPostgres, { inRecovery: false, timeline });
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
  clients.gate = (host, query) => {
    if (host !== primary || !query.includes('replay_delay')) return undefined;
    isReached();
    return gate;
  };
  return { reached, open };
}

/** Another process takes the Lease. */
async function steal(leaseDurationSeconds: number): Promise<void> {
  const before = await cluster.objects.get(...leaseKind).catch(() => undefined);
  const resourceVersion = before?.metadata.resourceVersion;
  await cluster.objects.apply({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'db-follower', namespace: 'default', ...(resourceVersion !== undefined && { resourceVersion }) },
    spec: { holderIdentity: 'thief', leaseDurationSeconds, renewTime: '2026-11-29T00:00:00.000000Z' },
  } as Parameters<LocalCluster['objects']['apply']>[0]);
}

async function lease(): Promise<{ metadata: { annotations?: Record<string, string> }; spec: object }> {
  return (await cluster.objects.get(...leaseKind)) as unknown as Awaited<ReturnType<typeof lease>>;
}

async function version(): Promise<string | undefined> {
  return (await cluster.objects.get(...leaseKind)).metadata.resourceVersion;
}

async function target(): Promise<unknown> {
  const { spec } = (await cluster.services.get('default', 'db')) as { spec?: { externalName?: unknown } };
  return spec?.externalName;
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
