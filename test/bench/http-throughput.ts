/**
 * Requests a second through a dispatcher for a Service, beside a bare undici `Pool` to the same server over the same TLS, at 1, 10 and 64
 * concurrent requests. Rounds of the two alternate in one run, and which goes first changes with each; prints medians, and the median
 * of the ratios of rounds that stood next to each other.
 *
 *   pnpm bench:http [--rounds=21] [--requests=2000] [--json]
 *
 * The server runs in a thread of its own on the same machine. It answers 13 bytes.
 */
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { externalNameService } from '@externalname/core/manifests';
import { createDispatcher } from '@externalname/http';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { type Dispatcher, Pool } from 'undici';
import { median } from './compared-pools.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '21' },
    requests: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const requests = Number(values.requests);
const name = 'httpbin.example.com';
const address = '127.0.0.81';

const authority = await createCertificateAuthority();
const { certificate: cert, privateKey: key } = await authority.issue({ hostNames: [name] });
const server = new Worker(
  `const { workerData: { cert, key, address }, parentPort } = require('node:worker_threads');
   const server = require('node:https').createServer({ cert, key }, (request, response) => {
     request.resume().on('end', () => response.end('hello, world\\n'));
   });
   server.listen(0, address, () => parentPort.postMessage(server.address().port));`,
  { eval: true, workerData: { cert, key, address } },
);
const [port] = (await once(server, 'message')) as [number];
await using cluster = await LocalCluster.start({
  services: [externalNameService({ name: 'webscaler-manual', externalName: name })],
  hosts: { [name]: [address] },
});

const report: Record<string, { ours: number; undici: number; ratio: number }> = {};
for (const concurrency of [1, 10, 64]) {
  await using ours = createDispatcher({
    service: 'webscaler-manual',
    allowedTargets: [name],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
    connections: concurrency,
  });
  const pool = new Pool(`https://${name}:${port}`, {
    connections: concurrency,
    connect: { ca: authority.certificate, lookup: (_name, _options, found) => found(null, [{ address, family: 4 }]) },
  });
  const contenders = [
    { of: 'ours', dispatcher: ours as Dispatcher, origin: `https://webscaler-manual:${port}`, rates: [] as number[] },
    { of: 'undici', dispatcher: pool as Dispatcher, origin: `https://${name}:${port}`, rates: [] as number[] },
  ];
  for (const { dispatcher, origin } of contenders) await rate(dispatcher, origin, concurrency);
  for (let round = 0; round < rounds; round++) {
    const inTurn = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const each of inTurn) each.rates.push(await rate(each.dispatcher, each.origin, concurrency));
  }
  await pool.close();
  const [first, second] = contenders.map(({ rates }) => rates) as [number[], number[]];
  report[`${concurrency} at once`] = {
    ours: Math.round(median(first)),
    undici: Math.round(median(second)),
    ratio: Number(median(first.map((value, round) => value / (second[round] ?? value))).toFixed(3)),
  };
}
await server.terminate();
if (values.json) console.log(JSON.stringify({ load: loadavg()[0], rounds, requests, report }, null, 2));
else {
  console.log(
    `Node ${process.version}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds of ${requests} requests`,
  );
  console.table(report);
}

/** Requests a second. */
async function rate(dispatcher: Dispatcher, origin: string, concurrency: number): Promise<number> {
  const startedAt = performance.now();
  let left = requests;
  const work = async () => {
    while (left-- > 0) {
      const { body } = await dispatcher.request({ origin, path: '/', method: 'GET' });
      await body.dump();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return (requests * 1_000) / (performance.now() - startedAt);
}
