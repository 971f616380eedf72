import { setTimeout as pause } from 'node:timers/promises';
import { DnsResolver, type DnsResolverOptions } from '@externalname/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findDnsServers, RealDnsServers } from './real-dns-servers.ts';
import { a, aaaa, cname, rcodes, type Script, ScriptedDnsServer, soa, zoneScript } from './scripted-dns-server.ts';

const namespace = 'default.svc.cluster.local';
const service = `webscaler-db.${namespace}`;

/** The Services of a cluster, as its DNS has them. TTLs of a second, so that a switch shows soon. */
const cluster = [
  'webscaler-db.default.svc 1 IN CNAME primary-db.example.com.',
  'no-such-target.default.svc 1 IN CNAME missing.example.com.',
  'no-address.default.svc 1 IN CNAME text-only.example.com.',
  'unreachable.default.svc 1 IN CNAME db.unreachable.example.',
  'two-hops.default.svc 1 IN CNAME webscaler-db.default.svc',
  'v4-only.default.svc 1 IN CNAME v4.example.com.',
  'v6-only.default.svc 1 IN CNAME v6.example.com.',
  'many.default.svc 1 IN CNAME many.example.com.',
  'loop-a.default.svc 1 IN CNAME loop-b.default.svc',
  'loop-b.default.svc 1 IN CNAME loop-a.default.svc',
  'plain.default.svc 1 IN A 10.96.0.7',
];
const outside = [
  'primary-db 1 IN A 192.0.2.10',
  'primary-db 1 IN AAAA 2001:db8::10',
  'secondary-db 1 IN A 198.51.100.20',
  'text-only IN TXT "no address"',
  'v4 1 IN A 192.0.2.4',
  'v6 1 IN AAAA 2001:db8::6',
  ...Array.from({ length: 120 }, (_, index) => `many 1 IN A 192.0.2.${index + 1}`),
];

/** The same cluster from the scripted server, with the bare aliases of CoreDNS. */
function coreDnsLike(): Script {
  const records = [
    cname(service, 'primary-db.example.com', 1),
    cname(`no-such-target.${namespace}`, 'missing.example.com', 1),
    cname(`no-address.${namespace}`, 'text-only.example.com', 1),
    cname(`unreachable.${namespace}`, 'db.unreachable.example', 1),
    cname(`two-hops.${namespace}`, service, 1),
    cname(`v4-only.${namespace}`, 'v4.example.com', 1),
    cname(`v6-only.${namespace}`, 'v6.example.com', 1),
    cname(`many.${namespace}`, 'many.example.com', 1),
    a(`plain.${namespace}`, '10.96.0.7', 1),
    a('primary-db.example.com', '192.0.2.10', 1),
    aaaa('primary-db.example.com', '2001:db8::10', 1),
    a('v4.example.com', '192.0.2.4', 1),
    aaaa('v6.example.com', '2001:db8::6', 1),
    ...Array.from({ length: 120 }, (_, index) => a('many.example.com', `192.0.2.${index + 1}`, 1)),
  ];
  const zone = zoneScript(records, ['cluster.local', 'example.com']);
  return (query) => {
    const { name, type, protocol } = query;
    if (name.startsWith('loop-')) {
      // CoreDNS hides the alias of a loop, but for who asks for it.
      const target = name.startsWith('loop-a') ? `loop-b.${namespace}` : `loop-a.${namespace}`;
      return type === 'CNAME' ? { answers: [cname(name, target, 1)] } : { authority: [soa('cluster.local', 5)] };
    }
    if (name === 'text-only.example.com') return { authority: [soa('example.com', 5)] };
    if (name.endsWith('unreachable.example')) return { rcode: rcodes.servfail };
    if (name.startsWith('many') && type === 'A' && protocol === 'udp') return { truncated: true };
    return zone(query);
  };
}

const programs = findDnsServers();
const opened: { close(): Promise<void> }[] = [];
let servers: RealDnsServers;

function resolverOf(nameserver: string, options: DnsResolverOptions = {}): DnsResolver {
  const searchDomains = [namespace, 'svc.cluster.local', 'cluster.local'];
  const resolver = new DnsResolver({ nameservers: [nameserver], searchDomains, ndots: 5, ...options });
  opened.push(resolver);
  return resolver;
}

beforeAll(async () => {
  if (programs === undefined) return;
  servers = await RealDnsServers.start(programs, { 'cluster.local': cluster, 'example.com': outside }, [
    'unreachable.example',
  ]);
});

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

afterAll(async () => {
  await servers?.close();
});

type Kind = 'unbound before knot' | 'knot alone' | 'a server that answers as CoreDNS does';

async function nameserverOf(kind: Kind): Promise<string> {
  if (kind === 'unbound before knot') return servers.resolver;
  if (kind === 'knot alone') return servers.authority;
  const scripted = await ScriptedDnsServer.start(coreDnsLike());
  opened.push(scripted);
  return scripted.text;
}

const kinds: readonly Kind[] = ['a server that answers as CoreDNS does', 'unbound before knot', 'knot alone'];

describe.each(kinds)('%s', (kind) => {
  const available = programs !== undefined || kind === 'a server that answers as CoreDNS does';
  describe.skipIf(!available)('gives the same', () => {
    it.each<[string, string[], string[]]>([
      ['webscaler-db', ['primary-db.example.com'], ['192.0.2.10', '2001:db8::10']],
      ['two-hops', [service, 'primary-db.example.com'], ['192.0.2.10', '2001:db8::10']],
      ['v4-only', ['v4.example.com'], ['192.0.2.4']],
      ['v6-only', ['v6.example.com'], ['2001:db8::6']],
      ['plain', [], ['10.96.0.7']],
      ['WebScaler-DB', ['primary-db.example.com'], ['192.0.2.10', '2001:db8::10']],
    ])('for %s', async (host, targets, addresses) => {
      const resolution = await resolverOf(await nameserverOf(kind)).resolveHost(host);
      expect(resolution.name).toBe(`${host.toLowerCase()}.${namespace}`);
      expect(resolution.chain.map((hop) => hop.target)).toEqual(targets);
      expect(resolution.addresses.map((entry) => entry.address).sort()).toEqual(addresses);
      expect(resolution.chain.every((hop) => hop.ttlSeconds <= 1 && hop.elapsedMillis > 0)).toBe(true);
    });

    it.each<[string, string, RegExp]>([
      [
        'no-such-target',
        'not-found',
        /^no-such-target\.default\.svc\.cluster\.local -> missing\.example\.com: NXDOMAIN$/,
      ],
      ['no-address', 'no-address', /^no-address\.default\.svc\.cluster\.local -> text-only\.example\.com: no address$/],
      [
        'unreachable',
        'unavailable',
        /^unreachable\.default\.svc\.cluster\.local -> db\.unreachable\.example: (SERVFAIL from|REFUSED from|no answer from) /,
      ],
      ['loop-a', 'loop', /^loop-a\..* -> loop-b\..* -> loop-a\..*: the chain loops$/],
      ['nothing', 'not-found', /^nothing\.default\.svc\.cluster\.local: NXDOMAIN$/],
    ])('for %s: %s', async (service_, failure, message) => {
      // unbound goes on asking the servers of an unreachable zone for longer than anybody waits.
      const resolver = resolverOf(await nameserverOf(kind), { timeoutMillis: 1000, attempts: 1 });
      await expect(resolver.resolve(`${service_}.${namespace}`)).rejects.toMatchObject({
        failure,
        message: expect.stringMatching(message),
      });
    });

    it('for an answer that does not fit into a datagram', async () => {
      const resolver = resolverOf(await nameserverOf(kind));
      const { addresses } = await resolver.resolve(`many.${namespace}`, { family: 4 });
      expect(addresses).toHaveLength(120);
      expect(resolver.statistics().tcpQueries).toBeGreaterThan(0);
    });

    it('over TCP from the start', async () => {
      const resolver = resolverOf(await nameserverOf(kind), { useTcp: true });
      expect((await resolver.resolve(service)).canonicalName).toBe('primary-db.example.com');
    });
  });
});

describe.skipIf(programs === undefined)('queries counted at unbound', () => {
  it('are two for a short service name, one where one family is wanted, and none while the answer is good', async () => {
    const resolver = resolverOf(servers.resolver, { cache: { minTtlSeconds: 60 } });
    const before = (await servers.queries()).length;
    await resolver.resolveHost('webscaler-db');
    await resolver.resolveHost('webscaler-db');
    const after = await counted(before + 2);
    expect(after.slice(before).sort()).toEqual([`A ${service}`, `AAAA ${service}`]);

    resolver.invalidate();
    await resolver.resolveHost('webscaler-db', { family: 4 });
    expect((await counted(before + 3)).slice(before + 2)).toEqual([`A ${service}`]);
  });

  it('are two for 10,000 lookups at once', async () => {
    const resolver = resolverOf(servers.resolver, { timeoutMillis: 20_000, totalTimeoutMillis: 30_000 });
    const before = (await servers.queries()).length;
    await Promise.all(Array.from({ length: 10_000 }, () => resolver.resolve(service)));
    expect(await counted(before + 2)).toHaveLength(before + 2);
  });

  // The log is written a moment after the answer; give a query too many the same moment to show.
  async function counted(expected: number): Promise<string[]> {
    for (let round = 0; round < 100 && (await servers.queries()).length < expected; round++) await pause(20);
    await pause(100);
    return servers.queries();
  }
});

describe.skipIf(programs === undefined)('a switch of the service', () => {
  it('is seen at the authority at once, and through the caching resolver when its TTL is over', async () => {
    const [direct, cached] = [resolverOf(servers.authority), resolverOf(servers.resolver)];
    for (const resolver of [direct, cached]) {
      expect((await resolver.resolve(service)).canonicalName).toBe('primary-db.example.com');
    }
    const [, ...others] = cluster;
    await servers.replace('cluster.local', [
      'webscaler-db.default.svc 1 IN CNAME secondary-db.example.com.',
      ...others,
    ]);
    let fresh = await direct.resolve(service, { fresh: true });
    for (let round = 0; round < 100 && fresh.canonicalName !== 'secondary-db.example.com'; round++) {
      await pause(20); // knot reloads the zone in the background.
      fresh = await direct.resolve(service, { fresh: true });
    }
    expect(fresh).toMatchObject({
      canonicalName: 'secondary-db.example.com',
      addresses: [{ address: '198.51.100.20' }],
    });

    let target = '';
    for (
      const until = performance.now() + 10_000;
      performance.now() < until && target !== 'secondary-db.example.com';
      await pause(50)
    ) {
      target = (await cached.resolve(service)).canonicalName;
    }
    expect(target).toBe('secondary-db.example.com');
  });
});
