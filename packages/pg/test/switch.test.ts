import { LocalCluster, PostgresPair } from '@externalname/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';

let pair: PostgresPair;
let cluster: LocalCluster;
const pools: Pool[] = [];

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'webscaler-db', namespace: 'default' },
  spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
} as const;

const hosts = () => Object.fromEntries(Object.entries(pair.addresses).map(([name, address]) => [name, [address]]));

const point = (externalName: string) =>
  cluster.services.patch('default', 'webscaler-db', [
    { op: 'replace', path: '/spec/externalName', value: externalName },
  ]);

function makePool(options: PoolOptions = {}): Pool {
  const pool = new Pool({
    service: 'webscaler-db',
    allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    port: pair.port,
    user: pair.user,
    password: pair.password,
    database: pair.database,
    ssl: { ca: pair.ca },
    ...options,
  });
  pools.push(pool);
  return pool;
}

beforeAll(async () => {
  pair = await PostgresPair.start();
  cluster = await LocalCluster.start({ ttlSeconds: 1, services: [service], hosts: hosts() });
});

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => (pool.ending ? undefined : pool.end())));
});

afterAll(async () => {
  await cluster?.close();
  await pair?.close();
});

describe('a pool for a Service', () => {
  it('connects to the external host over verified TLS, under its external name', async () => {
    const pool = makePool();
    const client = await pool.connect();
    try {
      const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: true }]);
      expect((client as unknown as pg.Client).host).toBe('primary-db.example.com');
    } finally {
      client.release();
    }
    expect(pool).toBeInstanceOf(pg.Pool);
    expect(pool.status().target?.externalName).toBe('primary-db.example.com');
  });

  it('keeps the connection after an ordinary SQL error', async () => {
    const pool = makePool();
    const { rows: before } = await pool.query('select pg_backend_pid() as pid');
    await expect(pool.query('select 1/0')).rejects.toMatchObject({ code: '22012', outcome: 'not-executed' });
    const { rows: after } = await pool.query('select pg_backend_pid() as pid');
    expect(after).toEqual(before);
    expect(pool.totalCount).toBe(1);
  });

  it('moves every connection when the Service points elsewhere, and fails no statement', async () => {
    const pool = makePool({ targetSessionAttrs: 'any' });
    await Promise.all(Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.01)')));
    const held = await pool.connect();
    await held.query('begin');
    await point('secondary-db.example.com');
    const failures: unknown[] = [];
    held.on('error', (error) => failures.push(error));
    await expect.poll(() => pool.status().target?.externalName).toBe('secondary-db.example.com');
    await expect(held.query('commit')).resolves.toBeDefined();
    await pool.moved();
    const { rows } = await pool.query('select inet_server_addr()::text as address');
    expect(rows[0].address).toContain(pair.addresses['secondary-db.example.com']);
    await expect(held.query('select 1')).rejects.toThrow();
    held.release();
    expect(failures).toMatchObject([{ code: 'ERR_EXTERNALNAME_TARGET_RETIRED' }]);
    await point('primary-db.example.com');
  });
});
