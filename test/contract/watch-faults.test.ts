import type { Target, TargetSource } from '@externalname/core';
import { externalNameService } from '@externalname/core/manifests';
import { type KubernetesSourceOptions, kubernetesSource } from '@externalname/kubernetes';
import { FaultProxy } from '@externalname/testing';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ContractCluster, clusters } from './clusters.ts';

describe.each(clusters)('a watch on $name', ({ start }) => {
  let cluster: ContractCluster;
  let namespace: string;
  let proxy: FaultProxy;
  let source: TargetSource;
  let told: Target[];

  beforeAll(async () => {
    cluster = await start();
  });
  afterAll(() => cluster?.stop());

  beforeEach(async () => {
    namespace = await cluster.namespace();
    await cluster.admin.must(
      'POST',
      `/api/v1/namespaces/${namespace}/services`,
      externalNameService({ name: 'webscaler-db', namespace, externalName: 'primary-db.example.com' }),
    );
    const { hostname, port } = new URL(cluster.admin.server);
    proxy = await FaultProxy.start({ target: { host: hostname, port: Number(port) }, address: '127.0.0.1' });
    told = [];
  });
  afterEach(async () => {
    await source?.close();
    // Of a connection that only the client has ended, the proxy waits for the server, which ends with the cluster.
    await Promise.race([proxy?.close(), new Promise((resolve) => setTimeout(resolve, 500))]);
  });

  it('misses no switch and reports none twice, although it is cut a hundred times', async () => {
    await follow({ reconnectInitialMillis: 1, reconnectMaxMillis: 5 });
    const expected = ['primary-db.example.com'];
    for (let round = 0; round < 100; round += 1) {
      const name = `db-${round}.example.com`;
      expected.push(name);
      // In turn: before the cut, and while the watch comes back.
      if (round % 2 === 0) await patch(name);
      for (const connection of proxy.connections) connection.reset();
      if (round % 2 === 1) await patch(name);
    }
    await until('the last switch', () => names().length >= expected.length);
    expect(names()).toEqual(expected);
    await until('one connection', () => proxy.counts.open === 1);
  });

  it('sees the newest of the switches that were made while its history was forgotten', async () => {
    await follow();
    proxy.resetNew();
    proxy.reset();
    await until('the watch to be lost', async () => (await source.current()).stale);
    await patch('secondary-db.example.com');
    await patch('tertiary-db.example.com');
    await cluster.apiServer?.forgetHistory();
    await proxy.heal();
    await until('the switch', () => names().includes('tertiary-db.example.com'));
    expect(names().at(-1)).toBe('tertiary-db.example.com');
    await until('it to be confirmed', async () => !(await source.current()).stale);
    await patch('secondary-db.example.com');
    await until('the next switch', () => names().at(-1) === 'secondary-db.example.com');
  });

  it('comes back when the API server was killed and started again, and sees what is switched then', async () => {
    await follow();
    await cluster.apiServer?.crash();
    await until('the watch to be lost', async () => (await source.current()).stale);
    expect((await source.current()).externalName).toBe('primary-db.example.com');
    await cluster.apiServer?.restart();
    await patch('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
    await until('it to be confirmed', async () => !(await source.current()).stale);
  });

  it('detects by silence that its path is gone, and sees what was switched meanwhile', async () => {
    await follow({ silenceMillis: 3_000 });
    for (const connection of proxy.connections) connection.blackHole();
    await patch('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(proxy.counts.connections).toBe(3);
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
  });

  it('is renewed quietly when the server ends it, again and again', async () => {
    await follow({ silenceMillis: 2_000 });
    const connections = proxy.counts.connections;
    await until('three more watches', () => proxy.counts.connections >= connections + 3);
    await patch('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
    expect((await source.current()).stale).toBe(false);
  });

  const names = () => told.map(({ externalName }) => externalName);

  async function follow(options: Partial<KubernetesSourceOptions> = {}): Promise<void> {
    const cluster_ = cluster.admin.config.getCurrentCluster();
    const user = cluster.admin.config.getCurrentUser();
    if (cluster_ === null || user === null) throw new Error('the kubeconfig is not whole');
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser({ ...cluster_, server: `https://127.0.0.1:${proxy.port}` }, user);
    source = kubernetesSource({
      service: 'webscaler-db',
      namespace,
      kubeConfig,
      reconnectInitialMillis: 20,
      reconnectMaxMillis: 200,
      ...options,
    });
    source.subscribe((target) => told.push(target));
    await source.current();
    // One connection for the list, which is over, and one for the watch.
    await until('the watch', () => proxy.counts.connections === 2 && proxy.counts.open === 1);
  }

  async function patch(externalName: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/services/webscaler-db`;
    await cluster.admin.must('PATCH', path, { spec: { externalName } }, 'application/merge-patch+json');
  }
});

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
