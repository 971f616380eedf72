import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { site as places } from '../../examples/webscaler/src/network/network.ts';
import { expectNothingLost, openTestSite, type TestSite } from './support/site.ts';

/** What DNS says of the databases. No machine has these addresses: the node translates them. */
const outside = { primary: '198.51.100.11', standby: '198.51.100.12' };
let site: TestSite;
const undo: AsyncDisposable[] = [];

beforeAll(async () => {
  site = await openTestSite({
    ttlSeconds: 1,
    hosts: { 'primary-db.example.com': [outside.primary], 'secondary-db.example.com': [outside.standby] },
  });
  await site.network.translate(`${outside.primary}:5432`, `${places.databases.primary.ipv4}:5432`);
  await site.network.translate(`${outside.standby}:5432`, `${places.databases.standby.ipv4}:5432`);
});
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
});
afterAll(() => site?.[Symbol.asyncDispose]());

describe('a NAT that forgets connections', () => {
  // Each pool is idle for longer than the NAT remembers.
  const idleMillis = 4_000;

  it.each(['drop', 'reset'] as const)('finds none to forget where keepalive is quicker: %s', async (then) => {
    undo.push(await site.network.forgetIdle(3, then));
    const options = site.poolOptions({ max: 3, keepAliveInitialDelayMillis: 1_000, idleTimeoutMillis: 0 });
    await site.app.call('open', then, options);
    const pid = async () => (await site.app.call('query', then, 'select pg_backend_pid() as pid'))[0]?.['pid'];
    const before = await pid();
    await new Promise((resolve) => setTimeout(resolve, idleMillis));
    expect(await pid()).toBe(before);
    await site.app.call('close', then);
  });

  it.each(['drop', 'reset'] as const)('fails no statement on a connection that it forgot: %s', async (then) => {
    undo.push(await site.network.forgetIdle(2, then));
    const id = `forgotten-${then}`;
    // keepalive is on by default, and begins later than this NAT forgets.
    await site.app.call('open', id, site.poolOptions({ max: 3, idleTimeoutMillis: 0, idleCheckMillis: 1_000 }));
    const pid = async () => (await site.app.call('query', id, 'select pg_backend_pid() as pid'))[0]?.['pid'];
    const before = await pid();
    await new Promise((resolve) => setTimeout(resolve, idleMillis));
    // TCP itself gives up such a connection after a quarter of an hour, and this test is over after two minutes.
    expect(await pid()).not.toBe(before);
    await site.app.call('close', id);
  });
});

describe('databases behind a NAT that translates their addresses', () => {
  it('are written to through a crash and a switch: nothing lost, nothing twice, nothing hung', async () => {
    await site.app.call('open', 'pool', site.poolOptions());
    await site.app.call('startWriting', 'pool');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await site.pair.primary.kill();
    await site.pair.standby.promote();
    await site.point(site.pair.primary.hostName);
    const whereIs = async () =>
      (await site.app.call('query', 'pool', 'select host(inet_server_addr()) as address'))[0]?.['address'];
    await expect.poll(whereIs, { timeout: 10_000 }).toBe(places.databases.standby.ipv4);
    const written = await site.app.call('stopWriting', 'pool');
    await expectNothingLost(site.pair.primary, site.pair.database, written);
    expect(written.failures.length).toBeLessThanOrEqual(10);
  });

  it('are sent a CancelRequest there where the session is', async () => {
    await site.app.call('open', 'slow', site.poolOptions({ query_timeout: 300 }));
    const slow = site.app.call('query', 'slow', 'select pg_sleep(30) as slow');
    await expect(slow).rejects.toThrow(/timeout/i);
    const running = async () =>
      (
        await site.pair.primary.query(
          "select 1 from pg_stat_activity where query like '%pg_sleep(30) as%' and state = 'active' and pid <> pg_backend_pid()",
        )
      ).length;
    // By itself it would run for half a minute.
    await expect.poll(running, { timeout: 15_000 }).toBe(0);
    await site.app.call('close', 'slow');
  });
});
