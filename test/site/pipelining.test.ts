import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { delayDatabases } from '../../examples/webscaler/src/network/webscaler-site.ts';
import { expectNothingLost, openTestSite, type TestSite } from './support/site.ts';

const max = 4;
const pipelining = 16;
/** More than can be in flight: some always wait in the pool. */
const workers = 96;

describe.each([4, 6] as const)('a pool that pipelines and prepares over a long line, by IPv%i', (family) => {
  let site: TestSite;
  const undo: AsyncDisposable[] = [];

  beforeAll(async () => {
    site = await openTestSite({ family, ttlSeconds: 1, podOptions: { families: [family] } });
  });
  // Whichever server a test left is the standby of the other one in the next.
  afterEach(async () => {
    for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
    await site.app.call('close', 'pool');
    const { pair } = site;
    await pair.primary.query('truncate writes', [], { database: pair.database });
    await pair.rejoin(pair.standby);
  });
  afterAll(() => site?.[Symbol.asyncDispose]());

  const open = async () => {
    undo.push(await delayDatabases(site.network, 10));
    // TCP sends a lost packet again after 200 ms at the earliest, and a drain lasts 250 ms by default.
    const options = { max, pipelining, statementCache: 100, drainTimeoutMillis: 30_000 };
    await site.app.call('open', 'pool', site.poolOptions(options));
  };
  const load = async (readers: number) => {
    await site.app.call('startWriting', 'pool', { workers, pauseMillis: 1 });
    await site.app.call('startReading', 'pool', { workers: readers, pauseMillis: 1 });
    await expect.poll(sharing, { timeout: 20_000 }).toEqual({ shares: true, prepares: true });
  };
  const counts = async () => {
    const { shared = 0, named = 0 } = (await site.app.call('status', 'pool')).sharing ?? {};
    return { shared, named };
  };
  const sharing = async () => {
    const { shared, named } = await counts();
    return { shares: shared > 100, prepares: named > 100 };
  };
  const whereIs = async () =>
    (await site.app.call('query', 'pool', 'select host(inet_server_addr()) as address'))[0]?.['address'];
  const states = async () =>
    (await site.app.call('status', 'pool')).connections.map(({ state }: { state: string }) => state);

  it('that loses packets gives each caller its own answer, and leaves in a planned switch with all it has', async () => {
    await open();
    undo.push(await site.network.lose(1));
    await load(workers);
    const before = await counts();
    const sent = async () => (await counts()).named - before.named;
    await expect.poll(sent, { timeout: 30_000 }).toBeGreaterThan(3_000);
    const after = await counts();
    // What comes late because a packet was lost does not count as slow by itself, and would be sent alone then.
    expect((after.shared - before.shared) / (after.named - before.named)).toBeGreaterThan(0.5);
    await site.pair.switchover({ rejoin: false, onPromoted: ({ hostName }) => site.point(hostName) });
    await expect.poll(whereIs, { timeout: 20_000 }).toBe(site.pair.primary.address);
    await expect.poll(states, { timeout: 40_000 }).not.toContain('draining');
    const { reads, wrong, failures } = await site.app.call('stopReading', 'pool');
    const written = await site.app.call('stopWriting', 'pool');
    expect({ wrong, failures, writes: written.failures }).toEqual({ wrong: [], failures: [], writes: [] });
    expect(reads).toBeGreaterThan(workers);
    await expectNothingLost(site.pair.primary, site.pair.database, written);
  });

  it('that is cut fails what was sent as unknown, and what was not goes on', async () => {
    await open();
    await load(8);
    const cut = await site.network.forward('tcp dport 5432 reject with tcp reset');
    await expect.poll(async () => (await site.app.call('status', 'pool')).serving, { timeout: 20_000 }).toBe(false);
    await cut.end();
    await expect.poll(whereIs, { timeout: 20_000 }).toBe(site.pair.primary.address);
    const { wrong, failures } = await site.app.call('stopReading', 'pool');
    const written = await site.app.call('stopWriting', 'pool');
    // Reads are marked as idempotent: they are sent again, whatever became of them.
    expect({ wrong, failures }).toEqual({ wrong: [], failures: [] });
    expect(new Set(written.failures.map(({ outcome }) => outcome))).toEqual(new Set(['unknown']));
    expect(written.failures.length).toBeLessThanOrEqual(max * pipelining);
    // Ids are given out in order: each caller heard what became of its write.
    const ids = [...written.acknowledged, ...written.failures.map(({ id }) => id)];
    expect(ids).toHaveLength(Math.max(...ids) - Math.min(...ids) + 1);
    await expectNothingLost(site.pair.primary, site.pair.database, written);
  });
});
