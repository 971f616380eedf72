import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { delayDatabases } from '../../examples/webscaler/src/network/webscaler-site.ts';
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

describe.each([50, 250])('a database that is %i ms away', (millis) => {
  it('is written to, left in a planned switch, and nothing fails', async () => {
    undo.push(await delayDatabases(site.network, millis));
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
    undo.push(await delayDatabases(site.network, millis));
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

// TCP sends a lost packet again after 200 ms at the earliest, and a drain lasts 250 ms by default: a write that lost two would be cut.
const drainTimeoutMillis = 30_000;

describe.each([1, 10])('a line that loses %i percent of all packets', (percent) => {
  it('fails no write, also not in a planned switch', async () => {
    undo.push(await site.network.lose(percent));
    await site.app.call('open', 'pool', site.poolOptions({ drainTimeoutMillis }));
    await site.app.call('startWriting', 'pool');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await site.pair.switchover({ rejoin: false, onPromoted: ({ hostName }) => site.point(hostName) });
    await expect.poll(whereIs, { timeout: 20_000 }).toBe(site.pair.primary.address);
    const written = await site.app.call('stopWriting', 'pool');
    await expectNothingLost(site.pair.primary, site.pair.database, written);
    expect(written.failures).toEqual([]);
  });
});
