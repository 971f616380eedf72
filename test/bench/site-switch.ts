/**
 * How long after the patch of a Service the writers of a pool are on the new server: the first write there, and the moment when
 * all of them have written there. Pushed by a watch, and polled from the cluster's DNS; on loopback, from a pod on another machine
 * (network namespaces), and from that pod with 50 ms to the databases.
 *
 *   pnpm bench:site [--switches=50] [--workers=20] [--ttl=1] [--round-trip=50] [--ready=4] [--json]
 *
 * Two real PostgreSQL servers, both of which take writes (so that one can go back and forth), and a LocalCluster. Each worker inserts
 * one row after the other. The time starts when the patch is sent. Before each switch all sessions that are to be ready are ready. A
 * round trip is the proxy's: TCP's own handshake is not delayed.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { PoolOptions } from '@externalname/pg';
import { isInOwnNetwork, networkProblem, runInOwnNetwork } from '../../examples/webscaler/src/network/enter.ts';
import { Network } from '../../examples/webscaler/src/network/network.ts';
import {
  delayDatabases,
  grantReading,
  startWebscalerSite,
} from '../../examples/webscaler/src/network/webscaler-site.ts';
import { makeTable } from '../../examples/webscaler/src/rows.ts';
import { now } from '../../examples/webscaler/src/writer-messages.ts';

/** What a process of workers is to do. */
export interface WorkerAssignment {
  readonly pushed: boolean;
  readonly workers: number;
  readonly pool: PoolOptions;
  /** Left out in a pod. */
  readonly nameserver?: string | undefined;
  readonly kubeConfig?: string | undefined;
}

/** What a process of workers is asked: to say when all of them have written at that address, or when the pool's sessions are ready. */
export type Question = { readonly moveTo: string } | { readonly readyExceptAt: string };

/** When the first worker, and when the last one, had written on the server that was asked about. */
export interface MovedMessage {
  readonly first: number;
  readonly last: number;
}

if (isInOwnNetwork()) await main();
else {
  const problem = networkProblem();
  if (problem !== undefined) throw new Error(`bench:site cannot run here: ${problem}`);
  const self = fileURLToPath(import.meta.url);
  process.exitCode = await runInOwnNetwork([process.execPath, ...process.execArgv, self, ...process.argv.slice(2)]);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      switches: { type: 'string', default: '50' },
      workers: { type: 'string', default: '20' },
      ttl: { type: 'string', default: '1' },
      'round-trip': { type: 'string', default: '50' },
      ready: { type: 'string', default: '4' },
      json: { type: 'boolean', default: false },
    },
  });
  const [switches, workers, ttlSeconds] = [Number(values.switches), Number(values.workers), Number(values.ttl)];
  const roundTripMillis = Number(values['round-trip']);
  const readyCount = Number(values.ready);

  await using network = await Network.open();
  await using site = await startWebscalerSite(network, { ttlSeconds, pair: { synchronous: false } });
  const { pair, cluster } = site;
  await makeTable(pair, 'writes');
  await pair.standby.waitForReplay(await pair.primary.position());
  await pair.standby.promote();
  const pod = await site.pod();
  const here = {
    nameserver: cluster.nameserver,
    kubeConfig: await cluster.writeKubeconfig(await grantReading(cluster)),
  };
  const stages = [
    { name: 'loopback', launch: (program: string) => fork(program), reach: here },
    { name: 'another machine', launch: (program: string) => pod.fork(program), reach: {} },
    {
      name: `another machine, ${roundTripMillis} ms`,
      launch: (program: string) => pod.fork(program),
      reach: {},
      delayed: true,
    },
  ];
  const pool: PoolOptions = {
    service: 'webscaler-db',
    allowedTargets: pair.servers.map(({ hostName }) => hostName),
    port: pair.port,
    user: pair.user,
    password: pair.password,
    database: pair.database,
    ssl: { ca: pair.ca },
  };
  const report: Record<string, Record<string, number>> = {};
  for (const { name, launch, reach, delayed } of stages) {
    await using _line = delayed ? await delayDatabases(network, roundTripMillis) : undefined;
    for (const [how, pushed, readySessions] of [
      ['pushed', true, 0],
      [`pushed, ${readyCount} sessions ready`, true, readyCount],
      ['polled', false, 0],
    ] as const) {
      const child = launch(fileURLToPath(new URL('./site-switch-worker.ts', import.meta.url)));
      child.send({ pushed, workers, pool: { ...pool, readySessions }, ...reach } satisfies WorkerAssignment);
      const times = await play(child, switches, ttlSeconds);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const row = `${name}, ${how}`;
      report[row] = {
        'first p50': at(times.first, 0.5),
        'first p99': at(times.first, 0.99),
        'all p50': at(times.last, 0.5),
        'all p99': at(times.last, 0.99),
      };
      console.error(row, report[row]);
    }
  }
  if (values.json) {
    console.log(JSON.stringify({ switches, workers, ttlSeconds, report }));
  } else {
    console.log(`${switches} switches, ${workers} workers, TTL ${ttlSeconds} s; from the patch, in milliseconds`);
    console.table(report);
  }

  async function play(child: ChildProcess, count: number, ttl: number): Promise<{ first: number[]; last: number[] }> {
    const times = { first: [] as number[], last: [] as number[] };
    const servers = [...pair.servers];
    let [current, other] = servers as [(typeof servers)[0], (typeof servers)[0]];
    await site.point(current.hostName);
    await moved(child, current.address);
    for (let done = 0; done < count; done++) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * ttl * 1000));
      child.send({ readyExceptAt: current.hostName } satisfies Question);
      await once(child, 'message', { signal: AbortSignal.timeout(60_000) });
      [current, other] = [other, current];
      const startedAt = now();
      const moving = moved(child, current.address);
      await site.point(current.hostName);
      const { first, last } = await moving;
      times.first.push(first - startedAt);
      times.last.push(last - startedAt);
    }
    return times;
  }
}

async function moved(child: ChildProcess, address: string): Promise<MovedMessage> {
  child.send({ moveTo: address } satisfies Question);
  const [message] = (await once(child, 'message', { signal: AbortSignal.timeout(60_000) })) as [MovedMessage];
  return message;
}

function at(times: readonly number[], part: number): number {
  const sorted = [...times].sort((one, other) => one - other);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN);
}
