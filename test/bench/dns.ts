/**
 * What resolving costs, side by side in one run. Prints tables and asserts nothing: times depend on the machine.
 *
 *   pnpm bench:dns [--quick] [--json]
 *
 * Ours is the package as it is built.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promises as dnsPromises } from 'node:dns';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import CacheableLookup from 'cacheable-lookup';
import { type Dispatcher, interceptors } from 'undici';
import { builtPackage } from './built-package.ts';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
});
const { quick } = values;
const service = 'webscaler-db.default.svc.cluster.local';
const searchDomains = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];

/** The benchmark's server, and how many queries have reached it. */
class Server {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #input: Interface;
  text = '';

  private constructor(child: ChildProcess, input: Interface) {
    this.#child = child;
    this.#input = input;
    this.#lines = input[Symbol.asyncIterator]();
  }

  static async start(delayMillis: number, address = '127.0.0.1', port = 0): Promise<Server> {
    const program = fileURLToPath(new URL('./dns-server.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', program, address, String(port), String(delayMillis)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const server = new Server(child, createInterface({ input: child.stdout ?? process.stdin }));
    const { value } = await server.#lines.next();
    if (value === undefined) throw new Error(`no DNS server on ${address}:${port}`);
    server.text = `${address}:${value}`;
    return server;
  }

  async count(): Promise<number> {
    this.#child.stdin?.write('count\n');
    return Number((await this.#lines.next()).value);
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await gone;
    this.#input.close();
  }
}

function median(values: readonly number[], part = 0.5): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length * part)] ?? Number.NaN;
}

/** A row: its name, and a cell for each column; a number has the digits of its column. */
type Row = readonly [name: string, ...cells: (number | string)[]];

interface Column {
  readonly name: string;
  readonly digits?: number;
}

function table(key: string, title: string, columns: readonly Column[], rows: readonly Row[]): void {
  report[key] = Object.fromEntries(
    rows.map(([name, ...cells]) => [
      name,
      Object.fromEntries(columns.map((column, index) => [column.name, rounded(cells[index], column)])),
    ]),
  );
  if (values.json) return;
  console.log(`\n${title}`);
  console.table(report[key]);
}

function rounded(cell: number | string | undefined, { digits = 0 }: Column): number | string {
  return typeof cell === 'number' ? Number(cell.toFixed(digits)) : (cell ?? '');
}

async function uncached(): Promise<void> {
  const server = await Server.start(1);
  const resolver = new DnsResolver({ nameservers: [server.text], cache: false });
  const cares = new dnsPromises.Resolver();
  cares.setServers([server.text]);
  const ways: Record<string, () => Promise<unknown>> = {
    'c-ares: resolveCname, then resolve4': async () => {
      await cares.resolveCname(service);
      await cares.resolve4(service);
    },
    'c-ares: resolve4 alone (no chain)': () => cares.resolve4(service),
    'c-ares: resolveCname, then resolve4 and resolve6': async () => {
      await cares.resolveCname(service);
      await Promise.allSettled([cares.resolve4(service), cares.resolve6(service)]);
    },
    'externalname: chain + A': () => resolver.resolve(service, { family: 4 }),
    'externalname: chain + A + AAAA': () => resolver.resolve(service),
  };
  const rounds = quick ? 100 : 500;
  const times = new Map<string, number[]>();
  const queries = new Map<string, number>();
  for (const [name, run] of Object.entries(ways)) {
    for (let warm = 0; warm < 50; warm++) await run();
    const before = await server.count();
    for (let warm = 0; warm < 10; warm++) await run();
    queries.set(name, ((await server.count()) - before) / 10);
  }
  // In turn, so that whatever else the machine does hits all alike.
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      const begun = performance.now();
      await run();
      const list = times.get(name) ?? [];
      list.push(performance.now() - begun);
      times.set(name, list);
    }
  }
  const base = median(times.get('c-ares: resolveCname, then resolve4') ?? []);
  table(
    'uncached',
    `Uncached chain, 1 ms of delay at the server, ${rounds} rounds; the ratio is to the first row`,
    [
      { name: 'queries', digits: 1 },
      { name: 'median ms', digits: 2 },
      { name: 'p95 ms', digits: 2 },
      { name: 'ratio', digits: 2 },
    ],
    [...times].map(([name, list]) => [
      name,
      queries.get(name) ?? Number.NaN,
      median(list),
      median(list, 0.95),
      median(list) / base,
    ]),
  );
  await resolver.close();
  await server.close();
}

type Lookup = (hostname: string, callback: () => void) => void;

async function cached(): Promise<void> {
  const server = await Server.start(0);
  const options = { nameservers: [server.text], ndots: 1, searchDomains, cache: { minTtlSeconds: 300 } };
  const resolver = new DnsResolver(options);
  const ours = createLookup(resolver);
  const cares = new dnsPromises.Resolver();
  cares.setServers([server.text]);
  const theirs = new CacheableLookup({ resolver: cares, maxTtl: 300 });
  const map = new Map([[service, '192.0.2.10']]);
  const dispatch = dnsInterceptor();
  const ways: Record<string, Lookup> = {
    'externalname: lookup': (hostname, done) => ours(hostname, { family: 4 }, done),
    'externalname: resolve (promise)': (hostname, done) => {
      resolver.resolve(hostname).then(done, fail);
    },
    'cacheable-lookup: lookup': (hostname, done) => theirs.lookup(hostname, { family: 4 }, done),
    'undici: dns interceptor': (hostname, done) => dispatch(hostname, done),
    'Map.get and nextTick (the limit)': (hostname, done) => {
      if (map.get(hostname) !== undefined) process.nextTick(done);
    },
  };
  const rates = new Map<string, number[]>();
  const batches = quick ? 20 : 200;
  for (let batch = 0; batch < batches + 10; batch++) {
    for (const [name, lookup] of Object.entries(ways)) {
      const begun = performance.now();
      await many(lookup, 1000);
      const rate = 1000 / ((performance.now() - begun) / 1000);
      if (batch >= 10) rates.set(name, [...(rates.get(name) ?? []), rate]);
    }
  }
  const base = median(rates.get('cacheable-lookup: lookup') ?? []);
  table(
    'cached',
    `Cached lookup of one name, ${batches} batches of 1,000; the ratio is to cacheable-lookup`,
    [{ name: 'lookups/s' }, { name: 'ratio', digits: 2 }],
    [...rates].map(([name, list]) => [name, median(list), median(list) / base]),
  );
  await resolver.close();
  await server.close();
}

function many(lookup: Lookup, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const done = () => {
      left--;
      if (left === 0) resolve();
    };
    for (let index = 0; index < count; index++) lookup(service, done);
  });
}

// The interceptor before a dispatcher that does nothing: what remains is its own lookup.
function dnsInterceptor(): Lookup {
  const nothing = (options: Dispatcher.DispatchOptions & { done?: () => void }) => {
    options.done?.();
    return true;
  };
  const lookup = (_origin: unknown, _options: unknown, callback: (error: null, records: unknown[]) => void) =>
    callback(null, [{ address: '192.0.2.10', family: 4, ttl: 300_000 }]);
  const dispatch = interceptors.dns({ maxTTL: 300_000, dualStack: false, affinity: 4, lookup } as never)(
    nothing as never,
  );
  const handler = { onRequestStart() {}, onResponseError: fail, onError: fail };
  const origin = new URL(`http://${service}`);
  return (_hostname, done) => {
    dispatch({ origin, path: '/', method: 'GET', done } as never, handler as never);
  };
}

function fail(error: unknown): never {
  throw error;
}

async function single(): Promise<void> {
  const server = await Server.start(1);
  const rows: Row[] = [];
  for (const family of [0, 4] as const) {
    const resolver = new DnsResolver({ nameservers: [server.text], timeoutMillis: 20_000, totalTimeoutMillis: 60_000 });
    for (const fresh of [false, true]) {
      const before = await server.count();
      const begun = performance.now();
      await Promise.all(Array.from({ length: 10_000 }, () => resolver.resolve(service, { family, fresh })));
      const elapsed = performance.now() - begun;
      const what = `${family === 0 ? 'A + AAAA' : 'A'}${fresh ? ', fresh' : ''}`;
      rows.push([what, (await server.count()) - before, elapsed]);
    }
    await resolver.close();
  }
  table('at once', '10,000 lookups of one name at once', [{ name: 'queries' }, { name: 'ms for all' }], rows);
  await server.close();
}

async function queryCounts(): Promise<void> {
  const server = await Server.start(0);
  const libc = await startLibc();
  const hosts = ['webscaler-db', 'webscaler-db.default', 'webscaler-db.default.svc', service, `${service}.`];
  const rows: Row[] = [];
  for (const host of hosts) {
    const resolver = new DnsResolver({ nameservers: [server.text], searchDomains, ndots: 5 });
    const cost = async (run: () => Promise<unknown>) => {
      const before = await server.count();
      await run();
      return (await server.count()) - before;
    };
    const first = await cost(() => resolver.resolveHost(host));
    resolver.invalidate(service);
    const again = await cost(() => resolver.resolveHost(host));
    resolver.invalidate();
    const full = await cost(() => resolver.resolve(service));
    rows.push([host, full, first, again, await libc.count(host)]);
    await resolver.close();
  }
  const columns = ['resolve(service)', 'resolveHost, first', 'resolveHost, then', libc.title];
  table(
    'queries',
    'Queries at the server for A + AAAA, ndots:5, three search domains',
    columns.map((name) => ({ name })),
    rows,
  );
  await libc.close();
  await server.close();
}

/** `dns.lookup` of a process whose /etc/resolv.conf is ours: only root may arrange that. */
async function startLibc(): Promise<{
  title: string;
  count(host: string): Promise<number | string>;
  close(): Promise<void>;
}> {
  const none = { title: 'libc (needs root)', count: async () => '-', close: async () => undefined };
  if (process.getuid?.() !== 0) return none;
  const server = await Server.start(0, '127.0.0.41', 53);
  const folder = await mkdtemp(join(tmpdir(), 'externalname-bench-'));
  const conf = join(folder, 'resolv.conf');
  await writeFile(conf, `nameserver 127.0.0.41\nsearch ${searchDomains.join(' ')}\noptions ndots:5\n`);
  const run = promisify(execFile);
  return {
    title: 'libc (dns.lookup)',
    count: async (host) => {
      const before = await server.count();
      const lookup = `require('node:dns').lookup(process.argv[1], { all: true }, (error) => { if (error) throw error; })`;
      const script = 'mount --bind "$1" /etc/resolv.conf && exec "$2" -e "$3" "$4"';
      await run('unshare', ['--mount', 'sh', '-c', script, 'sh', conf, process.execPath, lookup, host]);
      return (await server.count()) - before;
    },
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}

const { createLookup, DnsResolver } = await builtPackage('core');
const report: Record<string, Record<string, Record<string, number | string>>> = {};
if (!values.json) console.log(`Node.js ${process.version}, ${process.platform} ${process.arch}`);
await queryCounts();
await uncached();
await cached();
await single();
if (values.json) console.log(JSON.stringify({ report }));
