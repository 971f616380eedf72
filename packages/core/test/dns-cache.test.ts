import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, DnsResolver, type DnsResolverOptions, systemClock } from '@externalname/core';
import { dnsAddressesChangedChannel, dnsChainChangedChannel } from '@externalname/core/events';
import { afterEach, describe, expect, it } from 'vitest';
import { a, cname, rcodes, type Script, ScriptedDnsServer, soa, zoneScript } from './scripted-dns-server.ts';
import { ManualClock } from './support/manual-clock.ts';
import { inQuietTime } from './support/quiet-time.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const secondary = 'secondary-db.example.com';
const opened: { close(): Promise<void> }[] = [];

/** A clock whose calendar of TTLs a test moves, while sockets and deadlines run in real time. */
class ShiftedClock {
  shiftMillis = 0;
  now = () => performance.now() + this.shiftMillis;
  date = () => new Date();
  schedule = systemClock.schedule;
}

async function resolverOf(
  script: Script,
  options: DnsResolverOptions = {},
  { random, clock }: { random?: () => number; clock?: Clock } = {},
) {
  const shifted = new ShiftedClock();
  const server = await ScriptedDnsServer.start(script);
  const settings = { nameservers: [server.text], timeoutMillis: 5000, attempts: 1, ...options };
  const resolver = new DnsResolver(settings, { clock: clock ?? shifted, random });
  opened.push(server, resolver);
  return { server, resolver, clock: shifted };
}

/** For servers that do answer, on a machine that may be busy with other things. */
const patient: DnsResolverOptions = { timeoutMillis: 20_000, totalTimeoutMillis: 60_000 };

const toPrimary = zoneScript([cname(service, primary, 30), a(primary, '192.0.2.10', 60)]);
const toSecondary = zoneScript([cname(service, secondary, 30), a(secondary, '198.51.100.20', 60)]);

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

describe('10,000 lookups of one name at once', () => {
  it('are two queries, or one where one family is wanted', async () => {
    const { server, resolver } = await resolverOf(toPrimary, patient);
    const both = await Promise.all(Array.from({ length: 10_000 }, () => resolver.resolve(service)));
    expect(server.queries).toHaveLength(2);
    expect(both.every(({ canonicalName }) => canonicalName === primary)).toBe(true);

    resolver.invalidate();
    await Promise.all(Array.from({ length: 10_000 }, () => resolver.resolve(service, { family: 4 })));
    expect(server.queries).toHaveLength(3);
    expect(resolver.statistics().cache).toMatchObject({ misses: 20_000, coalesced: 19_998, hits: 0 });
  });
});

describe('"does not exist", said to a question for one family (issue 14)', () => {
  // RFC 4074 section 4.2: servers that say NXDOMAIN for AAAA of a name which has an A record.
  const confused: Script = ({ name, type }) =>
    type === 'A' && name === 'db.example.com'
      ? { answers: [a(name, '192.0.2.10', 5)] }
      : { rcode: rcodes.nxdomain, authority: [soa('example.com')] };

  it('hides no address of the other', async () => {
    const { resolver } = await resolverOf(confused);
    await expect(resolver.resolve('db.example.com', { family: 6 })).rejects.toMatchObject({ failure: 'not-found' });
    for (const family of [4, 0] as const) {
      const { addresses } = await resolver.resolve('db.example.com', { family });
      expect(addresses).toMatchObject([{ address: '192.0.2.10' }]);
    }
  });

  it('takes no address of the other out of the cache', async () => {
    const { server, resolver } = await resolverOf(confused);
    await resolver.resolve('db.example.com', { family: 4 });
    await expect(resolver.resolve('db.example.com', { family: 6 })).rejects.toMatchObject({ failure: 'not-found' });
    const sent = server.queries.length;
    await resolver.resolve('db.example.com', { family: 4 });
    expect(server.queries).toHaveLength(sent);
  });

  it('is kept for that family, as what it is', async () => {
    const { server, resolver } = await resolverOf(confused);
    const ask = () => resolver.resolve('db.example.com', { family: 6 });
    await expect(ask()).rejects.toMatchObject({ failure: 'not-found' });
    const sent = server.queries.length;
    await expect(ask()).rejects.toMatchObject({ failure: 'not-found' });
    expect(server.queries).toHaveLength(sent);
  });

  it('of a name that has none of either is "does not exist" for both together', async () => {
    const { server, resolver } = await resolverOf(confused);
    for (const family of [6, 4] as const) {
      await expect(resolver.resolve('no.example.com', { family })).rejects.toMatchObject({ failure: 'not-found' });
    }
    const sent = server.queries.length;
    await expect(resolver.resolve('no.example.com')).rejects.toMatchObject({ failure: 'not-found' });
    expect(server.queries).toHaveLength(sent);
  });
});

describe('a kept answer', () => {
  it('serves without a query until its first record ends', async () => {
    const { server, resolver, clock } = await resolverOf(toPrimary, { cache: { prefetch: false } });
    const first = await resolver.resolve(service);
    clock.shiftMillis = 29_000;
    expect(await resolver.resolve(service)).toMatchObject({ stale: false, canonicalName: primary });
    expect(server.queries).toHaveLength(2);
    expect(clock.now()).toBeLessThan(first.expiresAt);

    clock.shiftMillis = 31_000;
    await resolver.resolve(service);
    expect(server.queries).toHaveLength(4);
  });

  it('is shared by services with the same target, each record for its own time', async () => {
    const reports = 'reports-db.default.svc.cluster.local';
    const { server, resolver, clock } = await resolverOf(
      zoneScript([cname(service, primary, 30), cname(reports, primary, 300), a(primary, '192.0.2.10', 60)]),
      { cache: { prefetch: false } },
    );
    await resolver.resolve(reports, { family: 4 });
    clock.shiftMillis = 50_000;
    await resolver.resolve(service, { family: 4 });
    clock.shiftMillis = 70_000; // The first address record is over; the second service brought a newer one.
    await resolver.resolve(reports, { family: 4 });
    expect(server.asked).toEqual([`A ${reports}`, `A ${service}`]);
  });

  it('is not kept at all with a TTL of 0, or with cache: false', async () => {
    const { server, resolver } = await resolverOf(
      zoneScript([cname(service, primary, 0), a(primary, '192.0.2.10', 60)]),
    );
    await resolver.resolve(service, { family: 4 });
    await resolver.resolve(service, { family: 4 });
    expect(server.queries).toHaveLength(2);

    const other = await resolverOf(toPrimary, { cache: false });
    await other.resolver.resolve(service, { family: 4 });
    await other.resolver.resolve(service, { family: 4 });
    expect(other.server.queries).toHaveLength(2);
  });

  it('is forgotten on request', async () => {
    const { server, resolver } = await resolverOf(toPrimary);
    await resolver.resolve(service, { family: 4 });
    resolver.invalidate(`${service.toUpperCase()}.`);
    await resolver.resolve(service, { family: 4 });
    expect(server.queries).toHaveLength(2);
  });
});

describe('a fresh call', () => {
  it('asks whatever is kept, and what it learns is kept for the others', async () => {
    const { server, resolver } = await resolverOf(toPrimary);
    await resolver.resolve(service);
    server.script = toSecondary;
    expect((await resolver.resolve(service)).canonicalName).toBe(primary);
    expect((await resolver.resolve(service, { fresh: true })).canonicalName).toBe(secondary);
    expect((await resolver.resolve(service)).canonicalName).toBe(secondary);
    expect(server.queries).toHaveLength(4);
  });

  it('never gets the answer to a query that was under way when it came', async () => {
    const { server, resolver } = await resolverOf(async (query) => {
      const reply = await toPrimary(query); // Decided when the query arrives, sent later.
      return reply && { ...reply, delayMillis: 80 };
    });
    const early = resolver.resolve(service, { fresh: true });
    while (server.queries.length < 2) await pause(2);
    server.script = toSecondary;
    const late = resolver.resolve(service, { fresh: true });
    expect((await early).canonicalName).toBe(primary);
    expect((await late).canonicalName).toBe(secondary);
  });

  it('whose answer comes before an older one keeps the cache on the newer one', async () => {
    const { server, resolver } = await resolverOf(async (query) => {
      const reply = await toPrimary(query);
      return reply && { ...reply, delayMillis: 90 };
    });
    const plain = resolver.resolve(service);
    while (server.queries.length < 2) await pause(2);
    server.script = toSecondary;
    await resolver.resolve(service, { fresh: true });
    await plain;
    expect((await resolver.resolve(service)).canonicalName).toBe(secondary);
  });

  it('made 10,000 times at once is one round of queries', async () => {
    const { server, resolver } = await resolverOf(toPrimary, patient);
    await Promise.all(Array.from({ length: 10_000 }, () => resolver.resolve(service, { fresh: true })));
    expect(server.queries).toHaveLength(2);
  });

  it('made over and over while a server is slow costs a bounded number of rounds', async () => {
    const clock = new ManualClock();
    let answer = () => {};
    const slowness = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { server, resolver } = await resolverOf(
      async (query) => {
        await slowness;
        return toPrimary(query);
      },
      {},
      { clock },
    );
    const calls: Promise<unknown>[] = [];
    for (let round = 0; round < 40; round++) {
      calls.push(...Array.from({ length: 25 }, () => resolver.resolve(service, { fresh: true, family: 4 })));
      if (round === 0) await expect.poll(() => server.queries.length).toBe(1);
      await clock.advance(10);
    }
    answer();
    await clock.atOnce(Promise.all(calls));
    // Calls come for 400 ms, and each 100 ms has one round at most. One more serves the calls that wait for their turn at the end.
    expect(server.queries.length).toBeGreaterThan(1);
    expect(server.queries.length).toBeLessThanOrEqual(6);
  });

  it('fails rather than serve what is stale', async () => {
    const { server, resolver, clock } = await resolverOf(toPrimary);
    await resolver.resolve(service);
    server.script = () => ({ rcode: rcodes.servfail });
    await expect(resolver.resolve(service, { fresh: true })).rejects.toMatchObject({ failure: 'unavailable' });
    clock.shiftMillis = 100_000;
    await expect(resolver.resolve(service, { fresh: true })).rejects.toMatchObject({ failure: 'unavailable' });
  });
});

describe('a negative answer', () => {
  it('is kept as long as its zone says (RFC 2308)', async () => {
    const missing: Script = () => ({ rcode: rcodes.nxdomain, authority: [soa('cluster.local', 5)] });
    const { server, resolver, clock } = await resolverOf(missing);
    await expect(resolver.resolve(service)).rejects.toMatchObject({ failure: 'not-found' });
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      failure: 'not-found',
      message: `${service}: NXDOMAIN`,
    });
    expect(server.queries).toHaveLength(2);
    clock.shiftMillis = 6000;
    await expect(resolver.resolve(service)).rejects.toMatchObject({ failure: 'not-found' });
    expect(server.queries).toHaveLength(4);
  });

  it('without a word of its zone is not kept', async () => {
    const { server, resolver } = await resolverOf(() => ({ rcode: rcodes.nxdomain }));
    for (let round = 0; round < 2; round++)
      await expect(resolver.resolve(service)).rejects.toMatchObject({ failure: 'not-found' });
    expect(server.queries).toHaveLength(4);
  });

  it('takes the place of addresses, and is not outlived by them', async () => {
    const { server, resolver } = await resolverOf(toPrimary);
    await resolver.resolve(service);
    server.script = zoneScript([]);
    await expect(resolver.resolve(service, { fresh: true })).rejects.toMatchObject({ failure: 'not-found' });
    server.script = () => ({ rcode: rcodes.servfail });
    await expect(resolver.resolve(service, { fresh: true })).rejects.toMatchObject({ failure: 'unavailable' });
    await expect(resolver.resolve(service)).rejects.toMatchObject({ failure: 'not-found' });
  });
});

describe('servers that do not answer', () => {
  it('are left alone for a moment (RFC 9520)', async () => {
    const { server, resolver, clock } = await resolverOf(() => ({ rcode: rcodes.servfail }));
    for (let round = 0; round < 5; round++) {
      await expect(resolver.resolve(service)).rejects.toMatchObject({
        failure: 'unavailable',
        message: `${service}: SERVFAIL from ${server.text}`,
      });
    }
    expect(server.asked.sort()).toEqual([`A ${service}`, `AAAA ${service}`, `CNAME ${service}`]);
    clock.shiftMillis = 1001;
    await expect(resolver.resolve(service)).rejects.toMatchObject({ failure: 'unavailable' });
    expect(server.queries).toHaveLength(6);
  });

  it('leave the last answer in use past its time, marked stale (RFC 8767)', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(toPrimary, { timeoutMillis: 100 }, { clock });
    await clock.atOnce(resolver.resolve(service));
    server.script = () => undefined;
    await clock.advance(3_000_000);
    const traffic = () => server.queries.length + resolver.statistics().answers;
    const stale = await inQuietTime(resolver.resolve(service), { clock, traffic, stepMillis: 100 });
    expect(stale).toMatchObject({ stale: true, canonicalName: primary, addresses: [{ address: '192.0.2.10' }] });
    // To be asked again soon, not after the old record's time.
    expect(stale.expiresAt - clock.now()).toBe(1000);
    expect(resolver.statistics().cache.stale).toBe(1);
  });

  it('are not waited for again by the next caller, and their first answer ends it', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(toPrimary, { timeoutMillis: 1_000 }, { clock });
    await clock.atOnce(resolver.resolve(service));
    server.script = () => undefined;
    await clock.advance(100_000);
    const waited = resolver.resolve(service);
    await expect.poll(() => server.queries.length).toBe(4);
    await clock.advance(1_000);
    // The question for the alias alone, which has half a second.
    await expect.poll(() => server.queries.length).toBe(5);
    await clock.advance(500);
    expect((await clock.atOnce(waited)).stale).toBe(true);
    await clock.advance(2_000);
    expect((await clock.atOnce(resolver.resolve(service))).stale).toBe(true);

    server.script = toSecondary;
    await clock.advance(2_000);
    await clock.atOnce(resolver.resolve(service, { fresh: true }));
    expect(await clock.atOnce(resolver.resolve(service))).toMatchObject({ stale: false, canonicalName: secondary });
  });

  it('are waited for no longer than told while a stale answer is at hand', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(
      toPrimary,
      { timeoutMillis: 20_000, cache: { staleAfterMillis: 50 } },
      { clock },
    );
    await clock.atOnce(resolver.resolve(service));
    server.script = () => undefined;
    await clock.advance(100_000);
    let stale: boolean | undefined;
    const waited = resolver.resolve(service).then((resolution) => {
      stale = resolution.stale;
    });
    await clock.advance(49);
    expect(stale).toBeUndefined();
    await clock.advance(1);
    await clock.atOnce(waited);
    expect(stale).toBe(true);
  });

  it('give no stale answer beyond its limit', async () => {
    const clock = new ManualClock();
    const options = { timeoutMillis: 100, cache: { maxStaleSeconds: 60 } };
    const { server, resolver } = await resolverOf(toPrimary, options, { clock });
    await clock.atOnce(resolver.resolve(service));
    server.script = () => undefined;
    await clock.advance(91_000);
    const traffic = () => server.queries.length + resolver.statistics().answers;
    const resolving = inQuietTime(resolver.resolve(service), { clock, traffic, stepMillis: 100 });
    await expect(resolving).rejects.toMatchObject({ failure: 'unavailable' });
  });

  it('never bring back the old target once the service points elsewhere', async () => {
    const { server, resolver, clock } = await resolverOf(toPrimary);
    await resolver.resolve(service);
    server.script = ({ name }) =>
      name === service ? { answers: [cname(service, secondary)] } : { rcode: rcodes.servfail };
    clock.shiftMillis = 31_000;
    await expect(resolver.resolve(service)).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${service} -> ${secondary}: SERVFAIL from ${server.text}`,
    });
  });
});

describe('prefetch', () => {
  it('refreshes a name that is in use near its end, in the background', async () => {
    const { server, resolver, clock } = await resolverOf(toPrimary, {}, { random: () => 0.5 });
    await resolver.resolve(service, { family: 4 });
    clock.shiftMillis = 26_000;
    await resolver.resolve(service, { family: 4 });
    expect(server.queries).toHaveLength(1); // Not yet: the point was drawn at 27 s.
    clock.shiftMillis = 27_500;
    server.script = toSecondary;
    expect((await resolver.resolve(service, { family: 4 })).canonicalName).toBe(primary);
    await expect.poll(() => resolver.statistics().answers).toBe(2);
    clock.shiftMillis = 31_000;
    expect((await resolver.resolve(service, { family: 4 })).canonicalName).toBe(secondary);
    expect(server.queries).toHaveLength(2);
    expect(resolver.statistics().cache.prefetches).toBe(1);
  });

  it('that fails costs no caller anything', async () => {
    const clock = new ManualClock();
    const { server, resolver } = await resolverOf(toPrimary, {}, { random: () => 1, clock });
    await clock.atOnce(resolver.resolve(service, { family: 4 }));
    server.script = () => ({ rcode: rcodes.servfail });
    await clock.advance(29_000);
    for (let round = 0; round < 10; round++) {
      const resolution = await clock.atOnce(resolver.resolve(service, { family: 4 }));
      expect(resolution).toMatchObject({ stale: false, canonicalName: primary });
      await clock.advance(50);
      // One refresh, its question for the alias included, and no other for a second.
      await expect.poll(() => server.asked).toEqual([`A ${service}`, `A ${service}`, `CNAME ${service}`]);
    }
  });
});

describe('what changed', () => {
  it('tells other addresses from another target', async () => {
    const seen: string[] = [];
    const ends = [
      dnsAddressesChangedChannel.subscribe(({ name }) => seen.push(`addresses ${name}`)),
      dnsChainChangedChannel.subscribe(({ before, after }) =>
        seen.push(`chain ${before.canonicalName} ${after.canonicalName}`),
      ),
    ];
    const { server, resolver } = await resolverOf(() => ({
      answers: [cname(service, primary), a(primary, '192.0.2.10'), a(primary, '192.0.2.11')],
    }));
    const fresh = () => resolver.resolve(service, { fresh: true, family: 4 });
    await fresh();
    server.script = () => ({ answers: [cname(service, primary), a(primary, '192.0.2.11'), a(primary, '192.0.2.10')] });
    await fresh();
    expect(seen).toEqual([]); // Only the order.
    server.script = () => ({ answers: [cname(service, primary), a(primary, '192.0.2.12')] });
    await fresh();
    server.script = toSecondary;
    await fresh();
    for (const end of ends) end();
    expect(seen).toEqual([`addresses ${service}`, `chain ${primary} ${secondary}`]);
  });
});
