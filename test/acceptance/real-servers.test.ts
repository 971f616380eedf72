import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair, WriteLedger } from '@externalname/testing';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plainPool } from '../../examples/webscaler/src/plain-pg.ts';
import { countRows, makeTable } from '../../examples/webscaler/src/rows.ts';
import { assertDead, serverProcessIds } from '../../examples/webscaler/src/server-death.ts';
import { judgeStage } from '../../examples/webscaler/src/verdict.ts';
import type { ClientKind } from '../../examples/webscaler/src/writer-messages.ts';

// One pair for all of these tests. They run in their order: the last one switches.
let pair: PostgresPair;
let cluster: LocalCluster;

beforeAll(async () => {
  pair = await PostgresPair.start({ accessRules: ['hostnossl  app  app  all  scram-sha-256'] });
  cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [
      {
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
      },
    ],
    hosts: Object.fromEntries(Object.entries(pair.addresses).map(([name, address]) => [name, [address]])),
  });
  await makeTable(pair, 'writes');
});

afterAll(async () => {
  await cluster?.close();
  await pair?.close();
});

function ourPool(): Pool {
  const { port, user, password, database, ca } = pair;
  return new Pool({
    service: 'webscaler-db',
    allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
    allowedNetworks: ['127.0.0.0/8', '::1/128'],
    dns: { nameservers: [cluster.nameserver] },
    port,
    user,
    password,
    database,
    ssl: { ca },
    failoverTimeoutMillis: 10_000,
  });
}

function plain(client: ClientKind): pg.Pool {
  const { port, user, password, database, ca } = pair;
  return plainPool({
    client,
    workers: 1,
    connections: 2,
    pauseMillis: 0,
    firstId: 1,
    table: 'writes',
    database: {
      service: 'webscaler-db',
      namespace: 'default',
      allowedTargets: [],
      port,
      user,
      password,
      database,
      ca,
    },
    follow: { nameserver: cluster.nameserver },
  });
}

describe('a server whose certificate names another host', () => {
  it('is refused, with nothing written', async () => {
    const { primary, authority } = pair;
    // The same authority, so that only the name is wrong.
    await primary.setCertificate(await authority.issue({ hostNames: ['secondary-db.example.com'] }));
    await using pool = ourPool();
    try {
      await expect(pool.query('insert into writes (id, worker) values (-1, 0)')).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_TLS_IDENTITY',
        outcome: 'not-executed',
        message: expect.stringContaining('primary-db.example.com'),
      });
      expect(await countRows(primary, { database: pair.database, table: 'writes' })).toEqual(new Map());
    } finally {
      await primary.setCertificate(await authority.issue({ hostNames: ['primary-db.example.com'] }));
    }
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });
});

describe('the verdict of the demo', () => {
  it('finds on a real server what was lost and what was done twice', async () => {
    const ledger = new WriteLedger();
    await using pool = ourPool();
    for (let id = 1; id <= 5; id++) {
      const beganAt = performance.now();
      await pool.query('insert into writes (id, worker) values ($1, 0)', [id]);
      const write = { id, worker: 0, beganAt, settledAt: performance.now(), address: pair.primary.address };
      ledger.enter({ settled: [write], underWay: [] }, performance.now());
    }
    const judge = async () =>
      judgeStage({
        ledger,
        workers: 1,
        from: Number.NEGATIVE_INFINITY,
        to: Number.POSITIVE_INFINITY,
        patchedAt: 0,
        address: pair.primary.address,
        rows: await countRows(pair.primary, { database: pair.database, table: 'writes' }),
        failuresAllowed: 0,
      });
    expect(await judge()).toMatchObject({ held: true, writes: { acknowledged: 5, lost: 0, duplicated: 0 } });
    await pool.query('delete from writes where id = 2');
    await pool.query('insert into writes (id, worker) values (3, 0)');
    expect(await judge()).toMatchObject({ held: false, writes: { acknowledged: 5, lost: 1, duplicated: 1 } });
  });
});

describe('what the demo takes for dead', () => {
  it('is not a server whose processes live', async () => {
    const { primary } = pair;
    const processes = await serverProcessIds(primary);
    expect(processes).toContain(primary.processId);
    // More than the postmaster: checkpointer, background writer, the sender of the write-ahead log, and so on.
    expect(processes.length).toBeGreaterThan(3);
    await expect(assertDead(primary, processes)).rejects.toThrow(/processes .* live/);
    await expect(assertDead(primary, [])).rejects.toThrow('a connection gets: connected');
  });
});

describe('a plain pg.Pool', () => {
  it('is refused by the name of the certificate where TLS is verified', async () => {
    const pool = plain('plain-verified');
    await expect(pool.query('select 1')).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      message: expect.stringContaining('webscaler-db.default.svc.cluster.local'),
    });
    await pool.end();
  });

  it('without TLS never leaves the old server after a planned switch, where ours has moved', async () => {
    const pool = plain('plain-checkout');
    await using ours = ourPool();
    const whereIs = async (each: pg.Pool) => {
      const client = await each.connect();
      try {
        const { rows } = await client.query('select host(inet_server_addr()) as address');
        return rows[0].address as string;
      } finally {
        client.release();
      }
    };
    const [old, promoted] = [pair.primary.address, pair.standby.address];
    expect([await whereIs(pool), await whereIs(ours)]).toEqual([old, old]);
    await pair.switchover({
      rejoin: false,
      onPromoted: async (server) => {
        await cluster.services.patch('default', 'webscaler-db', [
          { op: 'replace', path: '/spec/externalName', value: server.hostName },
        ]);
      },
    });
    // DNS is asked again by then: its answers are good for one second.
    await expect.poll(() => whereIs(ours), { timeout: 10_000 }).toBe(promoted);
    expect(await whereIs(pool)).toBe(old);
    await pool.end();
  });
});
