/**
 * Throughput of many callers on ten connections, interleaved in one run: `pg.Pool`, ours without and with `pipelining` and `statementCache`,
 * postgres.js, `pg.Pool` behind PgBouncer, and pgbench as the limit of a client in C, as far as they are installed; on loopback, and with a
 * round trip of one and of ten milliseconds. Prints a table of medians, and of the ratios to `pg.Pool` in the same round.
 *
 *   pnpm bench:pipelining [--rounds=5] [--millis=300] [--callers=64] [--only=TEXT] [--json]
 *
 * `cpu` is the processor time of this process for one query: on a busy machine its ratio says more than that of the throughput. The delay is made by a
 * process of its own. `one in a hundred is slow` mixes point reads with statements of 100 ms: there, p99 is what to look at, and what the
 * slowest of the slow ones has waited for that.
 */
import { execFile, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { FaultProxy } from '@externalname/testing';
import pg from 'pg';
import { builtPackage } from './built-package.ts';
import { median, Scenario } from './compared-pools.ts';
import { startPgBouncer } from './pgbouncer.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    millis: { type: 'string', default: '300' },
    callers: { type: 'string', default: '64' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    'delay-to': { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const roundMillis = Number(values.millis);
const callers = Number(values.callers);
const connections = 10;
const rows = 1_000;

/** One way to ask the server. */
interface Peer {
  readonly name: string;
  query(text: string, parameters?: number[]): Promise<unknown>;
  end(): Promise<unknown>;
}

interface Slice {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p99: number;
  readonly slowest: number;
}

const pointRead = 'select name from items where id = $1';
const statements: Record<string, (peer: Peer, number: number) => Promise<unknown>> = {
  'select 1': (peer) => peer.query('select 1'),
  'point read': (peer, number) => peer.query(pointRead, [number % rows]),
  'one in a hundred is slow': (peer, number) =>
    number % 100 === 0 ? peer.query('select pg_sleep(0.1 + 0 * $1)', [0]) : peer.query(pointRead, [number % rows]),
};

if (values['delay-to'] === undefined) await main();
else await delay(values['delay-to']);

async function main(): Promise<void> {
  const { Pool } = await builtPackage('pg');
  await using scenario = await Scenario.start();
  const { pair } = scenario;
  const plain = scenario.plainToAddress({ max: connections });
  await plain.query('create table items (id integer primary key, name text)');
  await plain.query("insert into items select n, 'item ' || n from generate_series(0, $1::int - 1) n", [rows]);
  await plain.query('analyze items');
  await plain.end();
  const report: Record<string, Record<string, number | undefined>> = {};
  for (const delayMillis of [0, 1, 10]) {
    const line = delayMillis === 0 ? undefined : await delayed(pair.primary.address, pair.port, delayMillis);
    const port = line?.port ?? pair.port;
    const host = line === undefined ? pair.primary.address : '127.0.0.1';
    const through = line === undefined ? {} : { host, port };
    const peers: Peer[] = [ofPool('pg.Pool', scenario.plainToAddress({ max: connections, ...through }))];
    const ours = (name: string, options: object) => {
      // The proxy is not the host that the Service names, so ours goes to it as to a plain host, with the same TLS.
      const { user, password, database, ca } = pair;
      const ssl = { ca, servername: pair.primary.hostName };
      const pool = new Pool({ host, port, user, password, database, ssl, max: connections, ...options });
      pool.on('error', () => undefined);
      peers.push(ofPool(name, pool));
    };
    ours('ours', {});
    ours('ours, statementCache', { statementCache: 100 });
    ours('ours, pipelining', { pipelining: 16 });
    ours('ours, both', { pipelining: 16, statementCache: 100 });
    peers.push(...(await postgresJs(host, port, pair)));
    const bouncer = delayMillis === 0 ? await bounced(pair) : undefined;
    if (bouncer !== undefined) peers.push(bouncer.peer);
    try {
      for (const [name, statement] of Object.entries(statements)) {
        const title = `${name}, ${delayMillis === 0 ? 'loopback' : `${delayMillis} ms`}`;
        if (!title.includes(values.only)) continue;
        Object.assign(report, await compare(title, peers, statement));
        const limit = name === 'one in a hundred is slow' ? undefined : await pgbench(name, host, port, pair);
        if (limit !== undefined) report[`${title}: pgbench (10 clients)`] = { '/s': limit };
      }
    } finally {
      await Promise.all(peers.map((peer) => peer.end()));
      await bouncer?.close();
      line?.close();
    }
  }
  if (values.json) {
    console.log(JSON.stringify({ load: loadavg()[0], rounds, roundMillis, callers, report }, null, 2));
  } else {
    const load = loadavg()[0]?.toFixed(1);
    console.log(`Node ${process.version}, ${cpus().length} cores, load ${load}; ${callers} callers, ${rounds} rounds`);
    console.table(report);
  }
}

function ofPool(name: string, pool: pg.Pool): Peer {
  return { name, query: (text, parameters) => pool.query(text, parameters), end: () => pool.end() };
}

type Pair = Scenario['pair'];

async function postgresJs(host: string, port: number, pair: Pair): Promise<Peer[]> {
  const module = await import('postgres').catch(() => undefined);
  if (module === undefined) return [];
  const { user, password, database, ca } = pair;
  const ssl = { ca, servername: pair.primary.hostName };
  const sql = module.default({
    host,
    port,
    user,
    password,
    database,
    max: connections,
    ssl,
    onnotice: () => undefined,
  });
  return [
    {
      name: 'postgres.js',
      query: (text, parameters = []) => sql.unsafe(text, parameters, { prepare: parameters.length > 0 }),
      end: () => sql.end(),
    },
  ];
}

// As it is used: each caller has a connection to the pooler, which has ten to the server.
async function bounced(pair: Pair): Promise<{ peer: Peer; close(): Promise<void> } | undefined> {
  const bouncer = await startPgBouncer(pair, connections);
  if (bouncer === undefined) return undefined;
  const { user, password, database } = pair;
  const pool = new pg.Pool({ host: '127.0.0.1', port: bouncer.port, user, password, database, max: callers });
  return { peer: ofPool('PgBouncer + pg.Pool', pool), close: bouncer.close };
}

async function pgbench(name: string, host: string, port: number, pair: Pair): Promise<number | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'externalname-pgbench-'));
  try {
    const script = join(folder, 'script.sql');
    const read = `\\set id random(0, ${rows - 1})\nselect name from items where id = :id;\n`;
    await writeFile(script, name === 'select 1' ? 'select 1;\n' : read);
    const seconds = Math.max(1, Math.round((rounds * roundMillis) / 1_000));
    const options = ['-n', '-M', 'prepared', '-c', String(connections), '-j', '2', '-T', String(seconds), '-f', script];
    const { stdout } = await promisify(execFile)(
      'pgbench',
      [...options, '-h', host, '-p', String(port), '-U', pair.user, pair.database],
      {
        env: { ...process.env, PGPASSWORD: pair.password, PGSSLMODE: 'require' },
      },
    );
    const found = /tps = ([\d.]+)/.exec(stdout)?.[1];
    return found === undefined ? undefined : Math.round(Number(found));
  } catch {
    // It is not installed, or too old for the server.
    return undefined;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function compare(
  title: string,
  peers: readonly Peer[],
  statement: (peer: Peer, number: number) => Promise<unknown>,
): Promise<Record<string, Record<string, number>>> {
  const measured = new Map(peers.map((peer) => [peer, [] as Slice[]]));
  for (const peer of peers) await slice(peer, statement);
  for (let round = 0; round < rounds; round++) {
    // Who goes first changes, so that what grows or fades over time favours none.
    for (const index of peers.keys()) {
      const peer = peers[(index + round) % peers.length];
      if (peer !== undefined) measured.get(peer)?.push(await slice(peer, statement));
    }
  }
  const [first] = peers;
  const base = (first && measured.get(first)) ?? [];
  return Object.fromEntries(
    [...measured].map(([{ name }, slices]) => {
      const middle = (of: keyof Slice) => median(slices.map((each) => each[of]));
      const ratio = (of: keyof Slice) =>
        median(slices.map((each, round) => each[of] / (base[round]?.[of] ?? Number.NaN)));
      const row = {
        '/s': Math.round(middle('perSecond')),
        'x pg.Pool': hundredths(ratio('perSecond')),
        'µs cpu': Math.round(middle('cpuMicros')),
        'cpu x pg.Pool': hundredths(ratio('cpuMicros')),
        'p99 ms': hundredths(middle('p99')),
        'p99 x pg.Pool': hundredths(ratio('p99')),
        'slowest ms': hundredths(middle('slowest')),
      };
      return [`${title}: ${name}`, row];
    }),
  );
}

async function slice(peer: Peer, statement: (peer: Peer, number: number) => Promise<unknown>): Promise<Slice> {
  let done = 0;
  const took: number[] = [];
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + roundMillis;
  const loop = async () => {
    for (let before = performance.now(); before < until; ) {
      done += 1;
      await statement(peer, done);
      const now = performance.now();
      took.push(now - before);
      before = now;
    }
  };
  await Promise.all(Array.from({ length: callers }, loop));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  took.sort((one, other) => one - other);
  return {
    perSecond: done / seconds,
    cpuMicros: (user + system) / done,
    // By nearest rank: of a hundred, the 99th.
    p99: took[Math.ceil(took.length * 0.99) - 1] ?? 0,
    slowest: took.at(-1) ?? 0,
  };
}

/** A line to the server that takes so long, in a process of its own. */
async function delayed(address: string, port: number, millis: number): Promise<{ port: number; close(): void }> {
  const child = fork(import.meta.filename, [`--delay-to=${address} ${port} ${millis}`]);
  const open = await new Promise<number>((resolve, reject) => {
    child.once('message', (opened: number) => resolve(opened));
    child.once('exit', (code) => reject(new Error(`the line ended with exit code ${code}`)));
  });
  return { port: open, close: () => child.kill() };
}

async function delay(to: string): Promise<void> {
  const [host = '', port, millis] = to.split(' ');
  const proxy = await FaultProxy.start({ target: { host, port: Number(port) }, address: '127.0.0.1' });
  proxy.latency(Number(millis), 'to-server');
  process.send?.(proxy.port);
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
