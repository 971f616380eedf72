import { setTimeout as pause } from 'node:timers/promises';
import { DnsResolver } from '@externalname/core';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { readService, runPlan } from './api.ts';
import { catalog, catalogDispatcher } from './catalog.ts';
import { KubeProxy } from './kube-proxy.ts';
import { RequestLoad } from './load.ts';
import { planBack, planOut, serviceOfPods } from './manifests.ts';
import { plainClient } from './plain-client.ts';
import { startCatalog } from './servers.ts';

/** What was counted. */
export interface Figures {
  /** Requests through the dispatcher. */
  readonly requests: number;
  /** Of these, how many were not answered. */
  readonly dropped: number;
  readonly longestMillis: number;
  /** The same for a plain client beside it. */
  readonly plainRequests: number;
  readonly plainDropped: number;
}

const clusterIP = '127.96.0.10';

/** ClusterIP to ExternalName and back, under load. */
export async function tour(
  print: (line: string) => void,
  { ttlSeconds }: { readonly ttlSeconds: number },
): Promise<Figures> {
  const authority = await createCertificateAuthority();
  const { inside, outside } = catalog;
  // The pods are ended and started again below, so that `await using` is not for them.
  let pods = await startPods();
  await using away = await startCatalog(authority, { name: 'outside', hostName: outside, address: '127.96.2.1' });
  const { port } = away;
  // The addresses of this cluster's Services are loopback addresses here, as its pods are.
  await using cluster = await LocalCluster.start({
    ttlSeconds,
    services: [{ ...serviceOfPods(port), spec: { ...serviceOfPods(port).spec, clusterIP } }],
    hosts: { [outside]: [away.address] },
  });
  await using proxy = new KubeProxy(pods.map(({ address, port }) => ({ host: address, port })));
  await proxy.sync(await readService(cluster.api));
  await using resolver = new DnsResolver({ nameservers: [cluster.nameserver] });
  await using dispatcher = catalogDispatcher({
    allowedNetworks: ['127.96.0.0/16'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
    connections: 6,
  });
  const url = `https://${catalog.service}:${port}/items`;
  const load = new RequestLoad(6, async (method) => {
    const response = await fetch(url, { dispatcher, method, ...(method === 'POST' ? { body: '{}' } : {}) });
    return await response.text();
  });
  const plain = new RequestLoad(2, plainClient(resolver, { port, ca: authority.certificate }));
  try {
    const insideNames = pods.map(({ name }) => name);
    await load.until(insideNames);
    print(
      `${catalog.service}.${catalog.namespace} is a ClusterIP Service: ${insideNames.join(' and ')} answer as ${inside}`,
    );

    print(`\n# Out of the cluster: ClusterIP to ExternalName`);
    const before = await readService(cluster.api);
    const out = planOut(before);
    // The worst case for a client that keeps answers: the last one has just begun to live.
    await resolver.resolve(inside, { fresh: true });
    const left = performance.now();
    await runPlan(cluster.api, out, print);
    await proxy.sync(await readService(cluster.api));
    await load.until(['outside']);
    print(moved(load, ['outside'], left, outside));
    print(`  DNS shows ${await shown(resolver)}`);
    await pause(ttlSeconds * 1000);
    const late = await quiet(pods);
    print(`  pods: ${late} requests in the last 0.3 s. They are ended`);
    for (const pod of pods) await pod[Symbol.asyncDispose]();
    await load.until(['outside']);

    print('\n# Back into the cluster: ExternalName to ClusterIP');
    pods = await startPods(pods);
    print('  pods: started again, and ready');
    const returned = performance.now();
    await runPlan(cluster.api, planBack(await readService(cluster.api), before), print);
    await proxy.sync(await readService(cluster.api));
    await load.until(insideNames);
    print(moved(load, insideNames, returned, inside));
    print(`  DNS shows ${await shown(resolver)}`);
  } finally {
    await Promise.all([load.stop(), plain.stop()]);
    for (const pod of pods) await pod[Symbol.asyncDispose]();
  }

  const figures = {
    requests: load.requests.length,
    dropped: load.dropped.length,
    longestMillis: Math.round(Math.max(...load.requests.map(({ beganAt, endedAt }) => endedAt - beganAt))),
    plainRequests: plain.requests.length,
    plainDropped: plain.dropped.length,
  };
  print(
    `\n${figures.requests} requests, half of them POST: ${figures.dropped} dropped. The longest took ${figures.longestMillis} ms.`,
  );
  for (const { error } of load.dropped) print(`  dropped: ${error}`);
  print(
    `A plain client beside it: ${figures.plainDropped} of ${figures.plainRequests} dropped${plain.dropped[0] === undefined ? '' : ` (${plain.dropped[0].error})`}.`,
  );
  return figures;

  async function startPods(again: readonly { readonly port: number }[] = []) {
    return await Promise.all(
      [1, 2].map((number, index) =>
        startCatalog(authority, {
          name: `pod-${number}`,
          hostName: inside,
          address: `127.96.1.${number}`,
          ...(again[index] === undefined ? {} : { port: again[index].port }),
        }),
      ),
    );
  }
}

/** From the patch to the first answer of the new place, and to the last one of the old place. */
function moved({ requests }: RequestLoad, servers: readonly string[], since: number, name: string): string {
  const isThere = ({ by }: { by?: string }) => by !== undefined && servers.includes(by);
  const after = requests.filter(({ endedAt }) => endedAt >= since);
  const first = after.find(isThere)?.endedAt ?? Number.NaN;
  const last = after.filter((request) => !isThere(request)).at(-1)?.endedAt ?? since;
  return `  moved: the first answer of ${name} came after ${Math.round(first - since)} ms, the last one of the old place after ${Math.round(last - since)} ms`;
}

/** How many requests come to the pods in a while: when there are none, no client is left. */
async function quiet(pods: readonly { readonly answered: number }[]): Promise<number> {
  const answered = () => pods.reduce((sum, pod) => sum + pod.answered, 0);
  const before = answered();
  await pause(300);
  return answered() - before;
}

async function shown(resolver: DnsResolver): Promise<string> {
  const { chain, addresses } = await resolver.resolve(catalog.inside, { fresh: true });
  const alias = chain[0] === undefined ? '' : `CNAME ${chain[0].target}, `;
  return `${alias}${addresses.map(({ address }) => address).join(' and ')}`;
}
