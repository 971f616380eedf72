// One of the ten applications, in a process of its own. Its configuration is that of its Deployment: PGHOST=webscaler-db, and the hosts that
// the Service may point to. It stores rows, and tells when another server stores them.
import { setTimeout as pause } from 'node:timers/promises';
import { Pool, type PoolOptions } from '@externalname/pg';
import { type Command, type Message, now } from './messages.ts';

const pool = new Pool(onThisMachine());
const stopping = new AbortController();

process.on('message', (command: Command) => {
  if (command.kind === 'write') store().catch(fail);
  else stopping.abort();
});
// The process ends with the one that started it.
process.on('disconnect', () => process.exit());

await pool.query('select 1');
tell({ kind: 'ready', host: host() });

async function store(): Promise<void> {
  const application = process.env['PGAPPNAME'] ?? '';
  const failures: string[] = [];
  let stored = 0;
  let storedAt = host();
  for (let id = 1; !stopping.signal.aborted; id++) {
    try {
      // The key makes it safe to run twice.
      await pool.query({
        text: 'insert into stored (application, id) values ($1, $2) on conflict do nothing',
        values: [application, id],
        idempotent: true,
      });
      stored += 1;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
    if (host() !== storedAt) {
      storedAt = host();
      tell({ kind: 'moved', at: now(), host: storedAt });
    }
    await pause(pauseMillis);
  }
  await pool.end();
  process.send?.({ kind: 'stopped', stored, failures } satisfies Message, () => process.disconnect());
}

function host(): string {
  return pool.status().target?.externalName ?? '';
}

function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

function tell(message: Message): void {
  process.send?.(message);
}

/** In a pod there is nothing to say: /etc/resolv.conf names the cluster's DNS, and the servers are not on a loopback address. */
function onThisMachine(): PoolOptions {
  const nameserver = process.env['LOCAL_CLUSTER_NAMESERVER'];
  return nameserver === undefined ? {} : { dns: { nameservers: [nameserver] }, allowedNetworks: ['127.0.0.0/8'] };
}

const pauseMillis = 20;
