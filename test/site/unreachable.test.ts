import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clusterAddresses, site as places } from '../../examples/webscaler/src/network/network.ts';
import { openTestSite, type TestSite } from './support/site.ts';

let site: TestSite;

beforeAll(async () => {
  site = await openTestSite({ ttlSeconds: 1 });
});
afterAll(() => site?.[Symbol.asyncDispose]());

// The system says these at once, some of them inside the call that opens the socket. On loopback nothing ever does.
describe.each(['unreachable', 'prohibit', 'blackhole'])('a pod without a route (%s)', (kind) => {
  const { databases } = places;
  const [database, api] = [databases.primary.ipv4, clusterAddresses.api.ipv4];

  async function cut(...addresses: readonly string[]): Promise<void> {
    await site.app.pod.run(addresses.map((address) => `ip route add ${kind} ${address}`).join('\n'));
  }

  afterEach(() => site.app.pod.run(`ip route flush type ${kind}`));

  it('to its database is told so within the time that it allows, and is served when there is one', async () => {
    await cut(database);
    // Longer than the longest pause between two attempts, 1.25 s: the second query must not end before the next one.
    await site.app.call('open', 'pool', site.poolOptions({ failoverTimeoutMillis: 6_000 }));
    await expect(site.app.call('query', 'pool', 'select 1')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      outcome: 'not-executed',
    });
    await site.app.pod.run(`ip route flush type ${kind}`);
    expect(await site.app.call('query', 'pool', 'select 1 as one')).toEqual([{ one: 1 }]);
    await site.app.call('close', 'pool');
  });

  it('to its database any more, while writers write, fails what was under way and no more', async () => {
    await site.app.call('open', 'pool', site.poolOptions());
    await site.app.call('startWriting', 'pool', { firstId: 1 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await cut(database);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await site.app.pod.run(`ip route flush type ${kind}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { acknowledged, failures, hung } = await site.app.call('stopWriting', 'pool');
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(failures.length).toBeLessThanOrEqual(10);
    expect(failures.filter(({ outcome }) => outcome !== 'unknown')).toEqual([]);
    expect(hung).toEqual([]);
    await site.app.call('close', 'pool');
    await site.pair.primary.query('truncate writes', [], { database: site.pair.database });
  });

  it('to the API is told so, and follows by DNS', async () => {
    await cut(api);
    await expect(site.app.call('askApi')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
      outcome: 'not-executed',
    });
    await site.app.call('open', 'pool', site.poolOptions({ watch: true }));
    expect(await site.app.call('query', 'pool', 'select 1 as one')).toEqual([{ one: 1 }]);
    expect((await site.app.call('status', 'pool')).target).toMatchObject({ source: 'dns' });
    await site.app.call('close', 'pool');
  });

  it.each(['tcp', 'tls'] as const)('to a server that is probed (%s) is told so', async (probe) => {
    await cut(database);
    const answer = site.app.call('probe', probe, 'primary-db.example.com', 5432);
    await expect(answer).rejects.toThrow(/EHOSTUNREACH|ENETUNREACH|EACCES|EINVAL|ECONNREFUSED/);
    await site.app.pod.run(`ip route flush type ${kind}`);
    expect(await site.app.call('probe', 'tcp', 'primary-db.example.com', 5432)).toContain('accepts connections');
  });
});
