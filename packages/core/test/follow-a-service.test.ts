import { execFile } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import {
  createTargetPolicy,
  DnsResolver,
  DnsTargetSource,
  type Endpoint,
  raceEndpoints,
  resolveEndpoints,
  type Target,
} from '@externalname/core';
import { afterEach, describe, expect, it } from 'vitest';
import { a, cname, ScriptedDnsServer, zoneScript } from './scripted-dns-server.ts';

// From the name of a Service to a connection, with real sockets on loopback: source, policy, endpoints and race together.

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const secondary = 'secondary-db.example.com';
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

const hosts = [a(primary, '127.0.0.2', 60), a(secondary, '127.0.0.3', 60)];
const pointingTo = (externalName: string) => zoneScript([cname(service, externalName, 1), ...hosts]);

async function cluster() {
  const server = await ScriptedDnsServer.start(pointingTo(primary));
  const resolver = new DnsResolver({ nameservers: [server.text], timeoutMillis: 500, attempts: 1 });
  const source = new DnsTargetSource({ service: 'webscaler-db', resolver });
  opened.push(server, resolver, source);
  return { server, resolver, source };
}

/** A server that greets with its name, on every loopback address in `addresses`, all on one port. */
async function greeter(...addresses: readonly [string, ...string[]]) {
  const listen = async (address: string, port: number) => {
    const server = net.createServer((socket) => socket.end(address));
    server.listen(port, address);
    await once(server, 'listening');
    opened.push({
      close: async () => {
        server.close();
        await once(server, 'close');
      },
    });
    return (server.address() as AddressInfo).port;
  };
  const [first, ...others] = addresses;
  const port = await listen(first, 0);
  for (const address of others) await listen(address, port);
  return port;
}

async function connect({ address, port }: Endpoint, signal: AbortSignal): Promise<net.Socket> {
  const socket = net.connect({ host: address, port });
  const abort = () => socket.destroy(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await once(socket, 'connect');
    return socket;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function greeting(socket: net.Socket): Promise<string> {
  let text = '';
  for await (const bytes of socket.setEncoding('utf8')) text += bytes;
  return text;
}

describe('a Service that is followed through DNS', () => {
  it('is asked for by two queries, and not at all without a subscriber', async () => {
    const { server, source } = await cluster();
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, via: [service], stale: false });
    await source.current();
    expect(server.asked.sort()).toEqual([`A ${service}`, `AAAA ${service}`]);
  });

  it('is seen to switch when its TTL ends, by those who follow it', async () => {
    const { server, source } = await cluster();
    await source.current();
    const switched = new Promise<Target>((resolve) => source.subscribe(resolve));
    server.script = pointingTo(secondary);
    await expect(switched).resolves.toMatchObject({ externalName: secondary, via: [service], source: 'dns' });
  });

  it('is seen to switch at once by who asks afresh', async () => {
    const { server, source } = await cluster();
    await source.current();
    server.script = pointingTo(secondary);
    await expect(source.current({ fresh: true })).resolves.toMatchObject({ externalName: secondary });
  });

  it('leads to a target that does not exist', async () => {
    const { server, source } = await cluster();
    await source.current();
    server.script = zoneScript([cname(service, 'not-there.example.com', 1)]);
    await expect(source.current({ fresh: true })).resolves.toMatchObject({
      externalName: 'not-there.example.com',
      stale: false,
    });
  });

  it('keeps its last target while the DNS server is silent, and while the Service is gone', async () => {
    const { server, source } = await cluster();
    await source.current();
    server.script = () => undefined;
    await expect(source.current({ fresh: true })).resolves.toMatchObject({ externalName: primary, stale: true });
    server.script = zoneScript(hosts);
    await expect(source.current({ fresh: true })).resolves.toMatchObject({ externalName: primary, stale: true });
    server.script = pointingTo(secondary);
    await expect(source.current({ fresh: true })).resolves.toMatchObject({ externalName: secondary, stale: false });
  });

  it('does not keep the process alive', async () => {
    const { server } = await cluster();
    const program = `
      import { DnsResolver, DnsTargetSource } from '@externalname/core';
      const resolver = new DnsResolver({ nameservers: ['${server.text}'] });
      const source = new DnsTargetSource({ service: 'webscaler-db', resolver });
      const { externalName } = await source.current();
      source.subscribe(() => {});
      console.log(externalName);
    `;
    const flags = ['--conditions=@externalname/source', '--import', 'tsx', '--input-type=module', '--eval', program];
    // It would be ended by the time limit, and the promise rejected, if it did not end by itself.
    const { stdout } = await promisify(execFile)(process.execPath, flags, {
      cwd: import.meta.dirname,
      timeout: 20_000,
    });
    expect(stdout.trim()).toBe(primary);
  });
});

describe('a connection to what a Service points to', () => {
  const policy = createTargetPolicy({
    service: 'webscaler-db',
    allowedTargets: ['*.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
  });

  it('is made to the address of the target', async () => {
    const port = await greeter('127.0.0.2');
    const { resolver, source } = await cluster();
    const endpoints = await resolveEndpoints(await source.current(), { resolver, policy, port });
    const { result: socket } = await raceEndpoints(endpoints, connect);
    await expect(greeting(socket)).resolves.toBe('127.0.0.2');
  });

  it('is made to the next address where the first one refuses', async () => {
    const port = await greeter('127.0.0.5');
    const { server, resolver, source } = await cluster();
    server.script = zoneScript([cname(service, primary), a(primary, '127.0.0.4'), a(primary, '127.0.0.5')]);
    const endpoints = await resolveEndpoints(await source.current(), { resolver, policy, port });
    const { result: socket, failures } = await raceEndpoints(endpoints, connect);
    await expect(greeting(socket)).resolves.toBe('127.0.0.5');
    for (const { error } of failures) expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('is made to the next address soon, where the first one is silent', async () => {
    const port = await greeter('127.0.0.6', '127.0.0.7');
    const { server, resolver, source } = await cluster();
    server.script = zoneScript([cname(service, primary), a(primary, '127.0.0.6'), a(primary, '127.0.0.7')]);
    const endpoints = await resolveEndpoints(await source.current(), { resolver, policy, port });
    const aborted: unknown[] = [];
    const silent = (endpoint: Endpoint, signal: AbortSignal) => {
      if (endpoint !== endpoints[0]) return connect(endpoint, signal);
      return new Promise<net.Socket>((_, reject) =>
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason);
          reject(signal.reason);
        }),
      );
    };
    const { result: socket, endpoint } = await raceEndpoints(endpoints, silent, { attemptDelayMillis: 10 });
    expect(endpoint).toBe(endpoints[1]);
    expect(aborted).toEqual([expect.objectContaining({ code: 'ERR_EXTERNALNAME_RACE_LOST' })]);
    await expect(greeting(socket)).resolves.toBe(endpoint.address);
  });

  it('fails with one error an address where all refuse', async () => {
    const port = await greeter('127.0.0.8');
    const { server, resolver, source } = await cluster();
    server.script = zoneScript([cname(service, primary), a(primary, '127.0.0.4'), a(primary, '127.0.0.5')]);
    const endpoints = await resolveEndpoints(await source.current(), { resolver, policy, port });
    await expect(raceEndpoints(endpoints, connect)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_NO_ENDPOINT',
      cause: { errors: [{ code: 'ECONNREFUSED' }, { code: 'ECONNREFUSED' }] },
    });
  });

  it('is not made to this machine unless the network is named', async () => {
    let connections = 0;
    const { resolver, source } = await cluster();
    const strict = createTargetPolicy({ service: 'webscaler-db', allowedTargets: ['*.example.com'] });
    const listening = net.createServer(() => connections++).listen(0, '127.0.0.2');
    await once(listening, 'listening');
    const { port } = listening.address() as AddressInfo;
    await expect(resolveEndpoints(await source.current(), { resolver, policy: strict, port })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED',
      reason: 'loopback',
      address: '127.0.0.2',
    });
    listening.close();
    await once(listening, 'close');
    expect(connections).toBe(0);
  });
});
