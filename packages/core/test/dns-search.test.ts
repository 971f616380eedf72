import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, DnsResolver, type DnsResolverOptions, systemClock } from '@externalname/core';
import { dnsSearchDomainFailedChannel, type SearchDomainFailedEvent } from '@externalname/core/events';
import { sleep } from '@externalname/core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  a,
  aaaa,
  cname,
  rcodes,
  type Script,
  ScriptedDnsServer,
  type ScriptedReply,
  zoneScript,
} from './scripted-dns-server.ts';
import { ManualClock } from './support/manual-clock.ts';
import { inQuietTime } from './support/quiet-time.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
/** What kubelet writes. */
const pod: DnsResolverOptions = {
  searchDomains: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
  ndots: 5,
};
const records = [cname(service, primary), a(primary, '192.0.2.10'), a('orders.example.com', '192.0.2.30')];
const opened: { close(): Promise<void> }[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'externalname-dns-'));
});

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
  await rm(folder, { recursive: true });
});

async function resolverOf(
  options: DnsResolverOptions = {},
  script: Script = zoneScript(records),
  clock: Clock = systemClock,
) {
  const server = await ScriptedDnsServer.start(script);
  const hostsPath = join(folder, 'hosts');
  const resolver = new DnsResolver(
    { nameservers: [server.text], timeoutMillis: 5000, attempts: 1, hostsPath, ...pod, ...options },
    { clock },
  );
  opened.push(server, resolver);
  return { server, resolver };
}

describe('a plain host name', () => {
  it('costs two queries for a service of the own namespace, one where one family is wanted', async () => {
    const { server, resolver } = await resolverOf();
    const { name, canonicalName } = await resolver.resolveHost('webscaler-db');
    expect([name, canonicalName]).toEqual([service, primary]);
    expect(server.queries).toHaveLength(2);
    resolver.invalidate();
    await resolver.resolveHost('webscaler-db', { family: 4 });
    expect(server.queries).toHaveLength(3);
  });

  it.each([
    // name, what libc sends for A and AAAA
    ['webscaler-db', 2],
    ['webscaler-db.default', 4],
    ['webscaler-db.default.svc', 6],
    ['webscaler-db.default.svc.cluster.local', 8],
    ['webscaler-db.default.svc.cluster.local.', 2],
    ['orders.example.com', 8],
  ])(
    '%s: is found as libc finds it, with %i queries at first and none of the detour after that',
    async (host, queries) => {
      const { server, resolver } = await resolverOf();
      const { addresses, name } = await resolver.resolveHost(host);
      expect(addresses).toHaveLength(1);
      expect(server.queries).toHaveLength(queries);
      // Past every cache of answers, the candidate that matched is asked first.
      resolver.invalidate(name);
      await resolver.resolveHost(host);
      expect(server.queries).toHaveLength(queries + 2);
    },
  );

  it('with as many dots as ndots says is asked as it is first', async () => {
    const { server, resolver } = await resolverOf({ ndots: 2 });
    await resolver.resolveHost('orders.example.com', { family: 4 });
    expect(server.asked).toEqual(['A orders.example.com']);
  });

  it('that does not exist says which names were tried', async () => {
    const { resolver } = await resolverOf();
    await expect(resolver.resolveHost('nowhere')).rejects.toMatchObject({
      failure: 'not-found',
      message:
        'nowhere: NXDOMAIN, tried as nowhere.default.svc.cluster.local, nowhere.svc.cluster.local, nowhere.cluster.local, nowhere',
    });
  });

  it('that exists and leads nowhere ends the search there, with its chain', async () => {
    const { server, resolver } = await resolverOf(
      {},
      zoneScript([cname(service, primary), a('webscaler-db.svc.cluster.local', '203.0.113.66')]),
    );
    await expect(resolver.resolveHost('webscaler-db')).rejects.toMatchObject({
      message: `${service} -> ${primary}: NXDOMAIN`,
    });
    expect(server.asked).not.toContain('A webscaler-db.svc.cluster.local');
  });

  it('whose first candidate no server answers for is not looked for elsewhere', async () => {
    const { server, resolver } = await resolverOf({}, ({ name }) =>
      name === service ? { rcode: rcodes.servfail } : { answers: [a(name, '203.0.113.66')] },
    );
    await expect(resolver.resolveHost('webscaler-db', { family: 4 })).rejects.toMatchObject({ failure: 'unavailable' });
    expect(server.asked).toEqual([`A ${service}`, `CNAME ${service}`]);
  });

  it('is looked for within one deadline, however many candidates there are', async () => {
    const clock = new ManualClock();
    const answerLate: Script = async ({ name }) => {
      await sleep(60, { clock });
      return name === 'x' ? {} : { rcode: rcodes.nxdomain };
    };
    const { server, resolver } = await resolverOf({ timeoutMillis: 10_000 }, answerLate, clock);
    let endedAt: number | undefined;
    const failed = expect(
      resolver.resolveHost('x', { timeoutMillis: 100 }).finally(() => {
        endedAt = clock.now();
      }),
    ).rejects.toMatchObject({ failure: 'unavailable' });
    await expect.poll(() => server.queries.length).toBe(2);
    await clock.advance(60);
    await expect.poll(() => server.queries.length).toBe(4);
    await clock.advance(40);
    await clock.atOnce(failed);
    expect(endedAt).toBe(100);
  });

  it('keeps its last answer, marked stale, when no server answers any more', async () => {
    let shift = 0;
    const clock = { ...systemClock, now: () => performance.now() + shift };
    const { server, resolver } = await resolverOf({}, undefined, clock);
    await resolver.resolveHost('webscaler-db.default');
    server.script = () => ({ rcode: rcodes.servfail });
    shift = 100_000; // The answers are over, and so is the memory of which candidate matched.
    expect(await resolver.resolveHost('webscaler-db.default')).toMatchObject({ stale: true, name: service });
    await expect(resolver.resolveHost('webscaler-db.default', { fresh: true })).rejects.toMatchObject({
      failure: 'unavailable',
    });
  });

  describe('if a search domain does not answer (issue 14)', () => {
    const nodes = 'eu-west-1.compute.internal';
    const searchDomains = [...(pod.searchDomains ?? []), nodes];
    const zone = zoneScript([...records, a(`webscaler-db.${nodes}`, '203.0.113.66')]);
    const failingIn =
      (domain: string, reply: ScriptedReply | undefined): Script =>
      (query) =>
        query.name.endsWith(`.${domain}`) && !query.name.endsWith(`svc.${domain}`) ? reply : zone(query);

    it.each<[string, string, ScriptedReply | undefined]>([
      ['SERVFAIL', nodes, { rcode: rcodes.servfail }],
      ['REFUSED', nodes, { rcode: rcodes.refused }],
      ['silence', nodes, undefined],
      ['SERVFAIL', 'cluster.local', { rcode: rcodes.servfail }],
      ['REFUSED', 'default.svc.cluster.local', { rcode: rcodes.refused }],
    ])('an external name is found as it is: %s for %s', async (_what, domain, reply) => {
      const clock = new ManualClock();
      const { server, resolver } = await resolverOf({ searchDomains }, failingIn(domain, reply), clock);
      const traffic = () => server.queries.length + resolver.statistics().answers;
      const resolving = resolver.resolveHost('orders.example.com');
      expect(await inQuietTime(resolving, { clock, traffic, stepMillis: 500 })).toMatchObject({
        name: 'orders.example.com',
        addresses: [{ address: '192.0.2.30' }],
      });
    });

    it('one that is silent for long leaves half of the time for the name as it is', async () => {
      const clock = new ManualClock();
      const { server, resolver } = await resolverOf({ searchDomains, attempts: 5 }, failingIn(nodes, undefined), clock);
      const traffic = () => server.queries.length + resolver.statistics().answers;
      const resolving = resolver.resolveHost('orders.example.com', { family: 4, timeoutMillis: 600 });
      const found = await inQuietTime(resolving, { clock, traffic, stepMillis: 10 });
      expect(found.addresses).toMatchObject([{ address: '192.0.2.30' }]);
      expect(clock.now()).toBe(300);
    });

    it('is told on a channel, with the domain and the name that was taken', async () => {
      const { resolver } = await resolverOf({ searchDomains }, failingIn(nodes, { rcode: rcodes.servfail }));
      const told: SearchDomainFailedEvent[] = [];
      const stop = dnsSearchDomainFailedChannel.subscribe((event) => told.push(event));
      try {
        await resolver.resolveHost('orders.example.com', { family: 4 });
      } finally {
        stop();
      }
      expect(told).toMatchObject([
        {
          hostname: 'orders.example.com',
          failed: `orders.example.com.${nodes}`,
          name: 'orders.example.com',
          error: { failure: 'unavailable' },
        },
      ]);
    });

    it('no later search domain is asked: it may have another host of that name', async () => {
      const { server, resolver } = await resolverOf(
        { searchDomains },
        failingIn('default.svc.cluster.local', { rcode: rcodes.servfail }),
      );
      await expect(resolver.resolveHost('webscaler-db')).rejects.toMatchObject({ failure: 'unavailable' });
      expect(server.asked).not.toContain(`A webscaler-db.${nodes}`);
      expect(server.asked).not.toContain('A webscaler-db');
    });

    it('a name that does not exist as it is may exist in that domain: the error says to try again', async () => {
      const { resolver } = await resolverOf({ searchDomains }, failingIn(nodes, { rcode: rcodes.servfail }));
      await expect(resolver.resolveHost('nowhere.example.com')).rejects.toMatchObject({
        failure: 'unavailable',
        hostname: `nowhere.example.com.${nodes}`,
      });
    });

    it('a name that was found in a search domain before is not taken as it is', async () => {
      let shift = 0;
      const clock = { ...systemClock, now: () => performance.now() + shift };
      const both = [a('db.dev.svc.cluster.local', '10.96.0.7'), a('db.dev', '203.0.113.66')];
      const { server, resolver } = await resolverOf({ cache: { maxStaleSeconds: 0 } }, zoneScript(both), clock);
      expect(await resolver.resolveHost('db.dev')).toMatchObject({ name: 'db.dev.svc.cluster.local' });
      server.script = (query) =>
        query.name.endsWith('cluster.local') ? { rcode: rcodes.servfail } : zoneScript(both)(query);
      shift = 100_000; // The answer is over, and so is the memory of which candidate is asked first.
      await expect(resolver.resolveHost('db.dev')).rejects.toMatchObject({ failure: 'unavailable' });
    });

    it('the domain is asked again after ten seconds, and what it has counts then', async () => {
      let shift = 0;
      const clock = { ...systemClock, now: () => performance.now() + shift };
      const both = [a('db.dev.svc.cluster.local', '10.96.0.7'), a('db.dev', '192.0.2.30')];
      const { server, resolver } = await resolverOf(
        {},
        (query) => (query.name.endsWith('cluster.local') ? { rcode: rcodes.servfail } : zoneScript(both)(query)),
        clock,
      );
      expect(await resolver.resolveHost('db.dev')).toMatchObject({ name: 'db.dev' });
      server.script = zoneScript(both);
      shift = 10_001;
      expect(await resolver.resolveHost('db.dev')).toMatchObject({ name: 'db.dev.svc.cluster.local' });
    });
  });

  it('a candidate that matched for IPv6 is not the one that is meant for IPv4 (issue 14)', async () => {
    const { resolver } = await resolverOf(
      { searchDomains: ['a.example', 'b.example'] },
      zoneScript([a('db.a.example', '192.0.2.1'), aaaa('db.b.example', '2001:db8::2'), a('db.b.example', '192.0.2.2')]),
    );
    expect(await resolver.resolveHost('db', { family: 6 })).toMatchObject({ name: 'db.b.example' });
    expect(await resolver.resolveHost('db', { family: 4 })).toMatchObject({ name: 'db.a.example' });
    expect(await resolver.resolveHost('db')).toMatchObject({ name: 'db.a.example' });
  });

  it.each(['', '.', 'a..b', ' '])('%j is refused before any query', async (host) => {
    const { server, resolver } = await resolverOf();
    await expect(resolver.resolveHost(host)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT' });
    expect(server.queries).toHaveLength(0);
  });
});

describe('what needs no server', () => {
  it.each([
    ['192.0.2.7', 4],
    ['2001:db8::7', 6],
  ])('an address is itself: %s', async (address, family) => {
    const { server, resolver } = await resolverOf();
    expect((await resolver.resolveHost(address)).addresses).toMatchObject([{ address, family }]);
    await expect(resolver.resolveHost(address, { family: family === 4 ? 6 : 4 })).rejects.toMatchObject({
      failure: 'no-address',
    });
    expect(server.queries).toHaveLength(0);
  });

  it('localhost is this machine, whatever DNS says, in both calls', async () => {
    const { server, resolver } = await resolverOf({}, ({ name }) => ({ answers: [a(name, '203.0.113.66')] }));
    for (const name of ['localhost', 'LocalHost.', 'db.localhost']) {
      expect((await resolver.resolveHost(name)).addresses.map((entry) => entry.address)).toEqual(['127.0.0.1', '::1']);
      expect((await resolver.resolve(name)).addresses.map((entry) => entry.address)).toEqual(['127.0.0.1', '::1']);
    }
    expect(server.queries).toHaveLength(0);
  });

  it('a name in the hosts file is what that says, and only for plain names', async () => {
    await writeFile(
      join(folder, 'hosts'),
      '# hosts\n10.0.0.9 Orders.example.com orders # the shop\n2001:db8::9 orders\nnonsense orders\n',
    );
    const { server, resolver } = await resolverOf();
    expect((await resolver.resolveHost('orders')).addresses.map((entry) => entry.address)).toEqual([
      '10.0.0.9',
      '2001:db8::9',
    ]);
    expect((await resolver.resolveHost('orders.EXAMPLE.com')).addresses).toMatchObject([{ address: '10.0.0.9' }]);
    expect(server.queries).toHaveLength(0);
    expect((await resolver.resolve('orders.example.com')).addresses).toMatchObject([{ address: '192.0.2.30' }]);
  });
});

describe('resolv.conf', () => {
  it('says who is asked and how names are completed, and is read again when it changes', async () => {
    const [first, second] = [
      await ScriptedDnsServer.start(zoneScript(records), '127.0.0.21'),
      await ScriptedDnsServer.start(zoneScript(records), '127.0.0.22'),
    ];
    opened.push(first, second);
    const path = join(folder, 'resolv.conf');
    await writeFile(
      path,
      'nameserver 127.0.0.21\nsearch default.svc.cluster.local svc.cluster.local\noptions ndots:5\n',
    );
    let shift = 0;
    const clock = { ...systemClock, now: () => performance.now() + shift };
    const resolver = new DnsResolver({ resolvConfPath: path }, { clock });
    opened.push(resolver);
    expect(resolver.nameservers).toEqual(['127.0.0.21:53']);
    expect(resolver.searchDomains).toEqual(['default.svc.cluster.local', 'svc.cluster.local']);

    await writeFile(path, 'search shop.svc.k8s.internal\nnameserver 127.0.0.22\nnameserver fe80::1%eth0\n');
    expect(resolver.nameservers).toEqual(['127.0.0.21:53']); // Not looked at for every name.
    shift = 6000;
    expect(resolver.nameservers).toEqual(['127.0.0.22:53', '[fe80::1%eth0]:53']);
    expect(resolver.searchDomains).toEqual(['shop.svc.k8s.internal']);
  });

  it('counts less than what is given', async () => {
    const path = join(folder, 'resolv.conf');
    await writeFile(path, 'nameserver 127.0.0.21\nsearch one.example\n');
    const resolver = new DnsResolver({
      resolvConfPath: path,
      nameservers: ['[::1]:5353'],
      searchDomains: ['Two.Example.'],
    });
    expect([resolver.nameservers, resolver.searchDomains]).toEqual([['[::1]:5353'], ['two.example']]);
  });

  it('that names no server by its address is told from a server that does not answer', async () => {
    const path = join(folder, 'resolv.conf');
    await writeFile(path, 'nameserver dns.example.com\n');
    const resolver = new DnsResolver({ resolvConfPath: path });
    await expect(resolver.resolve(primary)).rejects.toMatchObject({
      message: `${primary}: no DNS server is configured: resolv.conf names none by its address`,
    });
  });
});

describe('a new resolver', () => {
  it('reads and opens nothing', () => {
    const resolver = new DnsResolver({ resolvConfPath: '/nonexistent/resolv.conf' });
    expect(resolver.statistics()).toMatchObject({ queries: 0, cache: { names: 0 } });
  });

  it.each<[string, DnsResolverOptions]>([
    ['nameservers', { nameservers: [] }],
    ['nameservers[1]', { nameservers: ['127.0.0.1', 'dns.example.com'] }],
    ['nameservers[0]', { nameservers: ['127.0.0.1:0'] }],
    ['nameservers[0]', { nameservers: ['[127.0.0.1]:53'] }],
    ['searchDomains[0]', { searchDomains: ['a..b'] }],
    ['ndots', { ndots: 16 }],
    ['ndots', { ndots: 1.5 }],
    ['timeoutMillis', { timeoutMillis: 0 }],
    ['attempts', { attempts: Number.NaN }],
    ['totalTimeoutMillis', { totalTimeoutMillis: -1 }],
    ['cache.maxNames', { cache: { maxNames: 0 } }],
    ['cache.failureTtlSeconds', { cache: { failureTtlSeconds: 0.5 } }],
    ['cache.minTtlSeconds', { cache: { minTtlSeconds: 400 } }],
  ])('refuses %s: %j', (argument, options) => {
    expect(() => new DnsResolver(options)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });
});
