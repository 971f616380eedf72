// A crash and a planned switch, followed by a Pool on whatever runs this program: `pnpm test:node bun`, `deno`, or a Node version.
// Without a test runner, as those of Node do not run on all of them.
import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';

const hostNames = ['primary-db.example.com', 'secondary-db.example.com'] as const;

await using pair = await PostgresPair.start();
await using cluster = await LocalCluster.start({
  ttlSeconds: 1,
  services: [{ metadata: { name: 'webscaler-db' }, spec: { type: 'ExternalName', externalName: hostNames[0] } }],
  hosts: pair.hosts,
});
const pool = new Pool({
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
});
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
