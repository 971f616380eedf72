import {
  type EngineFollower,
  followEngine,
  followerSwitched,
  type HaEngine,
  patroniEngine,
} from '@externalname/engines';
import { kubernetesSource } from '@externalname/kubernetes';
import { LocalCluster } from '@externalname/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KubeClient } from '../contract/control-plane/kube-client.ts';
import { RealControlPlane } from '../contract/control-plane/real-control-plane.ts';
import { PatroniCluster } from './support/patroni-cluster.ts';
import { etcdBinary, kubernetesAssets, missing, patroniPackages, postgresPrograms, until } from './support/programs.ts';
import { report } from './support/report.ts';
import { Writers } from './support/writers.ts';

// How many planned switches and crashes. Each switch takes Patroni some seconds, each crash its 20 s ttl.
const switches = Number(process.env['ENGINES_SWITCHES'] ?? 10);
const crashes = Number(process.env['ENGINES_CRASHES'] ?? 1);
const limits = { medianMillis: 300, worstMillis: 1_000 };

const skipped = missing(
  ['Patroni', patroniPackages],
  ['etcd', etcdBinary],
  ['all programs of PostgreSQL', postgresPrograms],
);
const names = { a: 'a-db.example.com', b: 'b-db.example.com' } as const;

const api = kubernetesAssets === undefined ? "LocalCluster's API" : 'a real kube-apiserver';

describe.skipIf(skipped !== undefined)(`Patroni over etcd, ${api}, and a pool`, () => {
  let patroni: PatroniCluster;
  let plane: { readonly kubeconfig: string; readonly admin: KubeClient; stop(): Promise<void> };
  let dns: LocalCluster;
  let writers: Writers;

  beforeAll(async () => {
    patroni = await PatroniCluster.start();
    const { a, b } = patroni.nodes;
    dns = await LocalCluster.start({ hosts: { [names.a]: [a.address], [names.b]: [b.address] } });
    plane = kubernetesAssets === undefined ? await localPlane(dns) : await RealControlPlane.start(kubernetesAssets);
    await plane.admin.must('POST', '/api/v1/namespaces/default/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'db' },
      spec: { type: 'ExternalName', externalName: names.a },
    });
    writers = new Writers({
      service: 'db',
      source: kubernetesSource({ service: 'db', namespace: 'default', kubeConfig: plane.kubeconfig }),
      allowedTargets: Object.values(names),
      allowedNetworks: ['127.0.0.0/8'],
      dns: { nameservers: [dns.nameserver] },
      port: patroni.port,
      user: 'postgres',
      database: 'postgres',
      ssl: false,
      max: 8,
      failoverTimeoutMillis: 60_000,
      attemptTimeoutMillis: 1_000,
    });
    await writers.start(8);
  });

  afterAll(async () => {
    await writers?.stop();
    await writers?.pool.end();
    await Promise.all([patroni?.stop(), plane?.stop(), dns?.close()]);
  });

  const engines: Record<string, () => HaEngine> = {
    REST: () => patroniEngine({ scope: 'demo', members: [patroni.nodes.a.rest, patroni.nodes.b.rest] }),
    etcd: () => patroniEngine({ scope: 'demo', etcd: { endpoints: [patroni.etcd] } }),
  };
  let leader: 'a' | 'b' = 'a';
  let afterPromotion: number[] = [];

  it.each(['etcd', 'REST'])(
    'writes again soon after each planned switch, by %s',
    { timeout: 100_000 + switches * 30_000 },
    async (way) => {
      const times = await withFollower((engines[way] as () => HaEngine)(), async () => {
        const each: number[] = [];
        afterPromotion = [];
        for (let count = 0; count < switches; count += 1) each.push(await plannedSwitch());
        return each;
      });
      await judged();
      expect(await pointsTo()).toBe(names[leader]);
      report(`planned switches by ${way}, from the leader's key in etcd to the first write`, times, limits);
      report(`planned switches by ${way}, from the end of the promotion to the first write`, afterPromotion);
    },
  );

  it('changes nothing while Patroni is paused, and nothing without a leader', async () => {
    await withFollower(engines['etcd']?.() as HaEngine, async (follower) => {
      await until('the leader', () => follower.status().settled);
      await patroni.pause(true);
      await until('the hold', () => follower.status().hold?.reason === 'paused');
      const seen = followerSwitched.subscribe(() => expect.unreachable('switched while paused'));
      await plane.admin.must(
        'PATCH',
        '/api/v1/namespaces/default/services/db',
        [{ op: 'replace', path: '/spec/externalName', value: names[other()] }],
        'application/json-patch+json',
      );
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      expect(await pointsTo()).toBe(names[other()]);
      seen();
      await patroni.pause(false);
      await until('the switch back', async () => (await pointsTo()) === names[leader]);
    });
  });

  it('writes again after each kill -9 of the leader', { timeout: 100_000 + crashes * 120_000 }, async () => {
    const times = await withFollower(engines['etcd']?.() as HaEngine, async () => {
      const each: number[] = [];
      for (let count = 0; count < crashes; count += 1) each.push(await crash());
      return each;
    });
    await judged();
    report("kill -9, from the leader's key in etcd to the first write", times);
  });

  it('has lost no acknowledged write, none is there twice, and none hangs', async () => {
    await writers.stop();
    await judged();
  });

  async function judged(): Promise<void> {
    const said = await writers.judge();
    console.info(`engines: ${JSON.stringify(said)}`);
    expect(said).toMatchObject({ lost: 0, twice: 0, hung: 0 });
    expect(said.acknowledged).toBeGreaterThan(0);
  }

  async function withFollower<T>(engine: HaEngine, work: (follower: EngineFollower) => Promise<T>): Promise<T> {
    const follower = followEngine({
      engine,
      service: 'db',
      namespace: 'default',
      kubeConfig: plane.kubeconfig,
      targets: names,
      client: clientFor,
    });
    try {
      await until('the follower', () => follower.status().settled);
      return await work(follower);
    } catch (error) {
      throw new Error(
        `${error instanceof Error ? error.message : error}; ${JSON.stringify({ ...follower.status(), lastSwitch: undefined })}`,
        { cause: error },
      );
    } finally {
      await follower.close();
      await engine.close();
    }
  }

  function clientFor(host: string): Client {
    const address = host === names.a ? patroni.nodes.a.address : patroni.nodes.b.address;
    return new Client({
      host: address,
      port: patroni.port,
      user: 'postgres',
      database: 'postgres',
      connectionTimeoutMillis: 1_000,
    });
  }

  /** The moment when the server itself takes writes: what comes before is Patroni's promotion. */
  async function promoted(member: 'a' | 'b'): Promise<number> {
    const client = clientFor(names[member]);
    client.on('error', () => undefined);
    await client.connect();
    try {
      for (;;) {
        const { rows } = await client.query('select pg_is_in_recovery() as waits');
        if (rows[0]?.waits === false) return performance.now();
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** From the moment when etcd has the name of the new leader, to the first write there. */
  async function plannedSwitch(): Promise<number> {
    const to = other();
    await until(`${to} to be the synchronous standby`, () => patroni.is(to, 'sync'));
    const [named, writable] = [leaderNamed(to), promoted(to)];
    const first = writers.first(patroni.nodes[to].address, 30_000);
    await patroni.switchover(to);
    leader = to;
    const [{ at }, namedAt, writableAt] = await Promise.all([first, named, writable]);
    afterPromotion.push(at - Math.max(namedAt, writableAt));
    return at - namedAt;
  }

  async function crash(): Promise<number> {
    const [from, to] = [leader, other()];
    await until(`${to} to be the synchronous standby`, () => patroni.is(to, 'sync'), 90_000);
    const named = leaderNamed(to);
    const first = writers.first(patroni.nodes[to].address, 60_000);
    await patroni.kill(from);
    leader = to;
    const millis = (await first).at - (await named);
    patroni.startMember(from);
    return millis;
  }

  function other(): 'a' | 'b' {
    return leader === 'a' ? 'b' : 'a';
  }

  /** Watches the key itself, so that the time that the engine takes to notice counts. */
  async function leaderNamed(member: string): Promise<number> {
    const key = Buffer.from('/service/demo/leader').toString('base64');
    const body = JSON.stringify({ create_request: { key } });
    const response = await fetch(`${patroni.etcd}/v3/watch`, { method: 'POST', body });
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      const text = Buffer.from(chunk).toString();
      if (text.includes(`"value":"${Buffer.from(member).toString('base64')}"`)) return performance.now();
    }
    throw new Error('the watch of the test ended');
  }

  async function pointsTo(): Promise<unknown> {
    const { spec } = (await plane.admin.must('GET', '/api/v1/namespaces/default/services/db')) as {
      spec?: { externalName?: string };
    };
    return spec?.externalName;
  }
});

/** Where no kube-apiserver is built. */
async function localPlane(cluster: LocalCluster) {
  const kubeconfig = await cluster.writeKubeconfig();
  return { kubeconfig, admin: KubeClient.fromFile(kubeconfig), stop: async () => {} };
}
