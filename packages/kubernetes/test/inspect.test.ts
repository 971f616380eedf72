import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { serviceReaderRole } from '@externalname/core/manifests';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectService, inspectTls, listServices, loadKubeConfig, reviewAccess } from '../src/index.ts';

let cluster: LocalCluster;
let kubeConfig: string;

beforeAll(async () => {
  const service = (name: string, externalName: string, labels = {}) => ({
    metadata: { name, namespace: 'default', labels },
    spec: { type: 'ExternalName', externalName },
  });
  cluster = await LocalCluster.start({
    services: [
      service('webscaler-db', 'primary-db.example.com', { 'app.kubernetes.io/managed-by': 'Helm' }),
      service('webscaler-cache', 'cache.example.com'),
    ],
  });
  kubeConfig = await cluster.writeKubeconfig();
  const subjects = [{ kind: 'ServiceAccount' as const, name: 'reader', namespace: 'default' }];
  for (const object of serviceReaderRole({ service: 'webscaler-db', namespace: 'default', subjects }))
    await cluster.objects.apply(object);
});

afterAll(() => cluster?.close());

describe('a look at a Service', () => {
  it('gives the object as it is stored, its target, and who will put the old name back', async () => {
    const found = await inspectService({ service: 'webscaler-db', kubeConfig });
    expect(found).toMatchObject({
      reference: { fullName: 'webscaler-db.default.svc.cluster.local' },
      target: 'primary-db.example.com',
      owners: [expect.stringContaining('Helm')],
      lastSwitch: undefined,
      object: { kind: 'Service', spec: { type: 'ExternalName', externalName: 'primary-db.example.com' } },
    });
    expect(found.cluster?.server).toBe(cluster.api.url);
  });

  it('has no target if the Service is of another type', async () => {
    expect(await inspectService({ service: 'kubernetes', kubeConfig })).toMatchObject({ target: undefined });
  });

  it('says that there is none', async () => {
    await expect(inspectService({ service: 'webscaler', kubeConfig })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_SERVICE_NOT_FOUND',
    });
  });

  it('lists the Services of type ExternalName of a namespace', async () => {
    expect(await listServices({ kubeConfig })).toEqual([
      { name: 'webscaler-cache', namespace: 'default', externalName: 'cache.example.com' },
      { name: 'webscaler-db', namespace: 'default', externalName: 'primary-db.example.com' },
    ]);
    expect(await listServices({ kubeConfig, namespace: 'kube-system' })).toEqual([]);
  });
});

describe('a review of access', () => {
  it('says what the user of the kubeconfig may do', async () => {
    const own = await cluster.writeKubeconfig({ serviceAccount: 'reader' });
    const name = 'webscaler-db';
    const permissions = [
      { verb: 'get', resource: 'services', name },
      { verb: 'patch', resource: 'services', name },
    ];
    expect(await reviewAccess({ permissions, kubeConfig: own, namespace: 'default' })).toMatchObject([
      { verb: 'get', resource: 'services', name, allowed: true },
      { verb: 'patch', resource: 'services', name, allowed: false },
    ]);
    const all = await reviewAccess({ permissions, kubeConfig });
    expect(all.map(({ allowed }) => allowed)).toEqual([true, true]);
  });
});

describe('a kubeconfig that is named', () => {
  it('is loaded with its context', async () => {
    const loaded = await loadKubeConfig({ file: kubeConfig });
    expect(loaded.getCurrentCluster()?.server).toContain(new URL(cluster.api.url).host);
    expect(await inspectService({ service: 'webscaler-db', kubeConfig: loaded })).toMatchObject({
      target: 'primary-db.example.com',
    });
    await expect(loadKubeConfig({ file: kubeConfig, context: 'elsewhere' })).rejects.toThrow('no context "elsewhere"');
    await expect(loadKubeConfig({ file: ' ' })).rejects.toMatchObject({ argument: 'file' });
  });
});

describe('a look at TLS', () => {
  const target = { externalName: 'primary-db.example.com', via: ['webscaler-db.default.svc.cluster.local'] };
  const servers: { close(): void }[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });

  async function serving(options: TlsOptions): Promise<{ address: string; port: number }> {
    const server = createTlsServer(options).listen(0, '127.0.0.1');
    servers.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    return { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
  }

  it('shows protocol, names and chain, and that the certificate proves the target', async () => {
    const authority = await createCertificateAuthority({ name: 'Authority' });
    const { certificate: cert, privateKey: key } = await authority.issue({ hostNames: ['primary-db.example.com'] });
    const at = await serving({ cert, key });
    const found = await inspectTls({ target, ...at, ca: authority.certificate });
    expect(found).toMatchObject({
      protocol: 'TLSv1.3',
      distrust: undefined,
      identity: undefined,
      names: ['primary-db.example.com'],
      commonNameOnly: false,
    });
    expect(found.chain[0]).toMatchObject({ issuer: 'CN=Authority' });
    expect(Date.parse(found.chain[0]?.validTo ?? '')).toBeGreaterThan(Date.now());
  });

  it('says what is wrong with the certificate, and refuses none', async () => {
    const authority = await createCertificateAuthority();
    const { certificate: cert, privateKey: key } = await authority.issue({
      hostNames: ['webscaler-db'],
      notBefore: new Date('2020-01-01'),
      notAfter: new Date('2020-02-01'),
    });
    const at = await serving({ cert, key });
    expect(await inspectTls({ target, ...at })).toMatchObject({
      distrust: expect.any(String),
      identity: { code: 'ERR_EXTERNALNAME_TLS_IDENTITY' },
    });
    expect(await inspectTls({ target, ...at, ca: authority.certificate })).toMatchObject({
      distrust: 'CERT_HAS_EXPIRED',
    });
  });

  it('names a protocol that clients refuse', async () => {
    const authority = await createCertificateAuthority();
    const { certificate: cert, privateKey: key } = await authority.issue({ hostNames: ['primary-db.example.com'] });
    const at = await serving({ cert, key, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    expect(await inspectTls({ target, ...at, ca: authority.certificate })).toMatchObject({ protocol: 'TLSv1.1' });
  });

  it('fails where PostgreSQL refuses TLS, and where a server is silent', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.write('N'))).listen(0, '127.0.0.1');
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    servers.push(server, silent);
    const portOf = (of: typeof server) => (of.address() as AddressInfo).port;
    await Promise.all(
      [server, silent].map((each) => each.listening || new Promise((done) => each.once('listening', done))),
    );
    const at = { target, address: '127.0.0.1' };
    await expect(inspectTls({ ...at, port: portOf(server), protocol: 'postgres' })).rejects.toMatchObject({
      code: 'NO_TLS',
    });
    await expect(inspectTls({ ...at, port: portOf(silent), timeoutMillis: 100 })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DEADLINE',
    });
  });
});
