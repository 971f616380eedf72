import { DnsResolver, type DnsResolverOptions } from '@externalname/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LocalCluster } from '../src/index.ts';

// The same names, and the same results, as in core's tests against knot and unbound.
const namespace = 'default.svc.cluster.local';
let cluster: LocalCluster;
const resolvers: DnsResolver[] = [];

const externalName = (name: string, target: string) => ({
  metadata: { name, namespace: 'default' },
  spec: { type: 'ExternalName', externalName: target },
});

beforeAll(async () => {
  cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [
      externalName('webscaler-db', 'primary-db.example.com'),
      externalName('no-such-target', 'missing.example.com'),
      externalName('no-address', 'text-only.example.com'),
      externalName('unreachable', 'db.unreachable.example'),
      externalName('two-hops', `webscaler-db.${namespace}`),
      externalName('v4-only', 'v4.example.com'),
      externalName('v6-only', 'v6.example.com'),
      externalName('many', 'many.example.com'),
      externalName('loop-a', `loop-b.${namespace}`),
      externalName('loop-b', `loop-a.${namespace}`),
      {
        metadata: { name: 'plain', namespace: 'default' },
        spec: { type: 'ClusterIP', clusterIP: '10.96.0.7', ports: [{ port: 80 }] },
      },
    ],
    hosts: {
      'primary-db.example.com': ['192.0.2.10', '2001:db8::10'],
      'text-only.example.com': { records: [{ type: 'TXT', data: 'no address' }] },
      'v4.example.com': ['192.0.2.4'],
      'v6.example.com': ['2001:db8::6'],
      'many.example.com': Array.from({ length: 120 }, (_, index) => `192.0.2.${index + 1}`),
      'db.unreachable.example': { rcode: 'SERVFAIL' },
    },
  });
});

afterEach(async () => {
  for (const resolver of resolvers.splice(0)) await resolver.close();
});

afterAll(async () => {
  await cluster?.close();
});

function newResolver(options: DnsResolverOptions = {}): DnsResolver {
  const searchDomains = [namespace, 'svc.cluster.local', 'cluster.local'];
  const resolver = new DnsResolver({ nameservers: [cluster.nameserver], searchDomains, ndots: 5, ...options });
  resolvers.push(resolver);
  return resolver;
}

describe('the resolver of core finds in a LocalCluster what it finds with knot and unbound', () => {
  it.each<[string, string[], string[]]>([
    ['webscaler-db', ['primary-db.example.com'], ['192.0.2.10', '2001:db8::10']],
    ['two-hops', [`webscaler-db.${namespace}`, 'primary-db.example.com'], ['192.0.2.10', '2001:db8::10']],
    ['v4-only', ['v4.example.com'], ['192.0.2.4']],
    ['v6-only', ['v6.example.com'], ['2001:db8::6']],
    ['plain', [], ['10.96.0.7']],
    ['WebScaler-DB', ['primary-db.example.com'], ['192.0.2.10', '2001:db8::10']],
  ])('%s', async (host, targets, addresses) => {
    const resolution = await newResolver().resolveHost(host);
    expect(resolution.name).toBe(`${host.toLowerCase()}.${namespace}`);
    expect(resolution.chain.map((hop) => hop.target)).toEqual(targets);
    expect(resolution.addresses.map((entry) => entry.address).sort()).toEqual(addresses);
    expect(resolution.chain.every((hop) => hop.ttlSeconds <= 1 && hop.elapsedMillis > 0)).toBe(true);
  });

  it.each<[string, string, RegExp]>([
    ['no-such-target', 'not-found', /^no-such-target\..* -> missing\.example\.com: NXDOMAIN$/],
    ['no-address', 'no-address', /^no-address\..* -> text-only\.example\.com: no address$/],
    ['unreachable', 'unavailable', /^unreachable\..* -> db\.unreachable\.example: SERVFAIL from /],
    ['loop-a', 'loop', /^loop-a\..* -> loop-b\..* -> loop-a\..*: the chain loops$/],
    ['nothing', 'not-found', /^nothing\.default\.svc\.cluster\.local: NXDOMAIN$/],
  ])('%s: %s', async (service, failure, message) => {
    const resolver = newResolver({ timeoutMillis: 1_000, attempts: 1 });
    await expect(resolver.resolve(`${service}.${namespace}`)).rejects.toMatchObject({
      failure,
      message: expect.stringMatching(message),
    });
  });

  it('an answer that does not fit into a datagram, by TCP', async () => {
    const resolver = newResolver();
    const { addresses } = await resolver.resolve(`many.${namespace}`, { family: 4 });
    expect(addresses).toHaveLength(120);
    expect(resolver.statistics().tcpQueries).toBeGreaterThan(0);
  });

  it('with two questions for a short name, and none while the answer is good', async () => {
    const before = cluster.queries().length;
    const resolver = newResolver();
    await resolver.resolve(`webscaler-db.${namespace}`);
    await resolver.resolve(`webscaler-db.${namespace}`);
    expect(cluster.queries().length - before).toBe(2);
  });
});

describe('a DNS whose every answer takes longer than the resolver’s timeout', () => {
  it('is heard all the same', async () => {
    // Half of the time for each of its two hops.
    const fault = cluster.dns.fault({ kind: 'slow', delayMillis: 300 });
    try {
      const resolver = newResolver({ timeoutMillis: 400, attempts: 10, cache: false });
      const { chain, addresses } = await resolver.resolve(`webscaler-db.${namespace}`);
      expect(chain.map((hop) => hop.target)).toEqual(['primary-db.example.com']);
      expect(addresses.map((entry) => entry.address)).toEqual(['192.0.2.10', '2001:db8::10']);
      expect(resolver.statistics().lateAnswers).toBeGreaterThan(0);
    } finally {
      fault.end();
    }
  });

  it('does so for many questions at a time without a warning', async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on('warning', warn);
    const fault = cluster.dns.fault({ kind: 'slow', delayMillis: 300 });
    try {
      const resolver = newResolver({ cache: false });
      const names = Array.from({ length: 30 }, (_, index) => `n${index}.${namespace}`);
      await Promise.allSettled(names.map((name) => resolver.resolve(name)));
      await new Promise(setImmediate);
      expect(warnings).toEqual([]);
    } finally {
      fault.end();
      process.off('warning', warn);
    }
  });
});
