/**
 * Requests a second through a dispatcher for a Service, beside a bare undici `Pool` to the same server over the same TLS, at 1, 10 and 64
 * concurrent requests, and beside that pool a second one like it: what two equal pools differ by is what this machine cannot tell apart.
 *
 *   pnpm bench:http [--blocks=200] [--requests=250] [--concurrency=1,10,64] [--json]
 *
 * All three run in turn, in one process: a block is ABCCBA, and who goes first changes with each block, so neither a drift of the machine
 * nor the garbage of the one before favours any of them. Blocks are short, so that what is compared is near in time. Prints the medians of the blocks, and of the ratios within each block, with their
 * quartiles; `cpu` is the same of the processor time of this process, which other programs on the machine disturb less.
 *
 * The server is a process of its own. It answers 13 bytes.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { externalNameService } from '@externalname/core/manifests';
import { createDispatcher } from '@externalname/http';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { type Dispatcher, Pool } from 'undici';
import { median } from './compared-pools.ts';

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '200' },
    requests: { type: 'string', default: '250' },
    concurrency: { type: 'string', default: '1,10,64' },
    json: { type: 'boolean', default: false },
  },
});
const blocks = Number(values.blocks);
const requests = Number(values.requests);
const name = 'httpbin.example.com';
const address = '127.0.0.81';

/** One of those that are compared. */
interface Contender {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
}

/** What a contender took for its two turns in a block. */
interface Cost {
  readonly millis: number;
  readonly cpuMillis: number;
}

interface Compared {
  readonly ratio: number;
  readonly quartiles: string;
  readonly cpu: number;
}

const authority = await createCertificateAuthority();
const { certificate: cert, privateKey: key } = await authority.issue({ hostNames: [name] });
const serverCode = `process.on('disconnect', () => process.exit());
  process.once('message', ({ cert, key, address }) => {
    const server = require('node:https').createServer({ cert, key }, (request, response) => {
      request.resume().on('end', () => response.end('hello, world\\n'));
    });
    server.listen(0, address, () => process.send(server.address().port));
  });`;
const server = spawn(process.execPath, ['-e', serverCode], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
server.send({ cert, key, address });
const [port] = (await once(server, 'message')) as [number];
await using cluster = await LocalCluster.start({
  services: [externalNameService({ name: 'webscaler-manual', externalName: name })],
  hosts: { [name]: [address] },
});

const report: Record<string, Record<string, number | string>> = {};
for (const concurrency of values.concurrency.split(',').map(Number)) {
  await using ours = createDispatcher({
    service: 'webscaler-manual',
    allowedTargets: [name],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
    connections: concurrency,
  });
  const pools = [barePool(concurrency), barePool(concurrency)] as const;
  const contenders: readonly Contender[] = [
    { dispatcher: ours, origin: `https://webscaler-manual:${port}` },
    ...pools.map((dispatcher) => ({ dispatcher, origin: `https://${name}:${port}` })),
  ];
  // Until all code that runs is compiled for all of them.
  for (let round = 0; round < 8; round++) for (const each of contenders) await cost(each, concurrency);
  const costs: Cost[][] = [];
  for (let block = 0; block < blocks; block++) costs.push(await runBlock(contenders, concurrency, block));
  await Promise.all(pools.map((pool) => pool.close()));
  const against = (index: number): Compared => {
    const ratios = (read: (cost: Cost) => number) =>
      costs.map((row) => read(row[1] as Cost) / read(row[index] as Cost)).toSorted((a, b) => a - b);
    const byTime = ratios(({ millis }) => millis);
    const quartile = (share: number) => round3(byTime[Math.floor(share * (byTime.length - 1))] ?? 0).toFixed(3);
    return {
      ratio: round3(median(byTime)),
      quartiles: `${quartile(0.25)} to ${quartile(0.75)}`,
      cpu: round3(median(ratios(({ cpuMillis }) => cpuMillis))),
    };
  };
  const rate = (index: number) =>
    Math.round(median(costs.map((row) => (2_000 * requests) / (row[index]?.millis ?? 0))));
  report[`${concurrency} at once`] = { ours: rate(0), undici: rate(1), ...against(0) };
  report[`${concurrency} at once, undici against itself`] = { undici: rate(1), again: rate(2), ...against(2) };
}
server.disconnect();
if (values.json) console.log(JSON.stringify({ load: loadavg()[0], blocks, requests, report }, null, 2));
else {
  console.log(
    `Node ${process.version}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${blocks} blocks of twice ${requests} requests for each`,
  );
  console.table(report);
}

function barePool(connections: number): Pool {
  return new Pool(`https://${name}:${port}`, {
    connections,
    connect: { ca: authority.certificate, lookup: (_name, _options, found) => found(null, [{ address, family: 4 }]) },
  });
}

/** Costs in the order of the contenders. */
async function runBlock(contenders: readonly Contender[], concurrency: number, block: number): Promise<Cost[]> {
  const order = contenders.map((_, index) => (index + block) % contenders.length);
  if (block % 2 === 1) order.reverse();
  const sums = contenders.map(() => ({ millis: 0, cpuMillis: 0 }));
  for (const index of [...order, ...order.toReversed()]) {
    const { millis, cpuMillis } = await cost(contenders[index] as Contender, concurrency);
    const sum = sums[index] as { millis: number; cpuMillis: number };
    sum.millis += millis;
    sum.cpuMillis += cpuMillis;
  }
  return sums;
}

async function cost({ dispatcher, origin }: Contender, concurrency: number): Promise<Cost> {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  let left = requests;
  const work = async () => {
    while (left-- > 0) {
      const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' });
      await body.dump();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const { user, system } = process.cpuUsage(cpuBefore);
  return { millis: performance.now() - startedAt, cpuMillis: (user + system) / 1_000 };
}

function round3(value: number): number {
  return Number(value.toFixed(3));
}
