// The workers of site-switch.ts, in a process of their own: on this machine's loopback, or in a pod.
import { DnsResolver, DnsTargetSource, type TargetSource } from '@externalname/core';
import { kubernetesSource } from '@externalname/kubernetes';
import { Pool } from '@externalname/pg';
import { now } from '../../examples/webscaler/src/writer-messages.ts';
import type { MovedMessage, WorkerAssignment } from './site-switch.ts';

const seen = new Map<number, { address: string; since: number }>();
let waitedFor: string | undefined;

process.on('disconnect', () => process.exit());
process.on('message', (message: WorkerAssignment | { readonly moveTo: string }) => {
  if ('moveTo' in message) {
    waitedFor = message.moveTo;
    look(message.moveTo);
  } else run(message);
});

function run({ pushed, workers, pool: options, nameserver, kubeConfig }: WorkerAssignment): void {
  const resolver = new DnsResolver(nameserver === undefined ? {} : { nameservers: [nameserver] });
  const service = 'webscaler-db';
  const source: TargetSource = pushed
    ? kubernetesSource({ service, ...(kubeConfig === undefined ? {} : { kubeConfig }) })
    : new DnsTargetSource({ service, resolver });
  const pool = new Pool({ ...options, source, dns: resolver, max: workers });
  pool.on('error', () => undefined);
  for (let worker = 0; worker < workers; worker++) {
    work(pool, worker, workers).catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  }
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
