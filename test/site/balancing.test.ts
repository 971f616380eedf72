import { FaultProxy } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { site as places } from '../../examples/webscaler/src/network/network.ts';
import { openTestSite, type TestSite } from './support/site.ts';

const { primary, standby } = places.databases;
const addresses = [primary.ipv4, primary.ipv6, standby.ipv6];

// A database with three addresses of both families: proxies give it those of IPv6.
let site: TestSite;
const undo: AsyncDisposable[] = [];
beforeAll(async () => {
  site = await openTestSite({ ttlSeconds: 1, hosts: { 'primary-db.example.com': addresses } });
  undo.push(site);
  const target = { host: primary.ipv4, port: 5432 };
  for (const address of [primary.ipv6, standby.ipv6])
    undo.push(await FaultProxy.start({ target, address, port: 5432 }));
});
afterEach(() => site.app.call('close', 'pool'));
afterAll(async () => {
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** The share of each address, in hundredths. */
async function shares({ app }: TestSite): Promise<Record<string, number>> {
  const status = await app.call('status', 'pool');
  return Object.fromEntries(
    status.addresses.map(({ address, share }: { address: string; share: number }) => [
      address,
      Math.round(share * 100),
    ]),
  );
}

/** How many reads were answered, by all addresses. */
async function answered({ app }: TestSite): Promise<number> {
  const { addresses: known } = await app.call('status', 'pool');
  return known.reduce((sum: number, each: { answered: number }) => sum + each.answered, 0);
}

describe('a pool that balances over three addresses of both families', () => {
  it.each([
    ['an IPv6 address that swallows everything', `ip6 daddr ${standby.ipv6} drop`, standby.ipv6],
    ['an IPv4 address that swallows everything', `ip daddr ${primary.ipv4} drop`, primary.ipv4],
    ['an IPv6 address that resets', `ip6 daddr ${primary.ipv6} tcp dport 5432 reject with tcp reset`, primary.ipv6],
  ])('fails no read because of %s, and shares again afterwards', async (_, rule, lost) => {
    const options = { balancing: 'round-robin', slowStartMillis: 500, max: 6 } as const;
    await site.app.call('open', 'pool', site.poolOptions(options));
    await site.app.call('startReading', 'pool');
    const equal = Object.fromEntries(addresses.map((address) => [address, 33]));
    await expect.poll(() => shares(site), { timeout: 15_000 }).toEqual(equal);

    await using mend = await site.network.forward(rule);
    const others = Object.fromEntries(addresses.map((address) => [address, address === lost ? 0 : 50]));
    await expect.poll(() => shares(site), { timeout: 30_000 }).toEqual(others);
    await mend[Symbol.asyncDispose]();
    await expect.poll(() => shares(site), { timeout: 30_000 }).toEqual(equal);

    // All of this may be over before a busy machine has read so often.
    await expect.poll(() => answered(site), { timeout: 30_000 }).toBeGreaterThan(200);
    const { reads, failures } = await site.app.call('stopReading', 'pool');
    expect(failures).toEqual([]);
    expect(reads).toBeGreaterThan(100);
    const { connections, addresses: known } = await site.app.call('status', 'pool');
    expect(connections.some(({ role }: { role: string }) => role === 'standby')).toBe(false);
    expect(known.every(({ ejected }: { ejected: unknown }) => ejected === undefined)).toBe(true);
  });
});
