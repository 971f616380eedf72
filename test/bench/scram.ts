/**
 * How long ten connections take to be ready, asked for at once: our pool beside plain `pg.Pool`, to the same server over the
 * same TLS, at the number of SCRAM iterations that PostgreSQL has by default and at the most that `pg` takes. Rounds of the two
 * alternate in one run. Prints a table of medians, and of the ratios of rounds that stood next to each other.
 *
 *   pnpm bench:scram [--rounds=31] [--connections=10] [--json]
 *
 * `warm` is a pool that has had connections before, as after a switch or an outage: its SCRAM key is kept. `cold` is a new pool,
 * which asks DNS, makes its first connection alone, and derives the key. Plain pg keeps nothing, so for it they are the same.
 * Ours is the package as it is built. The servers run on the same machine, so a round is bound by the processor of both ends.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { builtPackage } from './built-package.ts';
import { median, Scenario } from './compared-pools.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '31' },
    connections: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const connections = Number(values.connections);

const { Pool } = await builtPackage('pg');
await using scenario = await Scenario.start();
const report: Record<string, Record<string, number>> = {};
/** Pools that go on from round to round. */
const lasting = new Set<pg.Pool>();
for (const iterations of [4_096, 100_000]) {
  const role = { user: `app${iterations}`, password: 'a password of this benchmark' };
  await scenario.pair.primary.query(
    `do $$ begin perform set_config('scram_iterations', '${iterations}', true);
     create role ${role.user} login password '${role.password}'; end $$`,
  );
  const warm = scenario.ours({ ...role, max: connections, reconnectSpreadMillis: 0 }, Pool);
  lasting.add(warm);
  try {
    await ready(warm);
    report[`${iterations} iterations, warm`] = await compare(role, () => warm);
  } finally {
    await warm.end();
  }
  report[`${iterations} iterations, cold`] = await compare(role, () =>
    scenario.ours({ ...role, max: connections }, Pool),
  );
}
if (values.json) {
  console.log(JSON.stringify({ load: loadavg()[0], rounds, connections, report }, null, 2));
} else {
  const load = loadavg()[0]?.toFixed(1);
  console.log(
    `Node ${process.version}, ${cpus().length} cores, load ${load}; ${connections} connections, ${rounds} rounds`,
  );
  console.table(report);
}

async function compare(role: pg.PoolConfig, ours: () => pg.Pool): Promise<Record<string, number>> {
  const peers = { ours, plain: () => scenario.plainToAddress({ ...role, max: connections }) };
  const measured = { ours: [] as number[], plain: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    // Who goes first changes, so that what grows or fades over time favours neither.
    const order = round % 2 === 0 ? (['ours', 'plain'] as const) : (['plain', 'ours'] as const);
    for (const peer of order) {
      const pool = peers[peer]();
      measured[peer].push(await ready(pool));
      if (!lasting.has(pool)) await pool.end();
    }
  }
  const ratios = measured.ours.map((millis, index) => millis / (measured.plain[index] ?? Number.NaN));
  return {
    'ours ms': oneDigit(median(measured.ours)),
    'plain ms': oneDigit(median(measured.plain)),
    ratio: Math.round(median(ratios) * 100) / 100,
  };
}

/** From the question for the first connection to the answer to the last. The pool has none afterwards. */
async function ready(pool: pg.Pool): Promise<number> {
  const startedAt = performance.now();
  const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()));
  const millis = performance.now() - startedAt;
  const closed = clients.map((client) => new Promise((resolve) => client.once('end', resolve)));
  for (const client of clients) client.release(true);
  await Promise.all(closed);
  return millis;
}

function oneDigit(value: number): number {
  return Math.round(value * 10) / 10;
}
