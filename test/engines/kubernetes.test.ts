import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseManifests } from '@externalname/core/manifests';
import { cnpgEngine, createEngine, type EngineState, followEngine, patroniEngine } from '@externalname/engines';
import { kubernetesSource } from '@externalname/kubernetes';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RealControlPlane } from '../contract/control-plane/real-control-plane.ts';
import { PatroniCluster } from './support/patroni-cluster.ts';
import { kubernetesAssets, missing, patroniPackages, postgresPrograms, until } from './support/programs.ts';
import { report } from './support/report.ts';
import { Writers } from './support/writers.ts';

const skipped = missing(['kube-apiserver', kubernetesAssets]);
const withoutPatroni = missing(['Patroni', patroniPackages], ['all programs of PostgreSQL', postgresPrograms]);
const services = '/api/v1/namespaces/default/services';
const clusters = (namespace: string) => `/apis/postgresql.cnpg.io/v1/namespaces/${namespace}/clusters`;
const merge = 'application/merge-patch+json';
const promotions = Number(process.env['ENGINES_PROMOTIONS'] ?? 4);

describe.skipIf(skipped !== undefined)('engines in a real kube-apiserver', () => {
  let plane: RealControlPlane;

  beforeAll(async () => {
    plane = await RealControlPlane.start(kubernetesAssets ?? '');
  });

  afterAll(() => plane?.stop());

  async function service(name: string, externalName: string): Promise<void> {
    const object = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { type: 'ExternalName', externalName },
    };
    await plane.admin.must('POST', services, object);
  }

  async function pointsTo(name: string): Promise<unknown> {
    const { spec } = (await plane.admin.must('GET', `${services}/${name}`)) as { spec?: { externalName?: string } };
    return spec?.externalName;
  }

  it('the Role to copy lets a follower switch, and lets it do nothing that it does not need', async () => {
    const text = readFileSync(resolve(import.meta.dirname, '../../packages/engines/deploy/follower.yaml'), 'utf8');
    const paths: Record<string, string> = {
      ServiceAccount: '/api/v1/namespaces/default/serviceaccounts',
      Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles',
      RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings',
      Deployment: '/apis/apps/v1/namespaces/default/deployments',
    };
    for (const document of documentsOf(text)) {
      await plane.admin.must('POST', `${paths[document.kind]}?fieldValidation=Strict`, document);
    }
    const review = await plane.admin.must('POST', `${paths['ServiceAccount']}/webscaler-db-follower/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 3600 },
    });
    const kubeConfig = plane.admin.withToken(String((review['status'] as { token?: unknown }).token)).config;
    await service('webscaler-db', 'a.example.com');
    let member = 'a';
    await using engine = createEngine(
      { name: 'scripted', read: async () => ({ state: 'leader', member }) },
      { pollMillis: 50 },
    );
    const writable = { in_recovery: false, read_only: false, xid: '7' };
    const client = () => ({
      connect: async () => undefined,
      query: async (query: string) => ({ rows: query.includes('txid_current') ? [writable] : [{ in_recovery: true }] }),
      end: async () => undefined,
      on: () => undefined,
    });
    const targets = { a: 'a.example.com', b: 'b.example.com' };
    await using follower = followEngine({
      engine,
      service: 'webscaler-db',
      namespace: 'default',
      kubeConfig,
      targets,
      client,
    });
    await until('the leader', () => follower.status().settled);
    member = 'b';
    await until(
      'the switch',
      async () => (await pointsTo('webscaler-db')) === 'b.example.com' && follower.status().settled,
    );
    const { lastSwitch } = follower.status();
    expect(lastSwitch).toMatchObject({ result: 'switched', warnings: [] });
    expect(lastSwitch?.steps.find(({ step }) => step === 'event')).toMatchObject({ state: 'done' });
  });

  it('CloudNativePG across clusters: writes again soon after the status says that the promotion is done', {
    timeout: 240_000,
  }, async () => {
    await plane.admin.must('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', clusterDefinition);
    await until('the CRD', async () => (await plane.admin.request('GET', clusters('default'))).status === 200);
    const pair = await PostgresPair.start();
    const dns = await LocalCluster.start({ hosts: pair.hosts });
    const sides = { east: pair.servers[0].hostName, west: pair.servers[1].hostName };
    for (const side of ['east', 'west'] as const) {
      await plane.admin.must('POST', '/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: side },
      });
      await plane.admin.must('POST', clusters(side), {
        apiVersion: 'postgresql.cnpg.io/v1',
        kind: 'Cluster',
        metadata: { name: 'pg' },
        spec: { instances: 2, replica: { self: side, primary: 'east', source: 'east' } },
      });
      await status(side, { currentPrimary: 'pg-1', targetPrimary: 'pg-1', phase: 'Cluster in healthy state' });
    }
    await service('cnpg-db', sides.east);
    const place = (namespace: string) => ({ cluster: 'pg', namespace, kubeConfig: plane.kubeconfig });
    await using engine = cnpgEngine({ clusters: { east: place('east'), west: place('west') } });
    await using follower = followEngine({
      engine,
      service: 'cnpg-db',
      namespace: 'default',
      kubeConfig: plane.kubeconfig,
      targets: sides,
      client: (host) => {
        const { address: at } = pair.server(host);
        const { port, user, password, database } = pair;
        const ssl = { ca: pair.ca, servername: host };
        return new Client({ host: at, port, user, password, database, ssl, connectionTimeoutMillis: 1_000 });
      },
    });
    const writers = new Writers({
      service: 'cnpg-db',
      source: kubernetesSource({ service: 'cnpg-db', namespace: 'default', kubeConfig: plane.kubeconfig }),
      allowedTargets: Object.values(sides),
      allowedNetworks: ['127.0.0.0/8', '::1/128'],
      dns: { nameservers: [dns.nameserver] },
      port: pair.port,
      user: pair.user,
      password: pair.password,
      database: pair.database,
      ssl: { ca: pair.ca },
      max: 4,
      failoverTimeoutMillis: 60_000,
    });
    try {
      await until('the first leader', () => follower.status().settled);
      await writers.start(4);
      const told: EngineState[] = [];
      engine.subscribe((state) => told.push(state));
      const times: number[] = [];
      for (let count = 1; count <= promotions; count += 1) {
        const [from, to] = count % 2 === 1 ? (['east', 'west'] as const) : (['west', 'east'] as const);
        // As the documentation of replica clusters has it: the old one is demoted, its token promotes the new one.
        await spec(from, { primary: to });
        await until('the release', () => told.at(-1)?.state === 'releasing');
        await pair.switchover({
          onPromoted: async () => {
            await status(from, { demotionToken: `token-${count}` });
            await spec(to, { primary: to, promotionToken: `token-${count}` });
            expect(await pointsTo('cnpg-db')).toBe(sides[from]);
            const startedAt = performance.now();
            const first = writers.first(pair.server(sides[to]).address, 30_000);
            await status(to, { lastPromotionToken: `token-${count}`, timelineID: count + 1 });
            times.push((await first).at - startedAt);
          },
        });
        expect(await pointsTo('cnpg-db')).toBe(sides[to]);
      }
      await writers.stop();
      expect(await writers.judge()).toMatchObject({ lost: 0, twice: 0, hung: 0 });
      const limits = { medianMillis: 1_000, worstMillis: 1_000 };
      report('CloudNativePG across clusters, from the patch of the status to the first write', times, limits);
    } finally {
      await writers.stop();
      await writers.pool.end();
      await dns.close();
      await follower.close();
      await pair.close();
    }
  });

  it.skipIf(withoutPatroni !== undefined)(
    'Patroni in Kubernetes: tells of a planned switch and of the next leader',
    { timeout: 240_000 },
    async () => {
      // No controller makes it here.
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
      await plane.admin.must('POST', '/api/v1/namespaces/default/serviceaccounts', account);
      for (const name of ['a', 'b']) {
        await plane.admin.must('POST', '/api/v1/namespaces/default/pods', {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name, labels: { application: 'patroni', 'cluster-name': 'demo' } },
          spec: { containers: [{ name: 'patroni', image: 'patroni' }] },
        });
      }
      const context = plane.admin.config.getCurrentContext();
      const patroni = await PatroniCluster.start({
        kind: 'kubernetes',
        kubeconfig: plane.kubeconfig,
        context,
        namespace: 'default',
      });
      try {
        const kubernetes = { namespace: 'default', kubeConfig: plane.kubeconfig };
        await using engine = patroniEngine({ scope: 'demo', kubernetes });
        const told: EngineState[] = [];
        engine.subscribe((state) => told.push(state));
        await until('the leader', () => told.length > 0);
        expect(told[0]).toMatchObject({
          state: 'leader',
          member: 'a',
          systemIdentifier: expect.stringMatching(/^\d+$/),
        });
        expect(await engine.ask('a')).toMatchObject({ leads: true, timeline: 1 });
        expect(await engine.ask('b')).toMatchObject({ leads: false });
        await patroni.switchover('b');
        await until('the next leader', () => told.at(-1)?.state === 'leader' && told.length > 1);
        expect(told.at(-1)).toMatchObject({ member: 'b' });
        expect(told.slice(1, -1).map(({ state }) => state)).toContain('releasing');
        await until('its word', async () => (await engine.ask('b'))?.leads === true);
        await until('the old one to follow', () => patroni.is('a', 'sync'));
        await patroni.pause(true);
        await until('the pause', () => told.at(-1)?.state === 'unknown');
        expect(told.at(-1)).toMatchObject({ reason: 'paused' });
      } finally {
        await patroni.stop();
      }
    },
  );

  async function status(namespace: string, change: object): Promise<void> {
    await plane.admin.must('PATCH', `${clusters(namespace)}/pg/status`, { status: change }, merge);
  }

  async function spec(namespace: string, replica: object): Promise<void> {
    await plane.admin.must('PATCH', `${clusters(namespace)}/pg`, { spec: { replica } }, merge);
  }
});

function documentsOf(text: string): { kind: string }[] {
  return parseManifests(text) as unknown as { kind: string }[];
}

/** The resource of CloudNativePG, with its status as a subresource and the fields that are read; its own definition has many more. */
const clusterDefinition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'clusters.postgresql.cnpg.io' },
  spec: {
    group: 'postgresql.cnpg.io',
    scope: 'Namespaced',
    names: { kind: 'Cluster', plural: 'clusters', singular: 'cluster' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};
