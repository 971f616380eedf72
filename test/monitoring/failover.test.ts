import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { splitBrainSeen } from '@externalname/core/events';
import { Pool, type PoolOptions } from '@externalname/pg';
import { writeDrill } from '@externalname/prometheus/drill';
import { createCertificateAuthority, LocalCluster, PostgresPair } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createService } from '../../examples/service/src/service.ts';
import { dashboardFile, queriesOf } from './support/dashboard.ts';
import { freePort, has, promtool, startProgram } from './support/programs.ts';
import { Prometheus } from './support/prometheus.ts';

const hasNodeExporter = has('prometheus-node-exporter');
const soon = { timeout: 60_000, interval: 250 };

// The tests tell one story, in this order.
describe.skipIf(!has('prometheus'))('a real Prometheus that scrapes the service', () => {
  let pair: PostgresPair;
  let cluster: LocalCluster;
  let poolOptions: PoolOptions;
  let pool: Pool;
  let app: ReturnType<typeof createService>;
  let origin: string;
  let prometheus: Prometheus;
  /** What node_exporter reads. */
  let folder: string;
  let endNodeExporter: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'externalname-monitoring-'));
    pair = await PostgresPair.start();
    cluster = await LocalCluster.start({
      ttlSeconds: 1,
      hosts: pair.hosts,
      services: [
        {
          metadata: { name: 'webscaler-db', namespace: 'default' },
          spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
        },
      ],
    });
    poolOptions = {
      service: 'webscaler-db',
      allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
      allowedNetworks: ['127.0.0.0/8'],
      dns: { nameservers: [cluster.nameserver] },
      port: pair.port,
      user: pair.user,
      password: pair.password,
      database: pair.database,
      ssl: { ca: pair.ca },
      readySessions: 1,
    };
    pool = new Pool(poolOptions);
    pool.on('error', () => undefined);
    app = createService(pool);
    origin = await app.listen({ host: '127.0.0.1', port: 0 });
    const rules = await readFile(
      resolve(import.meta.dirname, '../../packages/prometheus/monitoring/rules.yaml'),
      'utf8',
    );
    // What must last for minutes is to fire within seconds here; `rules.test.ts` keeps to the times.
    const jobs: Record<string, string> = { service: new URL(origin).host };
    if (hasNodeExporter) {
      jobs['node'] = `127.0.0.1:${await freePort()}`;
      const args = ['--collector.disable-defaults', '--collector.textfile', `--collector.textfile.directory=${folder}`];
      endNodeExporter = await startProgram(
        'prometheus-node-exporter',
        [...args, `--web.listen-address=${jobs['node']}`],
        `http://${jobs['node']}/metrics`,
      );
    }
    prometheus = await Prometheus.start(jobs, rules.replace(/for: \d+[mh]/g, 'for: 0s'));
  });

  afterAll(async () => {
    await prometheus?.[Symbol.asyncDispose]();
    await endNodeExporter?.();
    await rm(folder, { recursive: true, force: true });
    await app?.close();
    await pool?.end();
    await cluster?.close();
    await pair?.close();
  });

  const point = (externalName: string) =>
    cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: externalName },
    ]);
  const get = async (path: string) => {
    const answer = await fetch(origin + path, { signal: AbortSignal.timeout(20_000) });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const targets = async () => {
    const series = await prometheus.query('externalname_pool_target_info{pool="webscaler-db"}');
    return series.map(({ metric }) => metric['target']);
  };

  it('sees where the pool points, and the service is ready', async () => {
    expect(await get('/work')).toMatchObject({ status: 200, body: { address: pair.primary.address } });
    expect(await get('/readyz')).toEqual({
      status: 200,
      body: { ready: true, target: 'primary-db.example.com', waiting: 0 },
    });
    await expect.poll(targets, soon).toEqual(['primary-db.example.com']);
  });

  it('gets metrics that promtool finds nothing wrong with', async () => {
    const text = await (await fetch(`${origin}/metrics`)).text();
    expect(text).toContain('externalname_pool_operation_duration_seconds_bucket');
    expect(await promtool(['check', 'metrics'], text)).toEqual({ status: 0, output: '' });
  });

  it('reads back what was retried', async () => {
    let attempts = 0;
    await pool.transaction(async (tx) => {
      attempts += 1;
      if (attempts === 1) await tx.query("do $$ begin raise exception using errcode = '40001'; end $$");
    });
    const retried = '{reason="conflict",outcome="not-executed"}';
    await expect
      .poll(() => prometheus.query(`externalname_pool_retries_total${retried}`), soon)
      .toMatchObject([{ metric: { pool: 'webscaler-db' }, value: [expect.any(Number), '1'] }]);
    const calls = await prometheus.query('externalname_pool_retried_operations_total');
    expect(calls).toMatchObject([{ metric: { operation: 'transaction', result: 'ok' } }]);
  });

  it('reads a failover back: not ready while there is no server that takes writes, then the switch and its time', async () => {
    const [primary, secondary] = pair.servers;
    await primary.kill();
    await expect.poll(async () => (await get('/readyz')).status, soon).toBe(503);
    expect((await get('/healthz')).status).toBe(200);
    await expect.poll(() => prometheus.firing(), soon).toContain('ExternalNamePoolNotServing');
    const working = get('/work');
    // A standby is not ready: it answers, and does not take writes.
    await point('secondary-db.example.com');
    await expect
      .poll(() => prometheus.query('externalname_pool_connect_duration_seconds_count{result="wrong-role"}'), soon)
      .not.toEqual([]);
    expect((await get('/readyz')).status).toBe(503);
    await secondary.promote();
    expect(await working).toMatchObject({ status: 200, body: { address: secondary.address } });
    await expect.poll(targets, soon).toEqual(['secondary-db.example.com']);
    expect((await get('/readyz')).body).toMatchObject({ ready: true, target: 'secondary-db.example.com' });
    expect(await prometheus.query('externalname_pool_switches_total')).toMatchObject([
      { metric: { pool: 'webscaler-db', source: 'dns' }, value: [expect.any(Number), '1'] },
    ]);
    // The first one of this process is an increase, too.
    await expect
      .poll(() => prometheus.query('increase(externalname_pool_switches_total[1m]) > 0'), soon)
      .toHaveLength(1);
    const history = await prometheus.range('externalname_pool_target_info', 120);
    expect(history.map(({ metric }) => metric['target']).sort()).toEqual([
      'primary-db.example.com',
      'secondary-db.example.com',
    ]);
    const moved = await prometheus.query('externalname_pool_switch_duration_seconds_count{phase="decide"}');
    expect(moved).toMatchObject([{ value: [expect.any(Number), '1'] }]);
    await expect.poll(() => prometheus.firing(), soon).not.toContain('ExternalNamePoolNotServing');
  });

  it('fires if the Service points to a host that was not planned', async () => {
    await point('elsewhere.example.com');
    await expect
      .poll(() => prometheus.firing(), soon)
      .toEqual(expect.arrayContaining(['ExternalNamePoolOffTarget', 'ExternalNameTargetRefused']));
    // The old target is still served.
    expect((await get('/readyz')).status).toBe(200);
    await point('secondary-db.example.com');
    await expect.poll(() => prometheus.firing(), soon).not.toContain('ExternalNamePoolOffTarget');
  });

  it('is not ready with a server that cannot be verified, and says why', async () => {
    const { certificate } = await createCertificateAuthority();
    const stranger = new Pool({ ...poolOptions, ssl: { ca: certificate }, failoverTimeoutMillis: 500 });
    stranger.on('error', () => undefined);
    const service = createService(stranger);
    try {
      expect((await service.inject('/readyz')).json()).toMatchObject({ ready: false });
      expect((await service.inject('/healthz')).statusCode).toBe(200);
      expect((await service.inject('/metrics')).body).toMatch(
        /externalname_refusals_total\{pool="webscaler-db",check="tls",reason="untrusted"\} [1-9]/,
      );
    } finally {
      await service.close();
      await stranger.end();
    }
  });

  it('fires if DNS falls silent, and a switch would go unseen', async () => {
    cluster.dns.fault({ kind: 'silent' });
    await expect.poll(() => prometheus.firing(), soon).toContain('ExternalNameSourceDegraded');
    cluster.dns.heal();
    await expect.poll(() => prometheus.firing(), soon).not.toContain('ExternalNameSourceDegraded');
  });

  it.skipIf(!hasNodeExporter)('fires until a process that is long over has rehearsed a switch', async () => {
    const file = join(folder, 'externalname.prom');
    const drill = (at: Date, passed: boolean) => writeDrill({ file, name: 'webscaler-db', passed, at });
    const dayMillis = 86_400_000;
    expect(await prometheus.firing()).toContain('ExternalNameSwitchNotRehearsed');
    await drill(new Date(Date.now() - 31 * dayMillis), true);
    await drill(new Date(), false);
    await expect.poll(() => prometheus.query('externalname_drill_finished_timestamp_seconds'), soon).toHaveLength(2);
    expect(await prometheus.firing()).toContain('ExternalNameSwitchNotRehearsed');
    await drill(new Date(), true);
    await expect.poll(() => prometheus.firing(), soon).not.toContain('ExternalNameSwitchNotRehearsed');
  });

  it('fires if a pool has seen two servers that take writes', async () => {
    splitBrainSeen.publish(() => ({
      name: 'webscaler-db',
      targets: ['secondary-db.example.com', 'primary-db.example.com'],
    }));
    await expect.poll(() => prometheus.firing(), soon).toContain('ExternalNameSplitBrain');
  });

  it('has an answer to every query of the dashboard, but for what did not happen here', async () => {
    const empty: string[] = [];
    for (const [panel, query] of queriesOf(dashboardFile(), '10s')) {
      // No engine is followed here, and this pool has one server at a time; what others tell is tested in packages/prometheus.
      if (query.includes('externalname_follower_')) continue;
      if (/externalname_pool_(address|service|ejections|reader|replica|token_wait|held_callers|pause)/.test(query))
        continue;
      if ((await prometheus.range(query, 120)).length === 0) empty.push(panel);
    }
    expect(empty).toEqual(['Liveness probes A', ...(hasNodeExporter ? [] : ['Since the last rehearsal A'])].sort());
  });
});
