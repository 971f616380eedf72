import { outcomeOf, Pool, retried } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { schema, transfer } from './transfer.ts';

/** What became of it all. */
export interface Rehearsal {
  /** Transfers that the application was told are done. */
  readonly acknowledged: number;
  /** Of these, how many the new primary does not know. */
  readonly lost: number;
  /** Transfers that failed: none of them may be in the database. */
  readonly failed: number;
  readonly failedAndStored: number;
  /** Transfers whose outcome is not known. */
  readonly unknown: number;
  /** How often a transaction was retried. */
  readonly repeats: number;
  readonly moneyBefore: number;
  readonly moneyAfter: number;
}

/** Transfers money between accounts while the primary is killed and the standby takes over. */
export async function rehearse(say: (text: string) => void): Promise<Rehearsal> {
  await using pair = await PostgresPair.start();
  await using cluster = await LocalCluster.start({
    ttlSeconds: 1,
    hosts: pair.hosts,
    services: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: pair.primary.hostName },
      },
    ],
  });
  await using pool = new Pool({
    service: 'webscaler-db',
    allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    port: pair.port,
    user: pair.user,
    password: pair.password,
    database: pair.database,
    ssl: { ca: pair.ca },
  });
  await pool.query(schema);
  await pool.query('insert into accounts select id, 100 from generate_series(1, 20) as id');
  const moneyBefore = await money(pool);
  let repeats = 0;
  const stop = retried.subscribe(() => {
    repeats += 1;
  });

  const acknowledged: string[] = [];
  const failed: { id: string; unknown: boolean }[] = [];
  let stopping = false;
  const clerk = async () => {
    while (!stopping) {
      const id = crypto.randomUUID();
      try {
        const result = await transfer(pool, { id, payer: anyAccount(), payee: anyAccount(), amount: 5 });
        if (result === 'moved') acknowledged.push(id);
      } catch (error) {
        failed.push({ id, unknown: outcomeOf(error) === 'unknown' });
      }
    }
  };
  const clerks = Array.from({ length: 6 }, clerk);
  const more = async (count: number) => {
    const goal = acknowledged.length + count;
    while (acknowledged.length < goal) await new Promise((resolve) => setTimeout(resolve, 20));
  };

  await more(100);
  say('killing the primary, promoting the standby, patching the Service');
  const [primary, standby] = pair.servers;
  await primary.kill();
  await standby.promote();
  await cluster.services.patch('default', 'webscaler-db', [
    { op: 'replace', path: '/spec/externalName', value: standby.hostName },
  ]);
  await more(100);
  stopping = true;
  await Promise.all(clerks);
  stop();

  const { rows } = await pool.query<{ id: string }>('select id from transfers');
  const stored = new Set(rows.map(({ id }) => id));
  return {
    acknowledged: acknowledged.length,
    lost: acknowledged.filter((id) => !stored.has(id)).length,
    failed: failed.filter(({ unknown }) => !unknown).length,
    failedAndStored: failed.filter(({ id, unknown }) => !unknown && stored.has(id)).length,
    unknown: failed.filter(({ unknown }) => unknown).length,
    repeats,
    moneyBefore,
    moneyAfter: await money(pool),
  };
}

async function money(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ sum: number }>('select sum(balance)::int as sum from accounts');
  return rows[0]?.sum ?? 0;
}

function anyAccount(): number {
  return 1 + Math.floor(Math.random() * 20);
}
