import { readFile } from 'node:fs/promises';
import { toYaml } from '@externalname/core/manifests';
import { expect, it } from 'vitest';
import { manifests } from '../../examples/multi-cloud-reads/src/manifests.ts';
import { tour } from '../../examples/multi-cloud-reads/src/tour.ts';

it('the example of reads in two clouds: shared by weight, and none fails while one of them is away', async () => {
  const { shared, killed, frozen, again } = await tour(() => undefined, { outageMillis: 2_500 });
  for (const { byCloud } of [shared, again]) {
    const [inA, inB] = byCloud;
    // How exact the shares are is a matter of 100,000 reads (balancing.long.test.ts).
    expect(inA).toBeGreaterThan(0);
    expect(inB).toBeGreaterThan(0);
  }
  expect([shared, killed, frozen, again].map(({ failed }) => failed)).toEqual([0, 0, 0, 0]);
  expect(killed.byCloud[0]).toBeGreaterThan(0);
  expect(frozen.byCloud[1]).toBeGreaterThan(0);
});

it('its manifests are those that it runs with', async () => {
  const file = new URL('../../examples/multi-cloud-reads/manifests.yaml', import.meta.url);
  expect(await readFile(file, 'utf8')).toBe(toYaml(manifests()));
});
