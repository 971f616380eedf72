import { FaultProxy } from '@externalname/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { apiPort, site as places } from '../../examples/webscaler/src/network/network.ts';
import { expectNothingLost, openTestSite, type TestSite } from './support/site.ts';

const undo: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

describe('a pod that has IPv6 alone', () => {
  it.each([{ how: 'by DNS' }, { how: 'by a watch' }])('follows a switch $how, and loses nothing', async ({ how }) => {
    const site = await openTestSite({ family: 6, ttlSeconds: 1, podOptions: { families: [6] } });
    undo.push(site);
    await site.app.call('open', 'pool', site.poolOptions({ watch: how === 'by a watch' }));
    const whereIs = async () =>
      (await site.app.call('query', 'pool', 'select host(inet_server_addr()) as address'))[0]?.['address'];
    expect(await whereIs()).toBe(places.databases.primary.ipv6);
    await site.app.call('startWriting', 'pool');
    await site.pair.switchover({ rejoin: false, onPromoted: ({ hostName }) => site.point(hostName) });
    await expect.poll(whereIs, { timeout: 10_000 }).toBe(places.databases.standby.ipv6);
    const written = await site.app.call('stopWriting', 'pool');
    await expectNothingLost(site.pair.primary, site.pair.database, written);
    expect(written.failures).toEqual([]);
    expect((await site.app.call('status', 'pool')).target).toMatchObject({
      source: how === 'by a watch' ? 'kubernetes' : 'dns',
    });
  });
});

describe('a database with an address of each family', () => {
  let site: TestSite;

  /** The servers listen on IPv4; a proxy on the site gives the primary its IPv6 address. */
  async function openWithBoth(): Promise<TestSite> {
    const { primary, standby } = places.databases;
    const opened = await openTestSite({
      ttlSeconds: 1,
      hosts: {
        'primary-db.example.com': [primary.ipv6, primary.ipv4],
        'secondary-db.example.com': [standby.ipv4],
      },
    });
    undo.push(opened);
    const target = { host: primary.ipv4, port: 5432 };
    undo.push(await FaultProxy.start({ target, address: primary.ipv6, port: 5432 }));
    return opened;
  }

  it('is reached long before an attempt is given up, whichever family is dead, and in whichever way', async () => {
    site = await openWithBoth();
    const { ipv4, ipv6 } = places.databases.primary;
    const faults = {
      'IPv6 dropped': `ip6 daddr ${ipv6} drop`,
      'IPv6 rejected': `ip6 daddr ${ipv6} reject with icmpv6 no-route`,
      'IPv6 reset': `ip6 daddr ${ipv6} tcp dport 5432 reject with tcp reset`,
      'IPv4 dropped': `ip daddr ${ipv4} drop`,
      'IPv4 rejected': `ip daddr ${ipv4} reject with icmp net-unreachable`,
      'IPv4 reset': `ip daddr ${ipv4} tcp dport 5432 reject with tcp reset`,
    };
    // A caller does not wait for as long as an attempt may take.
    const patience = { attemptTimeoutMillis: 60_000, failoverTimeoutMillis: 15_000 };
    const found: Record<string, unknown> = {};
    for (const [name, rule] of Object.entries(faults)) {
      await using _ = await site.network.forward(rule);
      await site.app.call('open', name, site.poolOptions(patience));
      found[name] = await site.app.call('query', name, 'select 1 as one').catch((error: Error) => error.message);
      await site.app.call('close', name);
    }
    expect(found).toEqual(Object.fromEntries(Object.keys(faults).map((name) => [name, [{ one: 1 }]])));
  });

  it('keeps its writers when the family that they use dies under them', async () => {
    site = await openWithBoth();
    await site.app.call('open', 'pool', site.poolOptions());
    await site.app.call('startWriting', 'pool');
    await new Promise((resolve) => setTimeout(resolve, 500));
    undo.push(await site.network.forward(`ip6 daddr ${places.databases.primary.ipv6} drop`));
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const written = await site.app.call('stopWriting', 'pool');
    await expectNothingLost(site.pair.primary, site.pair.database, written);
    // Those whose statement was under way, at most one a connection.
    expect(written.failures.length).toBeLessThanOrEqual(10);
    // None has hung, and by TCP itself they would hang for a quarter of an hour.
    expect(await site.app.call('query', 'pool', 'select 1 as one')).toEqual([{ one: 1 }]);
  });
});

describe('the Kubernetes API on IPv6', () => {
  it('is asked by its address in brackets', async () => {
    const site = await openTestSite({ family: 6, podOptions: { families: [6] } });
    undo.push(site);
    expect(site.cluster.api.url).toBe(`https://[${places.api.ipv6}]:${apiPort}`);
    await site.app.call('open', 'pool', site.poolOptions({ watch: true }));
    await site.app.call('query', 'pool', 'select 1');
    await expect.poll(() => site.cluster.api.openWatches).toBe(1);
  });
});
