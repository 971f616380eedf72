import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import {
  type ConnectTlsOptions,
  connect,
  connectTls,
  lazySocket,
  serviceSwitched,
  targetNotFollowed,
} from '@externalname/core/connect';
import { externalNameService } from '@externalname/core/manifests';
import { type CertificateAuthority, createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

const hosts = { 'queue-a.example.com': ['127.0.0.41'], 'queue-b.example.com': ['127.0.0.42'] };
let authority: CertificateAuthority;
let cluster: LocalCluster;
let port: number;
const servers: net.Server[] = [];
/** How many connections each address has had. */
const seen = new Map<string, number>();

beforeAll(async () => {
  authority = await createCertificateAuthority();
  await serve('127.0.0.41', 0, 'queue-a.example.com');
  await serve('127.0.0.42', port, 'queue-b.example.com');
});

beforeEach(async () => {
  seen.clear();
  cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-queue', externalName: 'queue-a.example.com' })],
    hosts,
    ttlSeconds: 1,
  });
});

afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

afterAll(() => {
  for (const server of servers) server.close();
});

/** A server that says its name, and gives back what it is sent. */
async function serve(address: string, at: number, name: string, dates: { notAfter?: Date } = {}): Promise<void> {
  const { certificate, privateKey } = await authority.issue({ hostNames: [name], ...dates });
  const echo = (socket: net.Socket) => {
    socket.on('error', () => {});
    socket.write(`${name}\n`);
    socket.pipe(socket);
  };
  const server = tls.createServer({ cert: certificate, key: privateKey }, echo);
  server.on('connection', () => seen.set(address, (seen.get(address) ?? 0) + 1));
  server.on('tlsClientError', () => {});
  server.listen(at, address);
  await once(server, 'listening');
  port = (server.address() as net.AddressInfo).port;
  servers.push(server);
}

function options(more: Partial<ConnectTlsOptions> = {}): ConnectTlsOptions {
  return {
    service: 'webscaler-queue',
    port,
    allowedTargets: ['queue-a.example.com', 'queue-b.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    tls: { ca: authority.certificate },
    ...more,
  };
}

async function point(externalName: string): Promise<void> {
  await cluster.services.patch('default', 'webscaler-queue', [
    { op: 'replace', path: '/spec/externalName', value: externalName },
  ]);
}

async function firstLine(socket: NodeJS.ReadableStream): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString().trim();
}

describe('connectTls', () => {
  it('gives a socket to the host behind the Service, which has proved its name', async () => {
    const socket = await connectTls(options());
    expect(await firstLine(socket)).toBe('queue-a.example.com');
    expect(socket.authorized).toBe(true);
    expect((socket as tls.TLSSocket & { servername: string }).servername).toBe('queue-a.example.com');
    socket.destroy();
  });

  it('closes the socket when the Service leads elsewhere, and the next one comes to the new host', async () => {
    const socket = await connectTls(options());
    const told = new Promise((resolve) => {
      const stop = serviceSwitched.subscribe((event) => {
        stop();
        resolve(event);
      });
    });
    await point('queue-b.example.com');
    const [error] = (await once(socket, 'error').catch((reason: unknown) => [reason])) as [unknown];
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_RETIRED', outcome: 'unknown' });
    await expect(told).resolves.toMatchObject({
      name: 'webscaler-queue',
      from: 'queue-a.example.com',
      to: 'queue-b.example.com',
    });
    const next = await connectTls(options());
    expect(await firstLine(next)).toBe('queue-b.example.com');
    next.destroy();
  });

  it('leaves the socket to a function that is told of the switch', async () => {
    let socket: tls.TLSSocket | undefined;
    const told = new Promise<string>((resolve) => {
      const onSwitch: ConnectTlsOptions['onSwitch'] = ({ externalName }) => resolve(externalName);
      connectTls(options({ onSwitch })).then((opened) => {
        socket = opened;
        return point('queue-b.example.com');
      }, resolve);
    });
    expect(await told).toBe('queue-b.example.com');
    expect(socket?.destroyed).toBe(false);
    socket?.destroy();
  });

  it('stays at its host while the Service leads to one that is not allowed, which gets no connection', async () => {
    const refused = new Promise((resolve) => {
      const stop = targetNotFollowed.subscribe((event) => {
        stop();
        resolve(event);
      });
    });
    const socket = await connectTls(options({ allowedTargets: ['queue-a.example.com'] }));
    await point('queue-b.example.com');
    await expect(refused).resolves.toMatchObject({
      target: 'queue-b.example.com',
      stays: 'queue-a.example.com',
      error: { code: 'ERR_EXTERNALNAME_TARGET_REFUSED' },
    });
    expect(socket.destroyed).toBe(false);
    expect(seen.get('127.0.0.42')).toBeUndefined();
    socket.destroy();
  });

  it('ends with its signal, with the reason of it', async () => {
    cluster.dns.fault({ kind: 'silent', name: 'queue-a.example.com' });
    const controller = new AbortController();
    const opening = connectTls(options({ signal: controller.signal }));
    const reason = new Error('not needed any more');
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
  });

  it('ends at its deadline', async () => {
    cluster.dns.fault({ kind: 'silent', name: 'queue-a.example.com' });
    await expect(connectTls(options({ timeoutMillis: 300 }))).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DEADLINE',
      outcome: 'not-executed',
    });
  });
});

describe('connect', () => {
  it('gives a socket in the clear', async () => {
    const socket = await connect(options({ tls: undefined }));
    expect(socket).not.toBeInstanceOf(tls.TLSSocket);
    expect(socket.remoteAddress).toBe('127.0.0.41');
    socket.destroy();
  });

  it.each([
    ['no allow-list', { allowedTargets: undefined }, 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED'],
    ['an address for a Service', { service: '127.0.0.41' }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['a port in the name', { service: 'webscaler-queue:8883' }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['an address in the allow-list', { allowedTargets: ['127.0.0.41'] }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['no port', { port: 0 }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    [
      'what would turn the check off',
      { tls: { rejectUnauthorized: false } as object },
      'ERR_EXTERNALNAME_INVALID_ARGUMENT',
    ],
  ])('refuses %s before any I/O', async (_, wrong, code) => {
    const asked = vi.fn();
    subscribe('externalname:dns:query', asked);
    await expect(connect(options({ tls: undefined, ...wrong }))).rejects.toMatchObject({
      code,
      outcome: 'not-executed',
    });
    unsubscribe('externalname:dns:query', asked);
    expect(asked).not.toHaveBeenCalled();
    expect(seen.size).toBe(0);
  });
});

describe('an address that the policy refuses', () => {
  it.each([
    ['loopback', '127.0.0.41'],
    ['metadata', '169.254.169.254'],
  ])('gets no connection: %s', async (reason, address) => {
    cluster.hosts.set('queue-a.example.com', [address]);
    await expect(connectTls(options({ allowedNetworks: undefined }))).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED',
      reason,
      outcome: 'not-executed',
    });
    expect(seen.size).toBe(0);
  });

  it('gets none either if DNS comes to name it later (rebinding)', async () => {
    const networks = { allowedNetworks: ['127.0.0.41/32'] };
    const socket = await connectTls(options(networks));
    await once(socket.destroy(), 'close');
    cluster.hosts.set('queue-a.example.com', ['127.0.0.42']);
    // With a cache of its own.
    const dns = { nameservers: [cluster.nameserver], ndots: 2 };
    await expect(connectTls(options({ ...networks, dns }))).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED',
    });
    expect(seen.get('127.0.0.42')).toBeUndefined();
  });
});

describe('a certificate that does not do', () => {
  it('is for another name', async () => {
    cluster.hosts.set('queue-a.example.com', ['127.0.0.42']);
    await expect(connectTls(options())).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_TLS_IDENTITY',
      outcome: 'not-executed',
    });
  });

  it('is of an authority that is not trusted', async () => {
    await expect(connectTls(options({ tls: {} }))).rejects.toMatchObject({
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      message: expect.stringContaining('tls.ca'),
      outcome: 'not-executed',
    });
  });

  it('has expired, at each of its addresses', async () => {
    await serve('127.0.0.43', port, 'queue-a.example.com', { notAfter: new Date(Date.now() - 60_000) });
    await serve('127.0.0.44', port, 'queue-a.example.com', { notAfter: new Date(Date.now() - 60_000) });
    cluster.hosts.set('queue-a.example.com', ['127.0.0.43', '127.0.0.44']);
    await expect(connectTls(options())).rejects.toMatchObject({ code: 'CERT_HAS_EXPIRED', outcome: 'not-executed' });
  });
});

describe('a lazy socket', () => {
  it('is there at once, and sends what was written before it was connected', async () => {
    const socket = lazySocket(options()).setNoDelay().setKeepAlive(true, 1_000);
    socket.write('early\n');
    let heard = '';
    for await (const chunk of socket) {
      heard += String(chunk);
      if (heard.includes('early')) break;
    }
    expect(heard).toBe('queue-a.example.com\nearly\n');
    expect(socket.destroyed).toBe(true);
  });

  it('ends with the error of its connection', async () => {
    const socket = lazySocket(options({ tls: {} }));
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error).toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  });

  it('opens no connection once it is destroyed', async () => {
    const socket = lazySocket(options());
    socket.destroy();
    await once(socket, 'close');
    expect(seen.size).toBe(0);
  });

  it.each([
    ['all of it is there, and the connection closed, when it begins to', 10_000],
    ['more than it holds', 500_000],
  ])('gives a late reader everything that came before the other side ended: %s', async (_, length) => {
    const server = net.createServer();
    const closed = new Promise((resolve) => {
      server.on('connection', (socket) => {
        socket.on('error', () => {}).on('close', resolve);
        socket.end('x'.repeat(length));
      });
    });
    server.listen(0, '127.0.0.41');
    await once(server, 'listening');
    const { port: plainPort } = server.address() as net.AddressInfo;
    const socket = lazySocket(options({ port: plainPort, tls: false } as object));
    await once(socket, 'connect');
    if (length === 10_000) await closed;
    let read = 0;
    for await (const chunk of socket) {
      read += (chunk as Buffer).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    server.close();
    expect(read).toBe(length);
    expect(socket.destroyed).toBe(true);
  });

  it('says that the other side has ended, and ends by itself', async () => {
    const socket = lazySocket(options({ tls: false } as object));
    await once(socket, 'connect');
    socket.end('not TLS\n');
    socket.resume();
    await once(socket, 'close');
  });
});
