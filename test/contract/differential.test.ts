import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContractCluster, clusters } from './clusters.ts';
import { differences, exchange, type Place } from './differential/exchange.ts';
import { knownDifferences } from './differential/known-differences.ts';
import { cases } from './differential/requests.ts';

const [local, real] = clusters;
const missing =
  real === undefined ? ' (skipped: KUBEBUILDER_ASSETS names no kube-apiserver, nor KUBECONFIG a cluster)' : '';

describe.skipIf(real === undefined)(
  `LocalCluster and ${real?.name ?? 'a real API server'} give the same answer${missing}`,
  () => {
    let here: ContractCluster;
    let there: ContractCluster;
    const run = randomBytes(3).toString('hex');
    let count = 0;

    beforeAll(async () => {
      if (local === undefined || real === undefined) return;
      [here, there] = await Promise.all([local.start(), real.start()]);
    });
    afterAll(() => Promise.all([here?.stop(), there?.stop()]));

    describe.each(Object.entries(cases))('%s', (verb, table) => {
      it.concurrent.each(table.map((entry) => [entry.title, entry] as const))('%s', async (title, entry) => {
        count += 1;
        const namespace = `d-${run}-${count}`;
        const [mine, theirs] = await Promise.all(
          [here, there].map(async (cluster) => exchange(await placeIn(cluster, namespace), entry)),
        );
        const found = differences(theirs, mine);
        const known = knownDifferences[`${verb} ${title}`];
        if (known === undefined) expect(found).toEqual([]);
        else expect(found.map(({ path }) => path)).toEqual(known.differ);
      });
    });

    it('and no difference is known of a request that is not there', () => {
      const all = Object.entries(cases).flatMap(([verb, table]) => table.map(({ title }) => `${verb} ${title}`));
      expect(new Set(all).size).toBe(all.length);
      expect(Object.keys(knownDifferences).filter((name) => !all.includes(name))).toEqual([]);
    });
  },
);

async function placeIn({ admin, serviceAccountToken }: ContractCluster, namespace: string): Promise<Place> {
  await admin.must('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  return { admin, namespace, account: admin.withToken(await serviceAccountToken(namespace, 'nothing')) };
}
