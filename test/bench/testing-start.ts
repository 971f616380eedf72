/**
 * How long it takes to start, and to change, what `@externalname/testing` offers. Prints a table; the goal for a cluster and a
 * pair together is under 3 s after the first time, on a quiet machine with two cores.
 *
 *   node --conditions=@externalname/source --import tsx test/bench/testing-start.ts [rounds]
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalCluster, PostgresPair } from '@externalname/testing';

const rounds = Number(process.argv[2] ?? 5);
const times = new Map<string, number[]>();

async function measure<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  times.set(what, [...(times.get(what) ?? []), performance.now() - start]);
  return result;
}

const cache = await mkdtemp(join(tmpdir(), 'bench-cache-'));
await chmod(cache, 0o755);
try {
  const first = await measure('pair, the first on a machine (copy of the programs, initdb)', () =>
    PostgresPair.start({ cacheFolder: cache }),
  );
  await first.close();
} finally {
  await rm(cache, { recursive: true, force: true });
}
await (await PostgresPair.start()).close();

for (let round = 0; round < rounds; round++) {
  const [cluster, pair] = await measure('cluster and pair together', () =>
    Promise.all([LocalCluster.start(), PostgresPair.start()]),
  );
  await cluster.close();
  const killed = pair.primary;
  await measure('kill() of the primary', () => killed.kill());
  await measure('promote() of the standby', () => pair.standby.promote());
  await measure('rejoin() of the killed one', () => pair.rejoin(killed));
  let promoted = 0;
  const start = performance.now();
  await measure('switchover(), with the rebuilding of the old primary', () =>
    pair.switchover({
      onPromoted: () => {
        promoted = performance.now() - start;
      },
    }),
  );
  await measure('  of which until the new primary takes writes', async () => undefined);
  times.get('  of which until the new primary takes writes')?.splice(-1, 1, promoted);
  await measure('freeze()', () => pair.primary.freeze());
  await measure('thaw()', () => pair.primary.thaw());
  await measure('close()', () => pair.close());
}

console.log(
  `Node ${process.version}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, ${rounds} rounds; milliseconds\n`,
);
console.log(`| ${'what'.padEnd(60)} |  best | median | worst |`);
console.log(`| ${'-'.repeat(60)} | ----: | -----: | ----: |`);
for (const [what, values] of times) {
  const sorted = [...values].sort((a, b) => a - b);
  const cell = (value: number | undefined, width: number) => String(Math.round(value ?? Number.NaN)).padStart(width);
  const middle = sorted[Math.floor(sorted.length / 2)];
  console.log(`| ${what.padEnd(60)} | ${cell(sorted[0], 5)} | ${cell(middle, 6)} | ${cell(sorted.at(-1), 5)} |`);
}
