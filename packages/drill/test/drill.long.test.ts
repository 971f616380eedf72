import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { externalNameService } from '@externalname/core/manifests';
import type { PoolOptions } from '@externalname/pg';
import { createCertificateAuthority, LocalCluster, PostgresPair } from '@externalname/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DrillOptions, type DrillStatus, runDrill } from '../src/index.ts';

/** Short, for tests: all that a drill waits for. */
const short = { ttlSeconds: 1, settleMillis: 300, decisionMillis: 100, workers: 6, connections: 4 };

describe('a drill on this machine', () => {
  it('tells what happens and how the workers do, and what became of each write', async () => {
    const told: string[] = [];
    const statuses: DrillStatus[] = [];
    const { result, figures, failures, plot } = await runDrill({
      ...short,
      onEvent: ({ who, text }) => told.push(`${who}: ${text}`),
      onStatus: (status) => statuses.push(status),
    });
    expect(result.checks.filter(({ passed }) => !passed)).toEqual([]);
    expect(result.passed).toBe(true);
    expect(told).toContainEqual('operator: CRASH: kill -9 of every process of primary-db.example.com');
    expect(result.events.map(({ who, text }) => `${who}: ${text}`)).toEqual(told);
    expect(statuses.some(({ rates }) => rates.some(({ host }) => host === 'secondary-db.example.com'))).toBe(true);
    expect(figures.find(({ name }) => name === 'acknowledged and lost')?.cells).toEqual(['0', '0']);
    expect(failures.every((text) => text.startsWith('crash: '))).toBe(true);
    expect(plot(100).join('\n')).toContain('secondary-db');
  });

  it('fails with a pool that does not move', async () => {
    // What a drill is for: a defect that keeps the pool at the server that it first connected to.
    const pools: PoolOptions[] = [];
    let address = '';
    const makePool = (options: PoolOptions) => {
      pools.push(options);
      const { port, user, password, database, ssl, max } = options;
      const identity = { ...(ssl as object), servername: 'primary-db.example.com' };
      const pool = new pg.Pool({ host: address, port, user, password, database, ssl: identity, max });
      pool.on('connect', (client) => client.on('error', () => undefined));
      return pool;
    };
    const { result } = await runDrill({
      ...short,
      kind: 'planned',
      recoveryMillis: 2_000,
      makePool,
      onEvent: ({ text }) => {
        // The story names the servers before the pool is made.
        address ||= /^primary: \S+, (\S+) port/.exec(text)?.[1] ?? '';
      },
    });
    expect(pools).toMatchObject([{ service: 'webscaler-db', max: 4 }]);
    expect(result.passed).toBe(false);
    expect(result.checks.filter(({ passed }) => !passed)).toContainEqual({
      stage: 'planned switch',
      name: 'every worker on secondary-db.example.com after the patch',
      limit: 'any time',
      found: 'never',
      passed: false,
    });
  });
});

describe('a drill between two databases of which neither is a copy of the other', () => {
  let pairs: readonly PostgresPair[] = [];
  let cluster: LocalCluster;
  let cacheFolder: string;

  beforeAll(async () => {
    const authority = await createCertificateAuthority();
    const one = await PostgresPair.start({ authority, synchronous: false });
    pairs = [one];
    const { port, password } = one;
    const hostNames = { primary: 'other-db.example.com', standby: 'other-standby.example.com' };
    // Servers of one cache are copies of one data folder, and have its system identifier.
    cacheFolder = await mkdtemp(join(tmpdir(), 'externalname-drill-cache-'));
    await chmod(cacheFolder, 0o755);
    const other = { authority, port, password, hostNames, cacheFolder, synchronous: false };
    pairs = [one, await PostgresPair.start(other)];
    cluster = await LocalCluster.start({
      ttlSeconds: 1,
      services: [externalNameService({ name: 'canary-db', namespace: 'drill', externalName: one.primary.hostName })],
      hosts: Object.assign({}, ...pairs.map(({ hosts }) => hosts)),
    });
  }, 120_000);
  afterAll(async () => {
    await cluster?.close();
    for (const pair of pairs) await pair.close();
    await rm(cacheFolder, { recursive: true, force: true });
  });

  const tables = () =>
    Promise.all(
      pairs.map((pair) =>
        pair.primary.query("select tablename from pg_tables where tablename like 'externalname_drill%'", [], {
          database: pair.database,
        }),
      ),
    );

  async function played(more: Partial<DrillOptions> = {}) {
    const [one] = pairs;
    if (one === undefined) throw new Error('the pairs did not start');
    const { port, user, database, password, ca } = one;
    return runDrill({
      ...short,
      kind: 'planned',
      follow: 'dns',
      canary: {
        service: 'canary-db',
        namespace: 'drill',
        kubeConfig: await cluster.writeKubeconfig(),
        to: 'other-db.example.com',
        allowedTargets: ['primary-db.example.com', 'other-db.example.com'],
        allowedNetworks: ['127.0.0.0/8'],
        connection: { port, user, database, password, ca },
        nameservers: [cluster.nameserver],
        accept: ['different-system', 'split-brain', 'lag', 'older-timeline'],
        confirm: () => true,
      },
      ...more,
    });
  }

  it('counts the rows of both, and removes its table from both', async () => {
    const systems = await Promise.all(
      pairs.map(({ primary }) => primary.query('select system_identifier::text as id from pg_control_system()')),
    );
    expect(systems[0]).not.toEqual(systems[1]);
    const { result } = await played();
    expect(result.checks.filter(({ passed }) => !passed)).toEqual([]);
    for (const { writes } of result.stages) {
      expect(writes.acknowledged).toBeGreaterThan(0);
      expect(writes).toMatchObject({ lost: 0, duplicated: 0, hung: 0, failed: 0 });
    }
    expect(await tables()).toEqual([[], []]);
    const service = await cluster.services.get('drill', 'canary-db');
    expect(service?.['spec']).toMatchObject({ externalName: 'primary-db.example.com' });
  });
});
