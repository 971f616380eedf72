// A crash and a planned switch, followed by a Pool on whatever runs this program: `pnpm test:node bun`, `deno`, or a Node version.
// Without a test runner, as those of Node do not run on all of them.
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { Pool, type PoolOptions } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';

const hostNames = ['primary-db.example.com', 'secondary-db.example.com'] as const;

await using pair = await PostgresPair.start();
await using cluster = await LocalCluster.start({
  ttlSeconds: 1,
  services: [{ metadata: { name: 'webscaler-db' }, spec: { type: 'ExternalName', externalName: hostNames[0] } }],
  hosts: pair.hosts,
});
const options: PoolOptions = {
  service: 'webscaler-db',
  allowedTargets: hostNames,
  allowedNetworks: ['127.0.0.0/8', '::1/128'],
  dns: { nameservers: [cluster.nameserver] },
  port: pair.port,
  database: pair.database,
  user: pair.user,
  password: pair.password,
  ssl: { ca: pair.ca },
  max: 4,
};
const pool = new Pool(options);
pool.on('error', () => {});

await pool.query('create table writes (id uuid primary key)');
const acknowledged: string[] = [];
await write(20);
said('connected through the Service, over verified TLS');

const crashed = pair.primary;
await crashed.kill();
await pair.standby.promote();
await pointTo(hostNames[1]);
await write(20);
assert.equal(pool.status().target?.externalName, hostNames[1]);
said('followed a crash');

await pair.rejoin(crashed);
const writing = new AbortController();
const writers = [1, 2, 3].map(async () => {
  while (!writing.signal.aborted) await write(1);
});
await pair.switchover();
await pointTo(hostNames[0]);
await until(() => pool.status().target?.externalName === hostNames[0]);
writing.abort();
await Promise.all(writers);
await pool.drained();
said('followed a planned switch, without an error');

await pool.transaction(async (transaction) => {
  const id = randomUUID();
  await transaction.query('insert into writes values ($1)', [id]);
  acknowledged.push(id);
});
const { rows } = await pool.query<{ id: string }>('select id from writes');
const found = new Set(rows.map(({ id }) => id));
assert.deepEqual(
  acknowledged.filter((id) => !found.has(id)),
  [],
);
said(`lost none of ${acknowledged.length} acknowledged writes`);

await pool.end();

// An older `pg` cannot pipeline; every `pg` can prepare.
const canPipeline = refusalOf({ pipelining: 8 }) === undefined;
const shared = new Pool({ ...options, max: 2, statementCache: 20, ...(canPipeline && { pipelining: 8 }) });
const doubled = async (number: number) => {
  const text = `select $1::int as number, $1::int * 2 as k${number % 8}`;
  const { rows } = await shared.query<Record<string, number>>(text, [number]);
  assert.deepEqual(rows, [{ number, [`k${number % 8}`]: number * 2 }]);
};
// A text is shared once it has run.
for (let number = 0; number < 8; number += 1) await doubled(number);
await Promise.all(Array.from({ length: 400 }, (_, number) => doubled(number)));
const { sharing } = shared.status();
assert((sharing?.named ?? 0) > 100, 'prepared statements are used');
assert(!canPipeline || (sharing?.shared ?? 0) > 100, 'connections are shared');
await shared.end();
said(canPipeline ? 'shared connections, and prepared statements' : 'prepared statements');

function refusalOf(more: PoolOptions): unknown {
  try {
    new Pool({ ...options, ...more }).end(() => {});
    return undefined;
  } catch (error) {
    return error;
  }
}

async function write(times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const id = randomUUID();
    await pool.query('insert into writes values ($1)', [id]);
    acknowledged.push(id);
  }
}

async function pointTo(externalName: string): Promise<void> {
  await cluster.services.patch('default', 'webscaler-db', [
    { op: 'replace', path: '/spec/externalName', value: externalName },
  ]);
}

async function until(reached: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!reached()) {
    assert(Date.now() < deadline, 'not within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function said(what: string): void {
  console.log(`ok   ${what}`);
}
