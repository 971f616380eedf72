import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { connectTls } from '@externalname/core/connect';
import { externalNameService } from '@externalname/core/manifests';
import { type CertificateAuthority, createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAgent } from '../src/agent.ts';
import { createDispatcher, type HttpOptions } from '../src/index.ts';

const name = 'api.example.com';
let authority: CertificateAuthority;
let cluster: LocalCluster;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  authority = await createCertificateAuthority();
});

beforeEach(async () => {
  cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [externalNameService({ name: 'webscaler-api', externalName: name })],
    hosts: { [name]: ['127.0.0.61'] },
  });
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await cluster[Symbol.asyncDispose]();
});

afterAll(() => {
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
});

interface Options {
  readonly allowedTargets?: string[] | 'any';
  readonly allowedNetworks?: string[] | undefined;
  readonly tls?: { ca: string };
  readonly environmentProxy?: 'ignore';
  readonly failoverTimeoutMillis?: number;
}

function optionsOf(more: Options): HttpOptions {
  return {
    service: 'webscaler-api',
    allowedTargets: [name],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
    failoverTimeoutMillis: 3_000,
    ...more,
  };
}

/** Each way to a Service: sends what would be a secret, and gives the error of it. */
const ways: Record<string, (port: number, options: Options) => Promise<unknown>> = {
  'fetch with a dispatcher': async (port, more) => {
    const dispatcher = createDispatcher(optionsOf(more));
    ends.push(() => dispatcher.destroy());
    const headers = { authorization: 'Bearer secret' };
    await fetch(`https://webscaler-api:${port}/`, { headers, dispatcher }).catch((error: Error) => {
      throw error.cause;
    });
  },
  'node:https with an agent, told to verify nothing': async (port, more) => {
    const agent = createAgent(optionsOf(more));
    ends.push(() => agent.destroy());
    const weak = { rejectUnauthorized: false, checkServerIdentity: () => undefined, servername: 'webscaler-api' };
    const headers = { authorization: 'Bearer secret' };
    await once(https.get(`https://webscaler-api:${port}/`, { agent, headers, ...weak }), 'response');
  },
  'connectTls()': async (port, more) => {
    const { failoverTimeoutMillis: timeoutMillis, environmentProxy: _, ...options } = optionsOf(more);
    const socket = await connectTls({ ...options, timeoutMillis, port });
    socket.destroy();
  },
};

describe.each(Object.keys(ways))('%s', (way) => {
  const go = (port: number, more: Options = {}) => (ways[way] as (typeof ways)[string])(port, more);

  /** Counts what an address gets. */
  async function listenAt(address: string, port = 0) {
    const counted = { connections: 0, bytes: 0, port: 0 };
    const server = net.createServer((socket) => {
      counted.connections += 1;
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          counted.bytes += chunk.length;
        });
    });
    server.listen(port, address);
    await once(server, 'listening');
    ends.push(() => server.close());
    counted.port = (server.address() as AddressInfo).port;
    return counted;
  }

  async function serveTls(address: string, pair: { certificate: string; privateKey: string }): Promise<number> {
    const server = tls.createServer({ cert: pair.certificate, key: pair.privateKey }, (socket) => {
      socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
    });
    server.on('tlsClientError', () => {});
    server.listen(0, address);
    await once(server, 'listening');
    ends.push(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  it('sends no byte to a target that is not allowed', async () => {
    const counted = await listenAt('127.0.0.61');
    await expect(go(counted.port, { allowedTargets: ['other.example.com'] })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
      outcome: 'not-executed',
    });
    expect(counted).toMatchObject({ connections: 0, bytes: 0 });
  });

  it.each(['127.0.0.1.nip.io', '7f000001.nip.io', 'localtest.example.com'])(
    'sends no byte to loopback by way of a name: %s',
    async (target) => {
      const counted = await listenAt('127.0.0.1');
      await cluster.services.patch('default', 'webscaler-api', [
        { op: 'replace', path: '/spec/externalName', value: target },
      ]);
      cluster.hosts.set(target, ['127.0.0.1', '::ffff:127.0.0.1', '::1']);
      await expect(go(counted.port, { allowedTargets: 'any', allowedNetworks: undefined })).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED',
        outcome: 'not-executed',
      });
      expect(counted).toMatchObject({ connections: 0, bytes: 0 });
    },
  );

  it('sends no byte to an address that its name comes to have, and that is not allowed (rebinding)', async () => {
    const pair = await authority.issue({ hostNames: [name] });
    const port = await serveTls('127.0.0.61', pair);
    const counted = await listenAt('127.0.0.62', port);
    const allowedNetworks = ['127.0.0.61/32'];
    await go(port, { allowedNetworks });
    for (const end of ends.splice(2)) await end();
    cluster.hosts.set(name, ['127.0.0.62']);
    // Its time to live is a second.
    await expect
      .poll(() => go(port, { allowedNetworks }).catch((error) => error.code), { timeout: 10_000 })
      .toBe('ERR_EXTERNALNAME_ADDRESS_REFUSED');
    expect(counted).toMatchObject({ connections: 0, bytes: 0 });
  });

  it.each([
    ['for another name', 'ERR_EXTERNALNAME_TLS_IDENTITY', () => authority.issue({ hostNames: ['webscaler-api'] })],
    [
      'that has expired',
      'CERT_HAS_EXPIRED',
      () => authority.issue({ hostNames: [name], notAfter: new Date(Date.now() - 60_000) }),
    ],
    ['that is self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT', () => selfSigned()],
    [
      'of an authority that is not trusted',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      async () => (await createCertificateAuthority()).issue({ hostNames: [name] }),
    ],
  ])('says of a certificate %s what is wrong, with one code, at once', async (_, code, issue) => {
    const port = await serveTls('127.0.0.61', await issue());
    // Node.js then trusts everything by default, and warns of it.
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    // What is tried again until this is over fails the test.
    const failure = await go(port, { failoverTimeoutMillis: 600_000 }).then(
      () => undefined,
      (error: unknown) => error,
    );
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    expect(failure).toMatchObject({ code, outcome: 'not-executed' });
    expect((failure as Error).message).toContain(name);
  });
});

describe('a proxy in the environment', () => {
  const names = ['NODE_USE_ENV_PROXY', 'HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY'] as const;

  afterEach(() => {
    for (const each of names) delete process.env[each];
  });

  it.each(['fetch with a dispatcher', 'node:https with an agent, told to verify nothing'])(
    'stops %s at once, or gets no connection, as it is asked for',
    async (way) => {
      let connections = 0;
      const proxy = net.createServer((socket) => {
        connections += 1;
        socket.destroy();
      });
      proxy.listen(0, '127.0.0.63');
      await once(proxy, 'listening');
      ends.push(() => proxy.close());
      const target = net.createServer((socket) => socket.destroy());
      target.listen(0, '127.0.0.61');
      await once(target, 'listening');
      ends.push(() => target.close());
      const { port } = target.address() as AddressInfo;
      const address = `http://user:secret@127.0.0.63:${(proxy.address() as AddressInfo).port}`;
      for (const each of names) process.env[each] = each === 'NODE_USE_ENV_PROXY' ? '1' : address;
      const go = ways[way] as (typeof ways)[string];
      await expect(go(port, {})).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
        argument: 'environmentProxy',
        message: expect.not.stringContaining('secret'),
      });
      // The server is not one of TLS: what matters is who was connected to.
      const reached = once(target, 'connection');
      await expect(go(port, { environmentProxy: 'ignore', failoverTimeoutMillis: 0 })).rejects.toThrow();
      await reached;
      expect(connections).toBe(0);
    },
  );
});

/** The testing package makes none: its certificates have an authority. */
async function selfSigned(): Promise<{ certificate: string; privateKey: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'externalname-self-signed-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', [...kind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  const pair = { certificate: await readFile(cert, 'utf8'), privateKey: await readFile(key, 'utf8') };
  await rm(folder, { recursive: true });
  return pair;
}
