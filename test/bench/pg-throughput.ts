/**
 * Throughput of `pool.query()` beside plain `pg.Pool`: the same server, the same TLS, one run in which slices of the two
 * alternate. Prints a table of medians, and of the ratios of slices that stood next to each other.
 *
 *   pnpm bench:pg [--slices=21] [--millis=300] [--only=TEXT] [--peer=ours|plain] [--json]
 *
 * Ours is the package as it is built, not its sources through a loader. Plain pg gets the server's address and the name to verify (`ssl.servername`), so that it verifies as ours does. The
 * processor time is that of this process alone: on a busy machine its ratio says more than that of the throughput.
 * `--only` runs the rows whose name contains the text; `--peer` runs one of the two, for a profile.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { builtPackage } from './built-package.ts';
import { median, Scenario } from './compared-pools.ts';

const { values } = parseArgs({
  options: {
    slices: { type: 'string', default: '21' },
    millis: { type: 'string', default: '300' },
    only: { type: 'string', default: '' },
    peer: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const slices = Number(values.slices);
const sliceMillis = Number(values.millis);

type Statement = (pool: pg.Pool, number: number) => Promise<unknown>;

const pointRead: Statement = (pool, number) => pool.query('select name from items where id = $1', [number % rows]);
const rows = 1_000;

const statements: Record<string, Statement> = {
  'select 1': (pool) => pool.query('select 1'),
  'point read': pointRead,
  'one in ten fails': (pool, number) =>
    number % 10 === 0 ? pool.query('select 1 / 0').catch(() => undefined) : pointRead(pool, number),
};

interface Slice {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

const { Pool } = await builtPackage('pg');
await using scenario = await Scenario.start();
const pools = { ours: scenario.ours({ max: 10 }, Pool), plain: scenario.plainToAddress({ max: 10 }) };
try {
  await pools.plain.query('create table items (id integer primary key, name text)');
  await pools.plain.query("insert into items select n, 'item ' || n from generate_series(0, $1::int - 1) n", [rows]);
  await pools.plain.query('analyze items');

  const report: Record<string, Record<string, number>> = {};
  for (const [name, statement] of Object.entries(statements)) {
    for (const concurrency of [1, 10, 64]) {
      const title = `${name}, ${concurrency} at once`;
      if (title.includes(values.only)) report[title] = await compare(statement, concurrency);
    }
  }
  if (values.json) {
    console.log(JSON.stringify({ load: loadavg()[0], slices, sliceMillis, report }, null, 2));
  } else {
    const load = loadavg()[0]?.toFixed(1);
    console.log(
      `Node ${process.version}, ${cpus().length} cores, load ${load}; ${slices} slices of ${sliceMillis} ms each`,
    );
    console.table(report);
  }
} finally {
  await Promise.all([pools.ours.end(), pools.plain.end()]);
}

async function compare(statement: Statement, concurrency: number): Promise<Record<string, number>> {
  const measured = { ours: [] as Slice[], plain: [] as Slice[] };
  const peers = (['ours', 'plain'] as const).filter((peer) => values.peer === undefined || values.peer === peer);
  for (const peer of peers) await slice(pools[peer], statement, concurrency);
  for (let count = 0; count < slices; count++) {
    // Who goes first changes, so that what grows or fades over time favours neither.
    for (const peer of count % 2 === 0 ? peers : [...peers].reverse()) {
      measured[peer].push(await slice(pools[peer], statement, concurrency));
    }
  }
  const ratios = (of: (slice: Slice) => number) =>
    measured.ours.map(
      (ours, index) => of(ours) / of(measured.plain[index] ?? { perSecond: Number.NaN, cpuMicros: Number.NaN }),
    );
  const perSecond = (peer: 'ours' | 'plain') => Math.round(median(measured[peer].map((each) => each.perSecond)));
  const cpuMicros = (peer: 'ours' | 'plain') => Math.round(median(measured[peer].map((each) => each.cpuMicros)));
  return {
    'ours /s': perSecond('ours'),
    'plain /s': perSecond('plain'),
    ratio: twoDigits(median(ratios((each) => each.perSecond))),
    'ours µs cpu': cpuMicros('ours'),
    'plain µs cpu': cpuMicros('plain'),
    'ratio of cpu': twoDigits(median(ratios((each) => each.cpuMicros))),
  };
}

async function slice(pool: pg.Pool, statement: Statement, concurrency: number): Promise<Slice> {
  let done = 0;
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + sliceMillis;
  const loop = async () => {
    while (performance.now() < until) {
      done += 1;
      await statement(pool, done);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: done / seconds, cpuMicros: (user + system) / done };
}

function twoDigits(value: number): number {
  return Math.round(value * 100) / 100;
}
