/**
 * How long after the patch of a Service the writers of a pool are on the new server: the first write there, and the moment
 * when all of them have written there. Pushed by a watch, then polled from the cluster's DNS.
 *
 *   node --conditions=@externalname/source --import tsx test/bench/pool-switch.ts [--switches=50] [--workers=20] [--ttl=1]
 *
 * Two real PostgreSQL servers, both of which take writes (so that one can go back and forth), and a LocalCluster. Each
 * worker inserts one row after the other. The time starts when the patch is sent.
 */
import { parseArgs } from 'node:util';
import { DnsResolver, DnsTargetSource, type TargetSource } from '@externalname/core';
import { externalNameService } from '@externalname/core/manifests';
import { kubernetesSource } from '@externalname/kubernetes';
import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { Client } from 'pg';

const { values } = parseArgs({
  options: {
    switches: { type: 'string', default: '50' },
    workers: { type: 'string', default: '20' },
    ttl: { type: 'string', default: '1' },
  },
});
const [switches, workers, ttlSeconds] = [Number(values.switches), Number(values.workers), Number(values.ttl)];

const pair = await PostgresPair.start({ synchronous: false });
const names = [pair.primary.hostName, pair.standby.hostName] as const;
const owner = new Client(pair.connection());
await owner.connect();
await owner.query('create table writes (id bigserial, how text)');
await owner.end();
await pair.standby.waitForReplay(await pair.primary.position());
await pair.standby.promote();
const cluster = await LocalCluster.start({
  ttlSeconds,
  services: [externalNameService({ name: 'webscaler-db', namespace: 'default', externalName: names[0] })],
  hosts: pair.hosts,
});
const resolver = new DnsResolver({ nameservers: [cluster.nameserver] });

/** Workers of one pool, each of which writes without a pause. */
class Crew {
  readonly #source: TargetSource;
  readonly #pool: Pool;
  readonly #running: Promise<void>[];
  readonly #seen = new Map<number, { address: string; since: number }>();
  #onWrite = () => {};
  #stopped = false;
  #lastError: unknown;

  constructor(source: TargetSource) {
    this.#source = source;
    this.#pool = new Pool({
      service: 'webscaler-db',
      allowedTargets: [...names],
      allowedNetworks: ['127.0.0.0/8'],
      dns: { nameservers: [cluster.nameserver] },
      source,
      max: workers,
      port: pair.port,
      database: pair.database,
      user: pair.user,
      password: pair.password,
      ssl: { ca: pair.ca },
    });
    this.#running = Array.from({ length: workers }, (_, worker) => this.#work(worker));
  }

  /** When the first worker wrote on that server, and when the last one had. */
  async moved(hostName: string): Promise<{ first: number; last: number }> {
    const { address } = pair.server(hostName);
    const there = () => [...this.#seen.values()].filter((seen) => seen.address === address);
    const end = performance.now() + 60_000;
    while (there().length < workers) {
      if (performance.now() > end) throw new Error(`not all workers write on ${hostName}`, { cause: this.#lastError });
      await new Promise<void>((resolve) => {
        this.#onWrite = resolve;
        setTimeout(resolve, 1_000).unref();
      });
    }
    const times = there().map(({ since }) => since);
    return { first: Math.min(...times), last: Math.max(...times) };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    await this.#pool.end();
    await this.#source.close();
  }

  async #work(worker: number): Promise<void> {
    while (!this.#stopped) {
      try {
        const insert = "insert into writes (how) values ('bench') returning host(inet_server_addr()) as address";
        const { rows } = await this.#pool.query<{ address: string }>(insert);
        const address = rows[0]?.address ?? '';
        if (this.#seen.get(worker)?.address !== address) this.#seen.set(worker, { address, since: performance.now() });
        this.#onWrite();
      } catch (error) {
        // A write that was cut off is the pool's to report; this program asks only when the next one succeeds.
        this.#lastError = error;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }
}

type Times = { first: number[]; last: number[] };
const measured: Record<string, Times> = {};
const kubeConfig = await cluster.writeKubeconfig();
const sources: Record<string, () => TargetSource> = {
  pushed: () => kubernetesSource({ service: 'webscaler-db', kubeConfig }),
  polled: () => new DnsTargetSource({ service: 'webscaler-db', resolver }),
};
let current = 0;
for (const [how, makeSource] of Object.entries(sources)) {
  const crew = new Crew(makeSource());
  const times: Times = { first: [], last: [] };
  measured[how] = times;
  await crew.moved(names[current] ?? names[0]);
  for (let count = 1; count <= switches; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * ttlSeconds * 1000));
    current = 1 - current;
    const to = names[current] ?? names[0];
    const startedAt = performance.now();
    const moving = crew.moved(to);
    await cluster.services.patch('default', 'webscaler-db', [{ op: 'replace', path: '/spec/externalName', value: to }]);
    const { first, last } = await moving;
    times.first.push(first - startedAt);
    times.last.push(last - startedAt);
  }
  await crew.stop();
}
await resolver.close();
await cluster.close();
await pair.close();

console.log(`${switches} switches, ${workers} workers, TTL ${ttlSeconds} s; from the patch, in milliseconds`);
console.table(
  Object.fromEntries(
    Object.entries(measured).flatMap(([how, { first, last }]) => [
      [`${how}, first write on the new server`, { p50: at(first, 0.5), p99: at(first, 0.99) }],
      [`${how}, all ${workers} workers there`, { p50: at(last, 0.5), p99: at(last, 0.99) }],
    ]),
  ),
);

function at(times: readonly number[], part: number): number {
  const sorted = [...times].sort((one, other) => one - other);
  const value = sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
  return Math.round(value * 10) / 10;
}
