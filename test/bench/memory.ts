/**
 * Memory of an idle connection: `pg.Pool`, ours, and ours with `pipelining` and `statementCache`, each to a plain host; and ours for a
 * Service; all of them over TLS and without it. Prints a table of medians, and of the ratios to `pg.Pool` on a connection of the same kind.
 *
 *   pnpm bench:memory [--trials=5] [--connections=100] [--json]
 *
 * Each trial is a process of its own for each pool and kind of connection. It opens ten connections and does with them all that follows, so that code and caches
 * come to their size, and then the rest. `idle` is what each of those takes after some small queries, and `prepared` after all of 20
 * statements were prepared on it: by a name with `pg.Pool` and ours, and by the pool itself if it has a `statementCache`. The bytes are
 * those of the heap of V8 and of buffers (`heapUsed` and `external`, which contains `arrayBuffers`), once garbage collections find nothing more. `rss`
 * is of the idle ones: it counts whole pages, and what OpenSSL takes; it is less exact, and without TLS says nothing.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { PoolOptions } from '@externalname/pg';
import pg from 'pg';
import { buildPackages, builtPackage } from './built-package.ts';
import { median, Scenario } from './compared-pools.ts';

/** The options by which a pool differs from `pg.Pool`, which has none. */
const peers = {
  'pg.Pool': undefined,
  ours: {},
  'ours, pipelining and statementCache': { pipelining: 16, statementCache: 100 },
  'ours, for a Service': {},
} as const satisfies Record<string, PoolOptions | undefined>;
type Peer = keyof typeof peers;
const peerNames = Object.keys(peers) as Peer[];

const lines = ['TLS', 'no TLS'] as const;
type Line = (typeof lines)[number];

/** What a process is told. */
interface Setting {
  readonly peer: Peer;
  readonly options: PoolOptions;
  readonly connections: number;
  /** Where the package is built. */
  readonly folder: string;
}

/** What it answers: bytes for each connection. */
interface Figures {
  readonly idle: number;
  readonly prepared: number;
  readonly rss: number;
}

const warmed = 10;
const mostCollections = 50;
const statements = Array.from(
  { length: 20 },
  (_, index) => `select $1::int + ${index} as sum, 'statement ${index}' as text`,
);

if (process.send === undefined) await compare();
else await measure();

async function compare(): Promise<void> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '5' },
      connections: { type: 'string', default: '100' },
      json: { type: 'boolean', default: false },
    },
  });
  const trials = Number(values.trials);
  const connections = Number(values.connections);
  await using built = await buildPackages('pg');
  const folder = built.folders.pg;
  await using scenario = await Scenario.start({ accessRules: ['hostnossl all all all scram-sha-256'] });
  const { primary, port, user, password, database, ca } = scenario.pair;
  const ssl = { TLS: { ca, servername: primary.hostName }, 'no TLS': false } as const;
  const login = { port, user, password, database };
  const optionsOf = (line: Line, peer: Peer): PoolOptions =>
    peer === 'ours, for a Service'
      ? { ...login, ...scenario.service, ssl: line === 'TLS' && { ca } }
      : { ...login, host: primary.address, ssl: ssl[line] };
  const rows = lines.flatMap((line) => peerNames.map((peer) => ({ line, peer, figures: [] as Figures[] })));
  for (let trial = 0; trial < trials; trial++)
    for (const { line, peer, figures } of rows)
      figures.push(await figuresOf({ peer, options: optionsOf(line, peer), connections, folder }));

  const middle = (line: Line, peer: Peer, of: keyof Figures) => {
    const measured = rows.find((row) => row.line === line && row.peer === peer)?.figures ?? [];
    return median(measured.map((figures) => figures[of]));
  };
  const report = Object.fromEntries(
    rows.map(({ line, peer }) => {
      const row = (['idle', 'prepared', 'rss'] as const).flatMap((of) => [
        [of, Math.round(middle(line, peer, of))],
        [`${of} x pg.Pool`, Math.round((middle(line, peer, of) / middle(line, 'pg.Pool', of)) * 1_000) / 1_000],
      ]);
      return [`${line}: ${peer}`, Object.fromEntries(row)];
    }),
  );
  const load = Number((loadavg()[0] ?? 0).toFixed(1));
  if (values.json) console.log(JSON.stringify({ load, trials, connections, report }, null, 2));
  else {
    console.log(
      `Node ${process.version}, ${cpus().length} cores, load ${load}; bytes for each of ${connections} connections, ${trials} trials`,
    );
    console.table(report);
  }
}

async function figuresOf(setting: Setting): Promise<Figures> {
  // Code that is compiled or thrown away while it is measured belongs to no connection.
  const steady = ['--no-opt', '--no-sparkplug', '--no-flush-bytecode'];
  const child = fork(import.meta.filename, { execArgv: [...process.execArgv, ...steady] });
  const exit = once(child, 'exit');
  const ended = exit.then(() => Promise.reject(new Error(`the process of ${setting.peer} ended`)));
  child.send(setting);
  const [figures] = await Promise.race([once(child, 'message'), ended]);
  child.disconnect();
  await exit;
  return figures as Figures;
}

async function measure(): Promise<void> {
  const [{ peer, options, connections, folder }] = (await once(process, 'message')) as [Setting];
  const own = peers[peer];
  const all = { ...options, ...own, max: warmed + connections, idleTimeoutMillis: 0 };
  const pool = own === undefined ? new pg.Pool(all as pg.PoolConfig) : new (await builtPackage('pg', folder)).Pool(all);
  pool.on('error', () => undefined);
  await query(pool, warmed);
  await prepare(pool, warmed);
  const before = await memory();
  await query(pool, warmed + connections);
  const idle = await memory();
  await prepare(pool, warmed + connections);
  const prepared = await memory();
  if (pool.totalCount !== warmed + connections) throw new Error(`${peer} has ${pool.totalCount} connections`);
  process.send?.({
    idle: (idle.used - before.used) / connections,
    prepared: (prepared.used - before.used) / connections,
    rss: (idle.rss - before.rss) / connections,
  } satisfies Figures);
  await once(process, 'disconnect');
  await pool.end();
}

/** As many callers at once as there are connections: each gets one of its own. */
async function query(pool: pg.Pool, callers: number): Promise<void> {
  for (let time = 0; time < 5; time++) await Promise.all(Array.from({ length: callers }, () => pool.query('select 1')));
}

async function prepare(pool: pg.Pool, callers: number): Promise<void> {
  const isNamed = !('status' in pool) || (pool.status as () => { sharing?: object })().sharing === undefined;
  for (const [index, text] of statements.entries()) {
    const name = isNamed ? { name: `statement-${index}` } : {};
    for (let time = 0; time < 4; time++)
      await Promise.all(Array.from({ length: callers }, () => pool.query({ ...name, text, values: [time] })));
  }
}

/** What is left after garbage collections, once they find nothing more. */
async function memory(): Promise<{ readonly used: number; readonly rss: number }> {
  if (globalThis.gc === undefined) throw new Error('run it with node --expose-gc, as pnpm bench:memory does');
  let least = Number.POSITIVE_INFINITY;
  for (let time = 0, still = 0; time < mostCollections && still < 4; time++) {
    // Sockets and timers let go of what they hold in a later turn.
    await sleep(100);
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    const used = heapUsed + external;
    still = least - used > 1_000 ? 0 : still + 1;
    least = Math.min(least, used);
  }
  return { used: least, rss: process.memoryUsage().rss };
}
