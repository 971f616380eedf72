/**
 * How long after the patch of a Service its new target is known: pushed by a watch, and polled from the cluster's DNS.
 * Prints a table of both.
 *
 *   node --conditions=@externalname/source --import tsx test/bench/switch-latency.ts [--switches=50] [--ttl=5] [--real]
 *
 * `--real` measures kube-apiserver, etcd and CoreDNS from KUBEBUILDER_ASSETS; otherwise it is LocalCluster. The time
 * starts when the patch is sent. Both are measured on the same switches, which come at random moments of the TTL.
 */
import { parseArgs } from 'node:util';
import { DnsResolver, DnsTargetSource, type TargetSource } from '@externalname/core';
import { externalNameService } from '@externalname/core/manifests';
import { kubernetesSource } from '@externalname/kubernetes';
import { LocalCluster } from '@externalname/testing';
import type { KubeClient } from '../contract/control-plane/kube-client.ts';

const { values } = parseArgs({
  options: {
    switches: { type: 'string', default: '50' },
    ttl: { type: 'string', default: '5' },
    real: { type: 'boolean', default: false },
  },
});
const switches = Number(values.switches);
const ttlSeconds = Number(values.ttl);

interface Bench {
  readonly name: string;
  readonly kubeconfig: string;
  readonly nameserver: string;
  readonly admin: KubeClient;
  stop(): Promise<void>;
}

const bench = values.real ? await realBench() : await localBench();
const resolver = new DnsResolver({ nameservers: [bench.nameserver] });
try {
  const path = '/api/v1/namespaces/default/services';
  const names = ['primary-db.example.com', 'secondary-db.example.com'] as const;
  const service = externalNameService({ name: 'webscaler-db', namespace: 'default', externalName: names[0] });
  await bench.admin.must('POST', path, service);
  const pushed = kubernetesSource({ service: 'webscaler-db', namespace: 'default', kubeConfig: bench.kubeconfig });
  const polled = new DnsTargetSource({ service: 'webscaler-db', resolver });
  const measured = { pushed: [] as number[], polled: [] as number[] };
  const waiting = { pushed: follow(pushed), polled: follow(polled) };
  await Promise.all([waiting.pushed.until(names[0]), waiting.polled.until(names[0])]);
  for (let count = 1; count <= switches; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * ttlSeconds * 1000));
    const to = names[count % 2] ?? names[0];
    const startedAt = performance.now();
    const seen = [waiting.pushed.until(to), waiting.polled.until(to)] as const;
    await bench.admin.must(
      'PATCH',
      `${path}/webscaler-db`,
      { spec: { externalName: to } },
      'application/merge-patch+json',
    );
    const [pushedAt, polledAt] = await Promise.all(seen);
    measured.pushed.push(pushedAt - startedAt);
    measured.polled.push(polledAt - startedAt);
  }
  await Promise.all([pushed.close(), polled.close()]);
  console.log(
    `${switches} switches on ${bench.name}, TTL ${ttlSeconds} s; from the patch to the new target, in milliseconds`,
  );
  console.table(
    Object.fromEntries(
      Object.entries(measured).map(([how, times]) => [
        how,
        { p50: at(times, 0.5), p99: at(times, 0.99), max: at(times, 1) },
      ]),
    ),
  );
} finally {
  await resolver.close();
  await bench.stop();
}

/** Keeps what a source says, and tells when it says a certain name. */
function follow(source: TargetSource) {
  let current: string | undefined;
  let waiting: { name: string; resolve: (at: number) => void } | undefined;
  const look = () => {
    if (waiting === undefined || waiting.name !== current) return;
    waiting.resolve(performance.now());
    waiting = undefined;
  };
  source.subscribe(({ externalName }) => {
    current = externalName;
    look();
  });
  return {
    until: (name: string) =>
      new Promise<number>((resolve) => {
        waiting = { name, resolve };
        look();
      }),
  };
}

function at(times: readonly number[], part: number): number {
  const sorted = [...times].sort((one, other) => one - other);
  const value = sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
  return Math.round(value * 10) / 10;
}

async function localBench(): Promise<Bench> {
  const { KubeClient: Client } = await import('../contract/control-plane/kube-client.ts');
  const cluster = await LocalCluster.start({ ttlSeconds });
  const kubeconfig = await cluster.writeKubeconfig();
  return {
    name: 'LocalCluster',
    kubeconfig,
    nameserver: cluster.nameserver,
    admin: Client.fromFile(kubeconfig),
    stop: () => cluster.close(),
  };
}

async function realBench(): Promise<Bench> {
  const { RealControlPlane } = await import('../contract/control-plane/real-control-plane.ts');
  const { CoreDns } = await import('../contract/control-plane/coredns.ts');
  const assets = process.env['KUBEBUILDER_ASSETS'];
  if (assets === undefined) throw new Error('set KUBEBUILDER_ASSETS, see test/controlplane');
  const plane = await RealControlPlane.start(assets);
  const zone = 'cluster.local.';
  const dns = await CoreDns.start(assets, {
    kubeconfig: plane.kubeconfig,
    zone,
    ttl: ttlSeconds,
    upstream: '127.0.0.1:9',
  });
  return {
    name: 'kube-apiserver and CoreDNS',
    kubeconfig: plane.kubeconfig,
    nameserver: dns.server,
    admin: plane.admin,
    stop: async () => {
      await dns.stop();
      await plane.stop();
    },
  };
}
