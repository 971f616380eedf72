import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { createCertificateAuthority } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { site as places } from '../../examples/webscaler/src/network/network.ts';
import { delayDatabases } from '../../examples/webscaler/src/network/webscaler-site.ts';
import type { SocketWay } from './support/pod-calls.ts';
import { openTestSite, type TestSite } from './support/site.ts';

const ports = { tls: 8883, clear: 1883 };
const { primary, standby } = places.databases;
const hosts = { 'primary-db.example.com': primary, 'secondary-db.example.com': standby };
const allowedTargets = Object.keys(hosts);
const [first, second] = ['primary-db.example.com', 'secondary-db.example.com'];
let ca: string;
const servers: net.Server[] = [];
const open = new Set<net.Socket>();

/** Servers that say their name, and then give back what they are told, on both families of both hosts, which an open site has. */
async function startServers(): Promise<void> {
  const authority = await createCertificateAuthority();
  ca = authority.certificate;
  for (const [name, addresses] of Object.entries(hosts)) {
    const { certificate: cert, privateKey: key } = await authority.issue({ hostNames: [name] });
    const speak = (socket: net.Socket) => {
      open.add(socket);
      socket.on('error', () => {}).on('close', () => open.delete(socket));
      socket.write(`${name}\n`);
      socket.pipe(socket);
    };
    for (const address of Object.values(addresses)) {
      servers.push(
        tls.createServer({ cert, key }, speak).listen(ports.tls, address),
        net.createServer(speak).listen(ports.clear, address),
      );
    }
  }
  // Those under TLS, too: a client that left before the handshake, and whose last packets a fault swallowed, stays for two minutes.
  for (const server of servers) {
    server.on('connection', (socket: net.Socket) => open.add(socket.on('close', () => open.delete(socket))));
  }
  await Promise.all(servers.filter(({ listening }) => !listening).map((server) => once(server, 'listening')));
}

/** Ends them. */
async function stopServers(): Promise<void> {
  const closed = servers.map((server) => once(server.close(), 'close'));
  for (const socket of open) socket.destroy();
  await Promise.all(closed);
  servers.length = 0;
}

const ways: readonly SocketWay[] = ['connect', 'connectTls', 'lazySocket', 'lazySocket in the clear'];

function optionsOf(way: SocketWay) {
  const isSecure = way === 'connectTls' || way === 'lazySocket';
  return { allowedTargets, port: isSecure ? ports.tls : ports.clear, ...(isSecure && { tls: { ca } }) };
}

/** Opens one, switches the Service under it, and opens the next one. */
async function throughASwitch(site: TestSite, way: SocketWay): Promise<void> {
  const options = optionsOf(way);
  expect(await site.app.call('openSocket', 'first', way, options)).toMatchObject({ server: first });
  await site.app.call('openSocket', 'kept', way, { ...options, onSwitch: 'keep' });
  expect(await site.app.call('say', 'first', 'hello')).toBe('hello');
  await site.point(second);
  expect(await site.app.call('socketEnd', 'first')).toEqual({
    code: 'ERR_EXTERNALNAME_TARGET_RETIRED',
    outcome: 'unknown',
  });
  expect(await site.app.call('openSocket', 'second', way, options)).toMatchObject({ server: second });
  expect(await site.app.call('say', 'second', 'hello')).toBe('hello');
  expect(await site.app.call('say', 'kept', 'still here')).toBe('still here');
  for (const id of ['first', 'kept', 'second']) await site.app.call('closeSocket', id);
}

describe('a pod with addresses of both families', () => {
  let site: TestSite;
  const undo: AsyncDisposable[] = [];

  beforeAll(async () => {
    site = await openTestSite({
      ttlSeconds: 1,
      hosts: Object.fromEntries(Object.entries(hosts).map(([name, { ipv4, ipv6 }]) => [name, [ipv6, ipv4]])),
    });
    await startServers();
  });

  afterEach(async () => {
    for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
    await site.point(first);
  });

  afterAll(async () => {
    await stopServers();
    await site?.[Symbol.asyncDispose]();
  });

  describe.each(ways)('%s', (way) => {
    it('comes to the host behind the Service, through a switch', () => throughASwitch(site, way));

    it('comes there over a line that loses 5 % of all packets, through a switch', async () => {
      undo.push(await site.network.lose(5));
      await throughASwitch(site, way);
    });

    it('comes there if it is 100 ms away, through a switch', async () => {
      // What is delayed is IPv4.
      undo.push(await site.network.forward(`ip6 daddr { ${primary.ipv6}, ${standby.ipv6} } drop`));
      undo.push(await delayDatabases(site.network, 100, optionsOf(way).port));
      await throughASwitch(site, way);
    });

    it('passes over an address that swallows everything, long before the attempt at it is given up', async () => {
      undo.push(await site.network.forward(`ip6 daddr ${primary.ipv6} drop`));
      // Both outlast the test.
      const options = { ...optionsOf(way), attemptTimeoutMillis: 600_000, timeoutMillis: 600_000 };
      expect(await site.app.call('openSocket', 'socket', way, options)).toMatchObject({ server: first });
      await site.app.call('closeSocket', 'socket');
    });

    it('ends at its deadlines if every address swallows everything, and has sent nothing', async () => {
      undo.push(await site.network.forward(`ip daddr ${primary.ipv4} drop`, `ip6 daddr ${primary.ipv6} drop`));
      const options = optionsOf(way);
      await expect(
        site.app.call('openSocket', 'attempt', way, { ...options, attemptTimeoutMillis: 700 }),
      ).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_CONNECT_TIMEOUT',
        outcome: 'not-executed',
        message: expect.stringContaining('within 700 ms'),
      });
      await expect(site.app.call('openSocket', 'all', way, { ...options, timeoutMillis: 700 })).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_DEADLINE',
        outcome: 'not-executed',
        message: expect.stringContaining('longer than 700 ms'),
      });
    });

    it('stays with its host while the Service leads to one that swallows everything', async () => {
      undo.push(await site.network.forward(`ip daddr ${standby.ipv4} drop`, `ip6 daddr ${standby.ipv6} drop`));
      await site.app.call('openSocket', 'socket', way, optionsOf(way));
      await site.point(second);
      // Twice the time to live of the answer.
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      expect(await site.app.call('isSocketOpen', 'socket')).toBe(true);
      expect(await site.app.call('say', 'socket', 'still here')).toBe('still here');
      for (const one of undo.splice(0)) await one[Symbol.asyncDispose]();
      expect(await site.app.call('socketEnd', 'socket')).toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_RETIRED' });
      await site.app.call('closeSocket', 'socket');
    });
  });
});

describe('a pod that has IPv6 alone', () => {
  let site: TestSite;

  beforeAll(async () => {
    site = await openTestSite({ family: 6, ttlSeconds: 1, podOptions: { families: [6] } });
    await startServers();
  });

  afterEach(() => site.point(first));
  afterAll(async () => {
    await stopServers();
    await site?.[Symbol.asyncDispose]();
  });

  it.each(ways)('%s comes to the host behind the Service, through a switch', (way) => throughASwitch(site, way));
});
