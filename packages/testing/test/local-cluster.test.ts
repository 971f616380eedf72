import { Resolver } from 'node:dns/promises';
import { createConnection } from 'node:net';
import { LocalCluster } from '@externalname/testing';
import packet from 'dns-packet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serviceName, webscalerDb } from './tools/webscaler.ts';

let cluster: LocalCluster;
let resolver: Resolver;

beforeEach(async () => {
  cluster = await LocalCluster.start({
    services: [webscalerDb],
    hosts: { 'primary-db.example.com': ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12', '::12'] },
  });
  resolver = new Resolver({ timeout: 2_000, tries: 1 });
  resolver.setServers([cluster.nameserver]);
});

afterEach(async () => {
  resolver.cancel();
  await cluster.close();
});

const switchOver = () =>
  cluster.services.patch('default', 'webscaler-db', [
    { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
  ]);

describe('the DNS of a local cluster', () => {
  it('answers a Service with its target and the addresses behind it', async () => {
    expect(await resolver.resolveCname(serviceName)).toEqual(['primary-db.example.com']);
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.11']);
  });

  it('answers with the new target as soon as the Service is patched', async () => {
    await switchOver();
    expect(await resolver.resolveCname(serviceName)).toEqual(['secondary-db.example.com']);
    expect(await resolver.resolve6(serviceName)).toEqual(['::12']);
  });

  it('says that a Service which was deleted does not exist', async () => {
    await cluster.services.delete('default', 'webscaler-db');
    await expect(resolver.resolveCname(serviceName)).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('answers over TCP on the same port, several questions on one connection', async () => {
    const answers = await overTcp([serviceName, 'primary-db.example.com']);
    expect(answers.map((answer) => answer.answers?.map((record) => record.type))).toEqual([['CNAME', 'A'], ['A']]);
  });

  it('gives one TTL to the records of the cluster', async () => {
    expect(await resolver.resolve4(serviceName, { ttl: true })).toEqual([{ address: '127.0.0.11', ttl: 5 }]);
  });

  it('knows what it was asked', async () => {
    await resolver.resolve4(serviceName);
    await resolver.resolve6('primary-db.example.com').catch(() => undefined);
    expect(cluster.queries()).toEqual([
      expect.objectContaining({ name: serviceName, type: 'A', transport: 'udp' }),
      expect.objectContaining({ name: 'primary-db.example.com', type: 'AAAA', transport: 'udp' }),
    ]);
  });

  it('gives the Services of every cluster, and names for their addresses', async () => {
    expect(await resolver.resolve4('kubernetes.default.svc.cluster.local')).toEqual(['10.96.0.1']);
    expect(await resolver.reverse('10.96.0.10')).toEqual(['kube-dns.kube-system.svc.cluster.local']);
    expect(await resolver.resolveSrv('_dns._udp.kube-dns.kube-system.svc.cluster.local')).toEqual([
      { name: 'kube-dns.kube-system.svc.cluster.local', port: 53, priority: 0, weight: 100 },
    ]);
  });

  it('has other names outside as soon as they are set', async () => {
    cluster.hosts.set('primary-db.example.com', ['127.0.0.21']);
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.21']);
    cluster.hosts.delete('primary-db.example.com');
    await expect(resolver.resolve4('primary-db.example.com')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('asks a real server about the names that it does not have', async () => {
    await using inner = await LocalCluster.start({
      services: [webscalerDb],
      dns: { forward: cluster.nameserver },
    });
    resolver.setServers([inner.nameserver]);
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.11']);
    expect(cluster.queries().map((query) => query.name)).toEqual(['primary-db.example.com']);
  });

  it('keeps answers if it has a cache, as CoreDNS does', async () => {
    await using cached = await LocalCluster.start({ services: [webscalerDb], dns: { cache: {} } });
    resolver.setServers([cached.nameserver]);
    expect(await resolver.resolveCname(serviceName)).toEqual(['primary-db.example.com']);
    await cached.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
    ]);
    expect(await resolver.resolveCname(serviceName)).toEqual(['primary-db.example.com']);
    cached.dns.flush();
    expect(await resolver.resolveCname(serviceName)).toEqual(['secondary-db.example.com']);
  });
});

describe('a fault of the DNS', () => {
  it.each([
    ['servfail', 'ESERVFAIL'],
    ['nxdomain', 'ENOTFOUND'],
    ['refused', 'EREFUSED'],
    ['silent', 'ETIMEOUT'],
  ] as const)('%s is what a client sees until it ends', async (kind, code) => {
    const fault = cluster.dns.fault({ kind });
    await expect(resolver.resolve4(serviceName)).rejects.toMatchObject({ code });
    fault.end();
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.11']);
  });

  it('affects one name if it gives one', async () => {
    cluster.dns.fault({ kind: 'servfail', name: 'Primary-DB.example.com.' });
    await expect(resolver.resolve4('primary-db.example.com')).rejects.toMatchObject({ code: 'ESERVFAIL' });
    expect(await resolver.resolve4('secondary-db.example.com')).toHaveLength(1);
  });

  it('of a name outside leaves the bare alias on the Service, as CoreDNS does', async () => {
    cluster.dns.fault({ kind: 'nxdomain', name: 'primary-db.example.com' });
    expect(await resolver.resolve4(serviceName)).toEqual([]);
    expect(await resolver.resolveCname(serviceName)).toEqual(['primary-db.example.com']);
  });

  it('ends by itself after so many questions', async () => {
    cluster.dns.fault({ kind: 'servfail', times: 2 });
    for (let question = 0; question < 2; question += 1) {
      await expect(resolver.resolve4(serviceName)).rejects.toMatchObject({ code: 'ESERVFAIL' });
    }
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.11']);
  });

  it('truncated makes the client ask again over TCP', async () => {
    cluster.dns.fault({ kind: 'truncated' });
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.11']);
    expect(cluster.queries().map((query) => query.transport)).toEqual(['udp', 'tcp']);
  });

  it('slow answers late, and rightly', async () => {
    cluster.dns.fault({ kind: 'slow', delayMillis: 100, times: 1 });
    const start = performance.now();
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.11']);
    expect(performance.now() - start).toBeGreaterThanOrEqual(95);
  });

  it('wrong gives the records that it is told', async () => {
    cluster.dns.fault({ kind: 'wrong', name: serviceName, records: [{ type: 'A', data: '127.0.0.66' }] });
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.66']);
  });

  it('stale keeps the old target until it ends', async () => {
    const fault = cluster.dns.fault({ kind: 'stale', name: serviceName });
    await switchOver();
    expect(await resolver.resolveCname(serviceName)).toEqual(['primary-db.example.com']);
    fault.end();
    await cluster.dns.caughtUp();
    expect(await resolver.resolveCname(serviceName)).toEqual(['secondary-db.example.com']);
  });

  it('stale for a time lets the change through by itself', async () => {
    cluster.dns.fault({ kind: 'stale', delayMillis: 50 });
    await switchOver();
    expect(await resolver.resolveCname(serviceName)).toEqual(['primary-db.example.com']);
    await cluster.dns.caughtUp();
    expect(await resolver.resolveCname(serviceName)).toEqual(['secondary-db.example.com']);
  });

  it('heal() ends them all', async () => {
    cluster.dns.fault({ kind: 'silent' });
    cluster.dns.fault({ kind: 'servfail' });
    cluster.dns.heal();
    expect(await resolver.resolve4(serviceName)).toEqual(['127.0.0.11']);
  });
});

describe('starting a local cluster', () => {
  it.each([
    [{ ttlSeconds: -1 }, 'ttlSeconds'],
    [{ ttlSeconds: 1.5 }, 'ttlSeconds'],
    [{ clusterDomain: 'a..b' }, 'clusterDomain'],
    [{ hosts: { 'a.example': ['nonsense'] } }, 'hosts["a.example"]'],
    [{ dns: { forward: 'dns.example' } }, 'dns.forward'],
  ])('refuses %j before it opens anything', async (options, argument) => {
    await expect(LocalCluster.start(options)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument,
    });
  });

  it('refuses a Service that the API server would refuse, in its words', async () => {
    const service = { metadata: { name: 'db' }, spec: { type: 'ExternalName', externalName: 'not_a_name' } };
    await expect(LocalCluster.start({ services: [service] })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_API_STATUS',
      status: { reason: 'Invalid', code: 422, details: { causes: [{ field: 'spec.externalName' }] } },
    });
  });

  it('makes the namespaces of its Services', async () => {
    await cluster.services.apply({ ...webscalerDb, metadata: { name: 'db', namespace: 'shop' } });
    expect(await resolver.resolveCname('db.shop.svc.cluster.local')).toEqual(['primary-db.example.com']);
  });

  it('may have another domain and TTL', async () => {
    await using other = await LocalCluster.start({
      clusterDomain: 'k8s.internal',
      ttlSeconds: 30,
      services: [webscalerDb],
      hosts: { 'primary-db.example.com': { records: [{ type: 'A', data: '127.0.0.11', ttl: 60 }] } },
    });
    resolver.setServers([other.nameserver]);
    const [address] = await resolver.resolve4('webscaler-db.default.svc.k8s.internal', { ttl: true });
    expect(address).toEqual({ address: '127.0.0.11', ttl: 30 });
    expect(other.resolvConf('shop')).toBe(
      'nameserver 127.0.0.1\nsearch shop.svc.k8s.internal svc.k8s.internal k8s.internal\noptions ndots:5\n',
    );
  });
});

function overTcp(names: readonly string[]): Promise<packet.DecodedPacket[]> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(cluster.dns.port, cluster.dns.address);
    const answers: packet.DecodedPacket[] = [];
    let received = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length > 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        answers.push(packet.decode(received.subarray(2, end)));
        received = received.subarray(end);
      }
      if (answers.length < names.length) return;
      socket.destroy();
      resolve(answers.sort((a, b) => (a.id ?? 0) - (b.id ?? 0)));
    });
    for (const [id, name] of names.entries()) {
      socket.write(packet.streamEncode({ type: 'query', id: id + 1, questions: [{ type: 'A', name }] }));
    }
  });
}
