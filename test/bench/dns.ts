/**
 * What resolving costs, side by side in one run. Prints tables; asserts nothing, since a busy machine is no defect.
 *
 * It measures the built package, as users run it: pnpm --filter @externalname/core build
 * Then: node --import tsx test/bench/dns.ts [--quick]
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promises as dnsPromises } from 'node:dns';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createLookup, DnsResolver } from '@externalname/core';
import CacheableLookup from 'cacheable-lookup';
import { type Dispatcher, interceptors } from 'undici';

const quick = process.argv.includes('--quick');
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

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  console.log(`\n${title}\n${line(head)}\n${widths.map((width) => '-'.repeat(width)).join('  ')}`);
  for (const row of rows) console.log(line(row));
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
  const rounds = quick ? 100 : 1000;
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
    `Uncached chain, 1 ms of delay at the server, ${rounds} rounds (goal: A at most 0.60 of the first row)`,
    ['way', 'queries', 'median ms', 'p95 ms', 'ratio'],
    [...times].map(([name, list]) => [
      name,
      String(queries.get(name)),
      median(list).toFixed(2),
      median(list, 0.95).toFixed(2),
      (median(list) / base).toFixed(2),
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
    `Cached lookup of one name, ${batches} batches of 1,000 (goal: 2.0 times the rate of cacheable-lookup)`,
    ['way', 'lookups/s', 'to cacheable-lookup'],
    [...rates].map(([name, list]) => [
      name,
      Math.round(median(list)).toLocaleString('en'),
      (median(list) / base).toFixed(2),
    ]),
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
  const rows: string[][] = [];
  for (const family of [0, 4] as const) {
    const resolver = new DnsResolver({ nameservers: [server.text], timeoutMillis: 20_000, totalTimeoutMillis: 60_000 });
    for (const fresh of [false, true]) {
      const before = await server.count();
      const begun = performance.now();
      await Promise.all(Array.from({ length: 10_000 }, () => resolver.resolve(service, { family, fresh })));
      const elapsed = performance.now() - begun;
      const what = `${family === 0 ? 'A + AAAA' : 'A'}${fresh ? ', fresh' : ''}`;
      rows.push([what, String((await server.count()) - before), elapsed.toFixed(0)]);
    }
    await resolver.close();
  }
  table('10,000 lookups of one name at once', ['asked for', 'queries at the server', 'ms for all'], rows);
  await server.close();
}

async function queryCounts(): Promise<void> {
  const server = await Server.start(0);
  const libc = await startLibc();
  const hosts = ['webscaler-db', 'webscaler-db.default', 'webscaler-db.default.svc', service, `${service}.`];
  const rows: string[][] = [];
  for (const host of hosts) {
    const resolver = new DnsResolver({ nameservers: [server.text], searchDomains, ndots: 5 });
    const cost = async (run: () => Promise<unknown>) => {
      const before = await server.count();
      await run();
      return String((await server.count()) - before);
    };
    const first = await cost(() => resolver.resolveHost(host));
    resolver.invalidate(service);
    const again = await cost(() => resolver.resolveHost(host));
    resolver.invalidate();
    const full = await cost(() => resolver.resolve(service));
    rows.push([host, full, first, again, await libc.count(host)]);
    await resolver.close();
  }
  table(
    'Queries at the server for A + AAAA, ndots:5, three search domains',
    ['name', 'resolve(service)', 'resolveHost, first', 'resolveHost, then', libc.title],
    rows,
  );
  await libc.close();
  await server.close();
}

/** `dns.lookup` of a process whose /etc/resolv.conf is ours: only root may arrange that. */
async function startLibc(): Promise<{ title: string; count(host: string): Promise<string>; close(): Promise<void> }> {
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
      return String((await server.count()) - before);
    },
    close: async () => {
      await server.close();
      await rm(folder, { recursive: true });
    },
  };
}

console.log(`Node.js ${process.version}, ${process.platform} ${process.arch}`);
await queryCounts();
await uncached();
await cached();
await single();
