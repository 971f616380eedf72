// The workers of site-switch.ts, in a process of their own: on this machine's loopback, or in a pod.
import { DnsResolver, DnsTargetSource, type TargetSource } from '@externalname/core';
import { kubernetesSource } from '@externalname/kubernetes';
import { Pool } from '@externalname/pg';
import { now } from '../../examples/webscaler/src/writer-messages.ts';
import type { MovedMessage, Question, WorkerAssignment } from './site-switch.ts';

const seen = new Map<number, { address: string; since: number }>();
let waitedFor: string | undefined;
let pool: Pool | undefined;
let kept = 0;

process.on('disconnect', () => process.exit());
process.on('message', (message: WorkerAssignment | Question) => {
  if ('moveTo' in message) {
    waitedFor = message.moveTo;
    look(message.moveTo);
  } else if ('readyExceptAt' in message) tellWhenReady(message.readyExceptAt);
  else run(message);
});

function run({ pushed, workers, pool: options, nameserver, kubeConfig }: WorkerAssignment): void {
  const resolver = new DnsResolver(nameserver === undefined ? {} : { nameservers: [nameserver] });
  const service = 'webscaler-db';
  const source: TargetSource = pushed
    ? kubernetesSource({ service, ...(kubeConfig === undefined ? {} : { kubeConfig }) })
    : new DnsTargetSource({ service, resolver });
  kept = options.readySessions ?? 0;
  const working = new Pool({ ...options, source, dns: resolver, max: workers });
  working.on('error', () => undefined);
  pool = working;
  for (let worker = 0; worker < workers; worker++) {
    work(working, worker, workers).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  }
}

function tellWhenReady(except: string): void {
  const waiting = Object.entries(pool?.status().readySessions ?? {}).filter(([hostName]) => hostName !== except);
  if (waiting.every(([, count]) => count >= kept)) process.send?.('ready');
  else setTimeout(() => tellWhenReady(except), 10);
}

async function work(pool: Pool, worker: number, workers: number): Promise<void> {
  const insert = 'insert into writes (id, worker) values (1, 1) returning host(inet_server_addr()) as address';
  for (;;) {
    try {
      const { rows } = await pool.query<{ address: string }>(insert);
      const address = rows[0]?.address ?? '';
      if (seen.get(worker)?.address !== address) {
        seen.set(worker, { address, since: now() });
        if (seen.size === workers && waitedFor !== undefined) look(waitedFor);
      }
    } catch {
      // A write that was cut off is the pool's to report; this program asks only when the next one succeeds.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

function look(address: string): void {
  const times = [...seen.values()].filter((each) => each.address === address).map(({ since }) => since);
  if (times.length === 0 || times.length < seen.size) return;
  waitedFor = undefined;
  process.send?.({ first: Math.min(...times), last: Math.max(...times) } satisfies MovedMessage);
}
