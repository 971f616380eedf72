/**
 * Everything measured that the documentation says, by one command: runs the benchmarks whose figures stand there, several times each and
 * every run in a process of its own, plays the drills whose plots stand there, keeps all of it in `docs/figures.json` and `docs/drills/`, and
 * writes the middle of the runs, and the plots, into the READMEs and the pages of the site.
 *
 *   pnpm figures [--only=NAME ...] [--runs=5] [--render] [--quick]
 *
 * `--only` runs one benchmark, or `drills` (it may be repeated), and leaves the figures of the others as they are. What was measured is
 * written as soon as its last run is over, so a run that was interrupted goes on with `--only`. `--render` runs nothing and writes the pages
 * and plots again from the files. `--quick` tries it: one short run of each, written into a temporary folder and not into the documentation.
 *
 * Exit status 1 if a benchmark could not be run, or said that a promise was broken: its figures stay as they were. Figures depend on
 * the machine: run it on one that does nothing else.
 */
import { cpSync, mkdtempSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Benchmark, benchmarks } from './figures/benchmarks.ts';
import { drills, playDrill, writeDrill, writePlots } from './figures/drills.ts';
import { docs, readFigures, writeFigures } from './figures/figures-file.ts';
import { readMeasured, writePages } from './figures/pages.ts';
import { root, runOnce } from './figures/run.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    runs: { type: 'string' },
    render: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs ?? (values.quick ? 1 : 5));
if (!Number.isInteger(runs) || runs < 1) {
  throw new Error(`--runs must be a whole number of at least 1, got '${values.runs}'`);
}
const known = [...benchmarks.map(({ name }) => name), 'drills'];
for (const name of values.only ?? []) {
  if (!known.includes(name)) throw new Error(`--only must be one of ${known.join(', ')}, got '${name}'`);
}
const into = values.quick ? triedFolder() : root;
const folder = values.quick ? join(into, 'docs') : docs;

const startedAt = performance.now();
const failed: string[] = [];
for (const benchmark of benchmarks) await attempt(benchmark.name, () => measure(benchmark));
await attempt('drills', play);
const measured = readMeasured(folder);
for (const page of [...writePlots(folder), ...writePages(measured, into)]) say(`wrote ${page}`);
if (values.quick) say(`Tried only: the pages and plots are in ${into}`);
say(`took ${duration(performance.now() - startedAt)}`);
if (failed.length > 0) {
  say(`Not measured: ${failed.join(', ')}. Again: pnpm figures ${failed.map((name) => `--only=${name}`).join(' ')}`);
  process.exitCode = 1;
}

async function attempt(name: string, run: () => Promise<void>): Promise<void> {
  if (values.render || (values.only !== undefined && !values.only.includes(name))) return;
  try {
    await run();
  } catch (error) {
    failed.push(name);
    say(`${name} is left as it was: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function measure(benchmark: Benchmark): Promise<void> {
  const { name, script, parameters, quick = parameters } = benchmark;
  const begunAt = performance.now();
  const load: number[] = [];
  const found: Record<string, (number | null)[]> = {};
  for (let run = 1; run <= runs; run++) {
    load.push(loadNow());
    const runBegunAt = performance.now();
    const figures = await runOnce(benchmark, values.quick ? quick : parameters);
    for (const [figure, value] of Object.entries(figures)) found[figure] = [...(found[figure] ?? []), value];
    say(`${name} ${run} of ${runs}: ${duration(performance.now() - runBegunAt)}, load before ${load.at(-1)}`);
  }
  await writeFigures(folder, name, {
    command: ['pnpm', script, ...parameters.map(inShell)].join(' '),
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    load,
    seconds: Math.round((performance.now() - begunAt) / 1000),
    // A quick run need not measure everything.
    measured: values.quick ? { ...readFigures(folder)[name]?.measured, ...found } : found,
  });
}

async function play(): Promise<void> {
  for (const [name, options] of Object.entries(drills)) {
    const begunAt = performance.now();
    await writeDrill(folder, name, await playDrill(options));
    say(`drill ${name}: ${duration(performance.now() - begunAt)}`);
  }
}

/** A copy of what was measured, to be written over. */
function triedFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'externalname-figures-'));
  for (const each of ['figures.json', 'drills']) {
    cpSync(join(docs, each), join(folder, 'docs', each), { recursive: true });
  }
  return folder;
}

/** A word as it is written in a shell. */
function inShell(word: string): string {
  return word.includes(' ') ? word.replace(/=(.*)$/, "='$1'") : word;
}

function loadNow(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10;
}

function duration(millis: number): string {
  const seconds = Math.round(millis / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

function say(line: string): void {
  console.log(line);
}
