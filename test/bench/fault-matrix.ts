/**
 * What happens to writes in each fault, on real servers under load: our pool compared with plain `pg.Pool`, in the same run.
 * Prints a table; `docs/guides/fault-matrix.md` keeps one and explains it.
 *
 *   pnpm bench:faults [--row=NAME ...] [--pipelining=DEPTH] [--json]
 *
 * Three clients at a time, each with 8 workers on a pool of 5: ours with its defaults; `pg` with what it needs to reach the
 * host (see `plainThroughService`); and `pg tuned`, with the timeouts that are usually advised.
 *
 * `--pipelining=16` lets ours pipeline and prepare.
 *
 * Exit status 1 if, in ours, a write was lost, done twice or hung, or was called not executed and is stored; or if a
 * row could not be run. Times never fail it.
 */
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Scenario } from './compared-pools.ts';
import { type FaultRow, faultRows, type Stage } from './fault-rows.ts';
import { type Account, WriteLoad } from './write-load.ts';

const { values } = parseArgs({
  options: {
    row: { type: 'string', multiple: true },
    pipelining: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});
for (const name of values.row ?? []) {
  if (!faultRows.some((row) => row.name === name)) {
    throw new Error(`no row ${name}: there are ${faultRows.map((row) => row.name).join(', ')}`);
  }
}
const chosen = faultRows.filter((row) => values.row === undefined || values.row.includes(row.name));

// What is usually advised if a server may fall silent.
const tuning = { connectionTimeoutMillis: 3_000, query_timeout: 5_000, keepAlive: true, maxLifetimeSeconds: 30 };
// Longer than the timeouts of `pg tuned`, and than ours needs to find a half-open connection.
const recoveryMillis = 9_000;

const pipelining = Number(values.pipelining);
const sharing = pipelining > 0 ? { pipelining, statementCache: 100 } : {};

interface Result {
  readonly row: string;
  readonly from: string;
  readonly clients: Record<string, Account>;
  readonly error?: string;
}

const results: Result[] = [];
let broken = 0;
const startedAt = performance.now();
if (!values.json) printHead();
for (const row of chosen) {
  const result = await play(row).catch((error: unknown) => ({
    row: row.name,
    from: row.from,
    clients: {},
    error: error instanceof Error ? error.message : String(error),
  }));
  results.push(result);
  const { ours } = result.clients as { ours?: Account };
  if (ours === undefined || ours.lost + ours.twice + ours.hung + ours.toldWrongly > 0) broken += 1;
  if (!values.json) printRow(result);
}
const seconds = Math.round((performance.now() - startedAt) / 1_000);
if (values.json) {
  console.log(JSON.stringify({ node: process.version, cores: cpus().length, load: loadavg()[0], seconds, results }));
} else {
  const load = loadavg()[0]?.toFixed(1);
  console.log(
    `\nNode ${process.version}, ${cpus().length} cores, load ${load}; ${chosen.length} rows in ${seconds} s.`,
  );
  if (broken > 0) console.log(`Rows in which ours broke a promise or that could not be run: ${broken}.`);
}
// Sockets of plain pg that hang would keep the process.
process.exit(broken > 0 ? 1 : 0);

async function play(row: FaultRow): Promise<Result> {
  await using scenario = await Scenario.start({ proxies: true });
  const { pair } = scenario;
  const [first, second] = pair.servers;
  const size = { max: 5 };
  const { work = 'statement' } = row;
  const loads = [
    new WriteLoad('ours', scenario.ours({ ...size, ...sharing, endTimeoutMillis: 1_000 }), work),
    new WriteLoad('pg', scenario.plainThroughService(size), work),
    new WriteLoad('pg tuned', scenario.plainThroughService({ ...size, ...tuning }), work),
  ];
  const cleaning: (() => Promise<unknown>)[] = [];
  let readyAt = Number.POSITIVE_INFINITY;
  try {
    await first.query('create table writes (id text)', [], { database: pair.database });
    await first.query(`grant all on writes to ${pair.user}`, [], { database: pair.database });
    for (const load of loads) load.start();
    const warm = performance.now();
    await until(() => loads.every((load) => load.hasRecovered(warm, first.address)), 10_000);
    await sleep(500);
    const stage: Stage = {
      scenario,
      pair,
      first,
      second,
      ready: () => {
        readyAt = performance.now();
      },
      after: (work) => cleaning.push(work),
    };
    await row.run(stage);
    const { address } = pair.primary;
    // At least a moment of load after the recovery; and the loads that never recover are not waited for.
    await until(() => loads.every((load) => load.hasRecovered(readyAt, address)), recoveryMillis);
    await sleep(500);
    await Promise.all(loads.map((load) => load.stop()));
    await Promise.all(loads.map((load) => load.end()));
    for (const clean of cleaning.splice(0)) await clean();
    const rows = await pair.primary.query<{ id: string; count: number }>(
      'select id, count(*)::integer from writes group by id',
      [],
      { database: pair.database },
    );
    const stored = new Map(rows.map(({ id, count }) => [id, count]));
    const clients = Object.fromEntries(loads.map((load) => [load.name, load.account(stored, readyAt, address)]));
    return { row: row.name, from: row.from, clients };
  } catch (error) {
    await Promise.all(loads.map((load) => load.end().catch(() => undefined)));
    for (const clean of cleaning) await clean().catch(() => undefined);
    throw error;
  }
}

async function until(condition: () => boolean, limitMillis: number): Promise<void> {
  const end = performance.now() + limitMillis;
  while (!condition() && performance.now() < end) await sleep(20);
}

function printHead(): void {
  console.log(
    '| fault | client | acknowledged | lost | twice | hung | failed | of them not executed / unknown | first write | all writing |',
  );
  console.log('| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |');
}

function printRow({ row, clients, error }: Result): void {
  if (error !== undefined) console.log(`| ${row} | could not be run: ${error} | | | | | | | | |`);
  for (const [client, account] of Object.entries(clients)) {
    const { acknowledged, lost, twice, hung, failed, outcomes, toldWrongly } = account;
    const wrong = toldWrongly > 0 ? ` (${toldWrongly} told wrongly)` : '';
    const told = client === 'ours' ? `${outcomes.notExecuted} / ${outcomes.unknown}${wrong}` : 'not told';
    const times = [account.firstWrite, account.allWriting].map((time) =>
      time === undefined ? 'never' : `${time.toFixed(2)} s`,
    );
    const cells = [
      client === 'ours' ? row : '',
      client,
      acknowledged,
      lost,
      twice,
      hung,
      failed,
      failed > 0 ? told : '',
      ...times,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
