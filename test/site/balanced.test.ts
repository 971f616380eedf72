import { externalNameService } from '@externalname/core/manifests';
import type { BalancedPoolOptions } from '@externalname/pg';
import { FaultProxy } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { namespace } from '../../examples/webscaler/src/network/webscaler-site.ts';
import { expectNothingLost, openTestSite, type TestSite } from './support/site.ts';

// Four Services at addresses of their own, of both families, that lead to two servers which know nothing of each other.
const places = {
  north: '198.51.100.111',
  east: '198.51.100.112',
  south: '2001:db8:51::113',
  west: '2001:db8:51::114',
} as const;
type Place = keyof typeof places;
const names = Object.keys(places) as readonly Place[];
/** Where the host of `west` moves to. */
const elsewhere = '2001:db8:51::115';

const max = 2;
const pipelining = 8;
/** More than can be in flight: some always wait in a pool. */
const workers = 96;

let site: TestSite;
const proxies = new Map<string, FaultProxy>();
const undo: AsyncDisposable[] = [];

beforeAll(async () => {
  site = await openTestSite({ ttlSeconds: 1, pair: { synchronous: false } });
  const { pair, network, cluster } = site;
  await pair.standby.promote();
  const certificate = await pair.authority.issue({ hostNames: ['*.db.example.com'] });
  for (const server of pair.servers) await server.setCertificate(certificate);
  await network.addToSite(...Object.values(places), elsewhere);
  for (const [index, name] of names.entries()) {
    await serve(places[name], index);
    cluster.hosts.set(`${name}.db.example.com`, [places[name]]);
    await cluster.services.apply(externalNameService({ name, namespace, externalName: `${name}.db.example.com` }));
  }
  await serve(elsewhere, names.indexOf('west'));
});
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
  await site.app.call('close', 'pool');
  for (const server of site.pair.servers) {
    await server.query('truncate writes', [], { database: site.pair.database });
  }
});
afterAll(async () => {
  for (const proxy of proxies.values()) await proxy.close();
  await site?.[Symbol.asyncDispose]();
});

/** Lets one of the two servers be reached at an address, 10 ms there and back. */
async function serve(address: string, index: number): Promise<void> {
  const server = site.pair.servers[index % 2 === 0 ? 0 : 1];
  const proxy = await FaultProxy.start({ target: { host: server.address, port: 5432 }, address, port: 5432 });
  proxy.latency(5);
  proxies.set(address, proxy);
}

async function services() {
  const status = await site.app.call('balancedStatus', 'pool');
  return new Map(status.services.map((each) => [each.name as Place, each]));
}

async function setAside(): Promise<readonly string[]> {
  return [...(await services()).values()].filter((each) => each.setAside).map(({ name }) => name);
}

/** How many queries each place has answered so far. */
async function answered(): Promise<ReadonlyMap<Place, number>> {
  return new Map([...(await services())].map(([name, each]) => [name, each.answered]));
}

/** Waits until each of these places has answered more than so many queries since now. */
async function waitForAnswers(of: readonly Place[] = names, least = 100): Promise<void> {
  const before = await answered();
  const isEnough = async () => {
    const now = await answered();
    return of.every((name) => (now.get(name) ?? 0) - (before.get(name) ?? 0) > least);
  };
  await expect.poll(isEnough, { timeout: 20_000 }).toBe(true);
}

async function load(overrides: Partial<BalancedPoolOptions> = {}): Promise<void> {
  const { port: _, ...shared } = site.poolOptions();
  const { service: __, watch: ___, ...options } = shared;
  await site.app.call('openBalanced', 'pool', {
    ...options,
    services: names.map((service) => ({ service })),
    allowedTargets: ['*.db.example.com'],
    max,
    pipelining,
    statementCache: 100,
    // TCP sends a lost packet again after 200 ms at the earliest, and a drain lasts 250 ms by default.
    drainTimeoutMillis: 30_000,
    failbackAfterMillis: 500,
    slowStartMillis: 500,
    // A line that loses packets is slow now and then.
    outlierDetection: false,
    ...overrides,
  });
  await site.app.call('startWriting', 'pool', { workers, pauseMillis: 1 });
  await site.app.call('startReading', 'pool', { workers, pauseMillis: 1 });
  await waitForAnswers();
  const least = async () =>
    Math.min(
      ...[...(await services()).values()].flatMap(({ pool: { sharing } }) => [
        sharing?.shared ?? 0,
        sharing?.named ?? 0,
      ]),
    );
  await expect.poll(least, { timeout: 20_000 }).toBeGreaterThan(100);
  // On a busy machine, a connection may have taken too long at first.
  await expect.poll(setAside, { timeout: 20_000 }).toEqual([]);
}

/** Nothing was lost, done twice or answered with another's rows, nothing hung, and no read failed. Gives the failures of writes. */
async function expectNoHarm() {
  const { wrong, failures, reads } = await site.app.call('stopReading', 'pool');
  const written = await site.app.call('stopWriting', 'pool');
  expect({ wrong, failures }).toEqual({ wrong: [], failures: [] });
  expect(reads).toBeGreaterThan(workers);
  await expectNothingLost(site.pair.servers, site.pair.database, written);
  // Ids are given out in order: each caller heard what became of its write.
  const ids = [...written.acknowledged, ...written.failures.map(({ id }) => id)];
  expect(ids).toHaveLength(Math.max(...ids) - Math.min(...ids) + 1);
  return written.failures;
}

describe('a pool over several Services that shares connections, 10 ms away', () => {
  it.each<[string, Place, string]>([
    ['in silence', 'north', `ip daddr ${places.north} drop; ip saddr ${places.north} drop`],
    ['by a reset', 'south', `ip6 daddr ${places.south} tcp dport 5432 reject with tcp reset`],
  ])(
    'loses only what was in flight at a Service that is lost %s, and uses it again afterwards',
    async (_, place, rule) => {
      undo.push(await site.network.lose(1));
      await load();
      const cut = await site.network.forward(rule);
      undo.push(cut);
      await expect.poll(setAside, { timeout: 30_000 }).toEqual([place]);
      // Otherwise it may have its answers after all, once packets pass again.
      await expect.poll(async () => (await services()).get(place)?.inFlight, { timeout: 20_000 }).toBe(0);
      await waitForAnswers(names.filter((name) => name !== place));
      await cut.end();
      await expect.poll(setAside, { timeout: 20_000 }).toEqual([]);
      await waitForAnswers([place]);
      const failures = await expectNoHarm();
      // Something was in flight. It may have been reads alone, which are sent again.
      expect((await services()).get(place)?.failedRequests).toBeGreaterThan(0);
      expect(failures.filter(({ outcome }) => outcome !== 'unknown')).toEqual([]);
      expect(failures.length).toBeLessThanOrEqual(max * pipelining);
    },
  );

  it('follows a host that moves, and fails nothing', async () => {
    await load();
    site.cluster.hosts.set('west.db.example.com', [elsewhere]);
    await expect.poll(() => proxies.get(places.west)?.counts.open, { timeout: 20_000 }).toBe(0);
    await waitForAnswers();
    expect(await expectNoHarm()).toEqual([]);
  });

  it('leaves a Service that is slow to the others, and fails nothing', async () => {
    await load({
      outlierDetection: { intervalMillis: 1_000, baseEjectionMillis: 1_000, minimumRequests: 5, latencyFactor: 2 },
    });
    // Less than half a second there and back: what is silent for so long is left before it can be judged.
    proxies.get(places.east)?.latency(200);
    const why = async () => (await services()).get('east')?.ejected;
    await expect.poll(why, { timeout: 20_000 }).toBe('latency');
    proxies.get(places.east)?.latency(5);
    await expect.poll(why, { timeout: 20_000 }).toBe(undefined);
    await waitForAnswers();
    expect(await expectNoHarm()).toEqual([]);
  });
});
