import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { playScenario } from '../support/scenario.ts';
import { openRealSite, type RealSite } from './real-site.ts';

const [primary, secondary] = ['primary-db.example.com', 'secondary-db.example.com'] as const;
const service = 'webscaler-db.default.svc.cluster.local';
let site: RealSite;

beforeAll(async () => {
  site = await openRealSite(process.env['KUBEBUILDER_ASSETS'] ?? '');
});
afterAll(() => site?.[Symbol.asyncDispose]());

describe('the webscaler disaster recovery from a pod, on kube-apiserver and CoreDNS', () => {
  it.each([30, 5])(
    'loses nothing, does nothing twice and hangs nowhere, by DNS (TTL %i s) and by a watch',
    async (ttlSeconds) => {
      if (ttlSeconds !== 30) {
        await site.startCoreDns(ttlSeconds);
        await site.pair.rejoin(site.pair.standby);
        await site.point(site.pair.primary.hostName);
      }
      const { queries } = await site.app.call('resolve', service);
      expect(queries.map(({ result }) => result)).toContain('NOERROR');
      await playScenario(site);
      for (const way of ['dns', 'watch']) await site.app.call('close', way);
      await site.pair.primary.query('truncate writes', [], { database: site.pair.database });
    },
  );
});

describe('CoreDNS that restarts', () => {
  it('is waited for by a query that comes meanwhile', async () => {
    await site.stopCoreDns();
    const resolved = site.app.call('resolve', service, { cache: false, attempts: 10, totalTimeoutMillis: 60_000 });
    await site.startCoreDns(30);
    expect((await resolved).addresses).toHaveLength(1);
  });

  it('is not missed by a pool that writes', async () => {
    await site.app.call('open', 'pool', site.poolOptions());
    await site.app.call('startWriting', 'pool', { firstId: 10_000_000 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await site.stopCoreDns();
    const stoppedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const withoutDnsMillis = performance.now() - stoppedAt;
    await site.startCoreDns(30);
    const { acknowledged, failures, slowestMillis } = await site.app.call('stopWriting', 'pool');
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(failures).toEqual([]);
    expect(slowestMillis).toBeLessThan(withoutDnsMillis);
    await site.app.call('close', 'pool');
  });
});

describe('kube-apiserver', () => {
  const target = async () => (await site.app.call('status', 'pool')).target?.externalName;
  /** The servers do not change places here: only one takes writes, so the pool is asked what it was told. */
  const pushed = async (to: string) => {
    await site.app.call('sourceEvents');
    await site.point(to);
    await expect
      .poll(() => site.app.call('sourceEvents'), { timeout: 10_000 })
      .toContain(`changed to ${to} by kubernetes`);
  };

  afterEach(async () => {
    await site.app.call('close', 'pool');
    await site.point(site.pair.primary.hostName);
  });

  async function openWatching(): Promise<void> {
    await site.app.call('open', 'pool', site.poolOptions({ watch: true, targetSessionAttrs: 'any' }));
    await site.app.call('query', 'pool', 'select 1');
    await site.app.call('sourceEvents');
  }

  it('pushes a switch into the pod', async () => {
    await openWatching();
    const [here, there] = (await target()) === primary ? [primary, secondary] : [secondary, primary];
    await pushed(there);
    await pushed(here);
  });

  it('is found again when it has restarted, and what was switched meanwhile is known then', async () => {
    await openWatching();
    const there = (await target()) === primary ? secondary : primary;
    await site.plane.killApiServer();
    await expect
      .poll(() => site.app.call('sourceEvents'), { timeout: 20_000 })
      .toContain('degraded kubernetes ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE');
    await site.app.call('query', 'pool', 'select 1');
    await site.plane.restartApiServer();
    await pushed(there);
  });

  it('that forgets who may read leaves the pool to DNS, and pushes again when it may', async () => {
    await openWatching();
    const there = (await target()) === primary ? secondary : primary;
    await site.revokeReading();
    // Permission is asked for when a watch begins.
    await site.plane.restartApiServer();
    await expect
      .poll(() => site.app.call('sourceEvents'), { timeout: 20_000 })
      .toContain('degraded kubernetes ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN');
    await site.app.call('query', 'pool', 'select 1');
    await site.grantReading();
    await expect.poll(() => site.app.call('sourceEvents'), { timeout: 60_000 }).toContain('recovered kubernetes');
    await pushed(there);
  });

  it('takes a token that kubelet has rotated, after the old one was taken back', async () => {
    await site.app.pod.writeServiceAccount({ token: 'not-a-token-any-more' });
    await openWatching().catch(() => undefined);
    await site.app.pod.writeServiceAccount({ token: await site.newToken() });
    await expect.poll(() => site.app.call('sourceEvents'), { timeout: 60_000 }).toContain('recovered kubernetes');
    const there = (await target()) === primary ? secondary : primary;
    await pushed(there);
  });
});
