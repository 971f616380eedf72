import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { drillFinished } from '@externalname/core/events';
import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createService } from '../../examples/service/src/service.ts';
import { has, promtool } from './support/programs.ts';
import { Prometheus } from './support/prometheus.ts';

const soon = { timeout: 60_000, interval: 250 };

// The tests tell one story, in this order.
describe.skipIf(!has('prometheus'))('a real Prometheus that scrapes the service', () => {
  let pair: PostgresPair;
  let cluster: LocalCluster;
  let pool: Pool;
  let app: ReturnType<typeof createService>;
  let origin: string;
  let prometheus: Prometheus;

  beforeAll(async () => {
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
    pool = new Pool({
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
    pool.on('error', () => undefined);
    app = createService(pool);
    origin = await app.listen({ host: '127.0.0.1', port: 0 });
    const rules = await readFile(
      resolve(import.meta.dirname, '../../packages/prometheus/monitoring/rules.yaml'),
      'utf8',
    );
    // What must last for minutes is to fire within seconds here; `rules.test.ts` keeps to the times.
    prometheus = await Prometheus.start(new URL(origin).host, rules.replace(/for: \d+[mh]/g, 'for: 0s'));
  });

  afterAll(async () => {
    await prometheus?.[Symbol.asyncDispose]();
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

  it('reads a failover back: not ready while there is no server, then the switch, its time and its retries', async () => {
    const [primary, secondary] = pair.servers;
    await primary.kill();
    await expect.poll(async () => (await get('/readyz')).status, soon).toBe(503);
    expect((await get('/healthz')).status).toBe(200);
    await expect.poll(() => prometheus.firing(), soon).toContain('ExternalNamePoolNotServing');
    const working = get('/work');
    await secondary.promote();
    await point('secondary-db.example.com');
    expect(await working).toMatchObject({ status: 200, body: { address: secondary.address } });
    await expect.poll(targets, soon).toEqual(['secondary-db.example.com']);
    expect((await get('/readyz')).body).toMatchObject({ ready: true, target: 'secondary-db.example.com' });
    expect(await prometheus.query('externalname_pool_switches_total')).toMatchObject([
      { metric: { pool: 'webscaler-db', source: 'dns' }, value: [expect.any(Number), '1'] },
    ]);
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

  it('fires if DNS falls silent, and a switch would go unseen', async () => {
    cluster.dns.fault({ kind: 'silent' });
    await expect.poll(() => prometheus.firing(), soon).toContain('ExternalNameSourceDegraded');
    cluster.dns.heal();
    await expect.poll(() => prometheus.firing(), soon).not.toContain('ExternalNameSourceDegraded');
  });

  it('fires until a switch was rehearsed within the last 30 days', async () => {
    expect(await prometheus.firing()).toContain('ExternalNameSwitchNotRehearsed');
    const day = 86_400_000;
    drillFinished.publish(() => ({ name: 'webscaler-db', passed: true, at: new Date(Date.now() - 31 * day) }));
    await expect.poll(() => prometheus.query('externalname_drill_finished_timestamp_seconds'), soon).toHaveLength(1);
    expect(await prometheus.firing()).toContain('ExternalNameSwitchNotRehearsed');
    drillFinished.publish(() => ({ name: 'webscaler-db', passed: true }));
    await expect.poll(() => prometheus.firing(), soon).not.toContain('ExternalNameSwitchNotRehearsed');
  });
});
