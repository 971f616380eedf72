import { FaultProxy } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { site as places } from '../../examples/webscaler/src/network/network.ts';
import { expectNothingLost, openTestSite, type TestSite } from './support/site.ts';

let site: TestSite;
const undo: AsyncDisposable[] = [];

beforeAll(async () => {
  site = await openTestSite({ ttlSeconds: 1 });
});
// Whichever server a test left is the standby of the other one in the next.
afterEach(async () => {
  await site.app.call('close', 'pool');
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
  const { pair } = site;
  await pair.primary.query('truncate writes', [], { database: pair.database });
  await pair.rejoin(pair.standby);
});
afterAll(() => site?.[Symbol.asyncDispose]());

const whereIs = async () =>
  (await site.app.call('query', 'pool', 'select host(inet_server_addr()) as address'))[0]?.['address'];

/** Puts so many milliseconds between the pod and both databases, there and back together. */
async function delay(roundTripMillis: number): Promise<void> {
  for (const [index, { ipv4 }] of Object.values(places.databases).entries()) {
    const address = `198.51.100.${101 + index}`;
    await site.network.addToSite(address);
    const proxy = await FaultProxy.start({ target: { host: ipv4, port: 5432 }, address, port: 5432 });
    proxy.latency(roundTripMillis / 2);
    undo.push(proxy, await site.network.translate(`${ipv4}:5432`, `${address}:5432`));
  }
}

describe.each([50, 250])('a database that is %i ms away', (millis) => {
  it('is written to, left in a planned switch, and nothing fails', async () => {
    await delay(millis);
    await site.app.call('open', 'pool', site.poolOptions({ watch: true }));
    await site.app.call('startWriting', 'pool');
    expect(await whereIs()).toBe(site.pair.primary.address);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await site.app.call('time', 'pool', 'select 1')).toBeGreaterThan(millis - 5);
    await site.pair.switchover({ rejoin: false, onPromoted: ({ hostName }) => site.point(hostName) });
    await expect.poll(whereIs, { timeout: 15_000 }).toBe(site.pair.primary.address);
    const written = await site.app.call('stopWriting', 'pool');
    await expectNothingLost(site.pair.primary, site.pair.database, written);
    expect(written.failures).toEqual([]);
  });

  it('is not taken for dead, and is found dead when it is', async () => {
    await delay(millis);
    await site.app.call('open', 'pool', site.poolOptions({ watch: true }));
    await site.app.call('startWriting', 'pool');
    await site.app.call('query', 'pool', 'select pg_sleep(2)');
    expect((await site.app.call('status', 'pool')).serving).toBe(true);
    await site.pair.primary.freeze();
    await site.pair.standby.promote();
    await site.point(site.pair.primary.hostName);
    await expect.poll(whereIs, { timeout: 15_000 }).toBe(site.pair.primary.address);
    const written = await site.app.call('stopWriting', 'pool');
    await expectNothingLost(site.pair.primary, site.pair.database, written);
    expect(written.failures.every(({ outcome }) => outcome === 'unknown')).toBe(true);
    expect(written.failures.length).toBeLessThanOrEqual(10);
  });
});

describe.each([1, 10])('a line that loses %i %% of all packets', (percent) => {
  it('fails no write, also not in a planned switch', async () => {
    undo.push(await site.network.lose(percent));
    await site.app.call('open', 'pool', site.poolOptions());
    await site.app.call('startWriting', 'pool');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await site.pair.switchover({ rejoin: false, onPromoted: ({ hostName }) => site.point(hostName) });
    await expect.poll(whereIs, { timeout: 20_000 }).toBe(site.pair.primary.address);
    const written = await site.app.call('stopWriting', 'pool');
    await expectNothingLost(site.pair.primary, site.pair.database, written);
    expect(written.failures).toEqual([]);
  });
});
