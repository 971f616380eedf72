/**
 * Runs the benchmarks whose figures stand in the documentation, several times each and every run in a process of its own, keeps
 * what they measured in `docs/figures.json`, and writes the middle of the runs into the pages.
 *
 *   pnpm figures [--only=NAME ...] [--runs=5] [--render]
 *
 * `--only` runs one benchmark (it may be repeated) and leaves the figures of the others as they are. What a benchmark measured is
 * written as soon as its last run is over, so a run that was interrupted goes on with `--only`. `--render` runs nothing and writes
 * the pages again from the file.
 *
 * Exit status 1 if a benchmark could not be run, or said that a promise was broken: its figures stay as they were. Figures depend on
 * the machine: run it on one that does nothing else.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type Benchmark, benchmarks } from './figures/benchmarks.ts';
import { readFigures, writeFigures } from './figures/figures-file.ts';
import { writePages } from './figures/pages.ts';
import { runOnce } from './figures/run.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    runs: { type: 'string', default: '5' },
    render: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) {
  throw new Error(`--runs must be a whole number of at least 1, got '${values.runs}'`);
}
const known = benchmarks.map(({ name }) => name);
for (const name of values.only ?? []) {
  if (!known.includes(name)) throw new Error(`--only must be one of ${known.join(', ')}, got '${name}'`);
}

const startedAt = performance.now();
const failed: string[] = [];
for (const benchmark of values.render ? [] : benchmarks) {
  if (values.only !== undefined && !values.only.includes(benchmark.name)) continue;
  try {
    await measure(benchmark);
  } catch (error) {
    failed.push(benchmark.name);
    say(`${benchmark.name} is left as it was: ${error instanceof Error ? error.message : String(error)}`);
  }
}
for (const page of writePages(readFigures())) say(`wrote ${page}`);
say(`took ${duration(performance.now() - startedAt)}`);
if (failed.length > 0) {
  say(`Not measured: ${failed.join(', ')}. Again: pnpm figures ${failed.map((name) => `--only=${name}`).join(' ')}`);
  process.exitCode = 1;
}

async function measure(benchmark: Benchmark): Promise<void> {
  const begunAt = performance.now();
  const load: number[] = [];
  const measured: Record<string, (number | null)[]> = {};
  for (let run = 1; run <= runs; run++) {
    load.push(Math.round((loadavg()[0] ?? 0) * 10) / 10);
    const runBegunAt = performance.now();
    const figures = await runOnce(benchmark);
    for (const [name, value] of Object.entries(figures)) measured[name] = [...(measured[name] ?? []), value];
    say(`${benchmark.name} ${run} of ${runs}: ${duration(performance.now() - runBegunAt)}, load before ${load.at(-1)}`);
  }
  await writeFigures(benchmark.name, {
    command: ['pnpm', benchmark.script, ...benchmark.parameters].join(' '),
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    load,
    seconds: Math.round((performance.now() - begunAt) / 1000),
    measured,
  });
}

function duration(millis: number): string {
  const seconds = Math.round(millis / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function say(line: string): void {
  console.log(line);
}
