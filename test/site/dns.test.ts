import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode } from 'dns-packet';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clusterAddresses, site as places } from '../../examples/webscaler/src/network/network.ts';
import { kubeletResolvConf } from '../../examples/webscaler/src/network/webscaler-site.ts';
import type { RemoteError } from './support/remote-pod.ts';
import { openTestSite, type TestSite } from './support/site.ts';

const service = 'webscaler-db.default.svc.cluster.local';
/** Nameserver that the tests put before the cluster's own. The node has no way to it but that to the site, which lacks it. */
const first = '10.96.0.77';
let site: TestSite;
const undo: AsyncDisposable[] = [];

beforeAll(async () => {
  const resolvConf = kubeletResolvConf([clusterAddresses.dns.ipv4]);
  const many = Array.from({ length: 200 }, (_, index) => `198.18.0.${index + 1}`);
  site = await openTestSite({
    podOptions: { resolvConf },
    hosts: {
      'primary-db.example.com': [places.databases.primary.ipv4],
      'secondary-db.example.com': [places.databases.standby.ipv4],
      'many.example.com': many,
    },
  });
});
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
});
afterAll(() => site?.[Symbol.asyncDispose]());

describe('an application in a pod that has swapped its import and forgotten the allow-list', () => {
  it('sends nothing to a host outside the cluster unless TLS is on or explicitly off', async () => {
    const { user, password, database } = site.pair;
    await site.app.call('open', 'forgotten', { host: 'webscaler-db', port: 5432, user, password, database });
    await expect(site.app.call('query', 'forgotten', 'select 1')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_CLEARTEXT_REFUSED',
      outcome: 'not-executed',
      message: expect.stringContaining("Add allowedTargets: ['primary-db.example.com']"),
    });
    await site.app.call('close', 'forgotten');
  });
});

describe('a resolver in a pod', () => {
  it('gets the chain and the address of a Service from the nameserver of its resolv.conf', async () => {
    const { addresses, statistics } = await site.app.call('resolve', service);
    expect(addresses).toEqual([places.databases.primary.ipv4]);
    expect(statistics).toMatchObject({ networkErrors: 0, timeouts: 0 });
  });

  it('gets it over TCP alone', async () => {
    const { addresses, statistics } = await site.app.call('resolve', service, { useTcp: true });
    expect(addresses).toEqual([places.databases.primary.ipv4]);
    expect(statistics.tcpQueries).toBe(statistics.queries);
  });
});

describe('the first of two nameservers', () => {
  const both = { nameservers: [first, clusterAddresses.dns.ipv4], cache: false as const, times: 5 };
  /** A timeout that no answer outlasts, however busy the machine: what comes is not waited for in vain. */
  const patient = { timeoutMillis: 20_000 };

  // A router's "host unreachable" is news that Linux keeps from a UDP socket (RFC 1122 section 4.2.3.9: it may pass), so it is silence.
  it.each([
    ['does not answer', 'drop'],
    ['cannot be reached, as a router says', 'reject with icmp host-unreachable'],
  ])('that %s costs one timeout, and none afterwards', async (_what, verdict) => {
    undo.push(await site.network.forward(`ip daddr ${first} ${verdict}`));
    const { addresses, took, queries } = await site.app.call('resolve', service, { ...both, timeoutMillis: 4_000 });
    expect(addresses).toEqual([places.databases.primary.ipv4]);
    expect(took[0]).toBeGreaterThan(3_900);
    // The two families are asked for side by side.
    const timedOut = queries
      .filter(({ result }) => result === 'timeout')
      .map(({ server, type }) => `${server} ${type}`);
    expect(timedOut.toSorted()).toEqual([`${first}:53 A`, `${first}:53 AAAA`]);
  });

  it.each([
    [
      'refuses, as no process listens there',
      () => site.network.forward(`ip daddr ${first} reject with icmp port-unreachable`),
    ],
    [
      'must not be reached, as a firewall says',
      () => site.network.forward(`ip daddr ${first} reject with icmp admin-prohibited`),
    ],
  ])('that %s costs nothing', async (_what, fault) => {
    undo.push(await fault());
    const { addresses, statistics } = await site.app.call('resolve', service, { ...both, ...patient });
    expect(addresses).toEqual([places.databases.primary.ipv4]);
    expect(statistics.timeouts).toBe(0);
    expect(statistics.networkErrors).toBeGreaterThan(0);
  });

  // The system says these inside connect(): the process ended with ERR_SOCKET_BAD_PORT.
  it.each(['unreachable', 'prohibit', 'blackhole'])('that the pod has no route to (%s) costs nothing', async (kind) => {
    await site.app.pod.run(`ip route add ${kind} ${first}`);
    undo.push({ [Symbol.asyncDispose]: async () => void (await site.app.pod.run(`ip route del ${kind} ${first}`)) });
    const { addresses, statistics } = await site.app.call('resolve', service, { ...both, ...patient });
    expect(addresses).toEqual([places.databases.primary.ipv4]);
    expect(statistics.timeouts).toBe(0);
  });

  it('whose address is of a family that the pod lacks costs nothing', async () => {
    await site.app.pod.run('ip -6 route del default');
    undo.push({
      [Symbol.asyncDispose]: async () => void (await site.app.pod.run('ip -6 route add default via fd00:10:244:1::1')),
    });
    const nameservers = ['2001:db8:53::1', clusterAddresses.dns.ipv4];
    const { addresses, statistics } = await site.app.call('resolve', service, { ...both, ...patient, nameservers });
    expect(addresses).toEqual([places.databases.primary.ipv4]);
    expect(statistics.timeouts).toBe(0);
  });

  it('that says REFUSED costs nothing', async () => {
    const server = await scriptedServer(places.otherDns.ipv4, ({ reply }) => reply({ rcode: 5 }));
    undo.push(server);
    const nameservers = [places.otherDns.ipv4, clusterAddresses.dns.ipv4];
    const { addresses, statistics } = await site.app.call('resolve', service, { ...both, ...patient, nameservers });
    expect(addresses).toEqual([places.databases.primary.ipv4]);
    expect(statistics.timeouts).toBe(0);
  });
});

describe('no nameserver that can be reached', () => {
  it('is an error that names each of them and why, and not the end of the process', async () => {
    await site.app.pod.run(`ip route add unreachable ${first}`);
    undo.push({
      [Symbol.asyncDispose]: async () => void (await site.app.pod.run(`ip route del unreachable ${first}`)),
    });
    const error = await site.app
      .call('resolve', service, { nameservers: [first], attempts: 1 })
      .catch((failure: RemoteError) => failure);
    expect(error).toMatchObject({
      message: expect.stringMatching(`${service}: cannot reach ${first}:53: .*EHOSTUNREACH`),
    });
    expect((await site.app.call('resolve', service)).addresses).toHaveLength(1);
  });
});

describe('an answer from another address than was asked', () => {
  const forged = '203.0.113.66';

  it('is not heard, and the right one that comes after it is', async () => {
    const stranger = await boundSocket('10.244.9.12');
    const server = await scriptedServer(places.otherDns.ipv4, ({ reply, bytesOf, port, address }) => {
      stranger.send(bytesOf({ address: forged }), port, address);
      setTimeout(() => reply({ address: places.databases.primary.ipv4 }), 100);
    });
    undo.push(server, { [Symbol.asyncDispose]: async () => void stranger.close() });
    const options = { nameservers: [places.otherDns.ipv4], cache: false as const, family: 4 as const };
    const { addresses } = await site.app.call('resolve', 'primary-db.example.com', options);
    expect(addresses).toEqual([places.databases.primary.ipv4]);
  });

  it('does not count even if it is the only one', async () => {
    const stranger = await boundSocket('10.244.9.12');
    const server = await scriptedServer(places.otherDns.ipv4, ({ bytesOf, port, address }) => {
      stranger.send(bytesOf({ address: forged }), port, address);
    });
    undo.push(server, { [Symbol.asyncDispose]: async () => void stranger.close() });
    const options = { nameservers: [places.otherDns.ipv4], timeoutMillis: 300, attempts: 1, family: 4 as const };
    await expect(site.app.call('resolve', 'primary-db.example.com', options)).rejects.toThrow(
      `no answer from ${places.otherDns.ipv4}:53 within 300 ms`,
    );
  });
});

describe('packets that are lost', () => {
  // Every so many-th packet, not a share by lot: a test must not fail because luck was bad.
  it.each([100, 10])('cost time and no answer: every %i-th', async (every) => {
    undo.push(await site.network.forward(`meta l4proto udp numgen inc mod ${every} == 0 drop`));
    const times = every === 100 ? 60 : 12;
    const { took, statistics } = await site.app.call('resolve', service, { cache: false, times, timeoutMillis: 300 });
    expect(statistics.timeouts).toBeGreaterThan(0);
    expect(took).toHaveLength(times);
  });
});

describe('an answer that is too large for a datagram', () => {
  it('comes whole over TCP at once if fragments are dropped', async () => {
    undo.push(await site.network.dropFragments());
    const options = { family: 4, timeoutMillis: 20_000 } as const;
    const { addresses, statistics } = await site.app.call('resolve', 'many.example.com', options);
    expect(addresses).toHaveLength(200);
    expect(statistics).toMatchObject({ tcpQueries: 1, timeouts: 0 });
  });

  it('is not asked for over UDP: what is offered fits into one packet of any path', async () => {
    const sizes: number[] = [];
    const server = await scriptedServer(places.otherDns.ipv4, ({ reply, udpPayloadSize }) => {
      sizes.push(udpPayloadSize);
      reply({ address: places.databases.primary.ipv4 });
    });
    undo.push(server);
    const options = { nameservers: [places.otherDns.ipv4], cache: false as const, family: 4 as const };
    await site.app.call('resolve', 'primary-db.example.com', options);
    expect(sizes).toEqual([1232]);
  });
});

describe('a cluster DNS that restarts', () => {
  it('is waited for by a query that comes meanwhile', async () => {
    const { ipv4 } = clusterAddresses.dns;
    const gone = await site.network.forward(
      `ip daddr { ${ipv4}, ${places.dns.ipv4} } reject with icmp port-unreachable`,
    );
    undo.push(gone);
    const resolved = site.app.call('resolve', service, { cache: false, attempts: 10 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await gone.end();
    expect((await resolved).addresses).toEqual([places.databases.primary.ipv4]);
  });
});

interface Scripted {
  readonly address: string;
  readonly port: number;
  readonly udpPayloadSize: number;
  bytesOf(answer: { address?: string; rcode?: number }): Buffer;
  reply(answer: { address?: string; rcode?: number }): void;
}

/** A DNS server over UDP that answers one address, or a code. */
async function scriptedServer(address: string, script: (query: Scripted) => void): Promise<AsyncDisposable> {
  const socket = await boundSocket(address);
  socket.on('message', (bytes, from) => {
    const { id, questions = [], additionals = [] } = decode(bytes);
    const [question] = questions;
    const options = additionals.find((record) => record.type === 'OPT');
    const bytesOf: Scripted['bytesOf'] = ({ address: answer, rcode = 0 }) =>
      encode({
        type: 'response',
        id,
        flags: rcode | 0x180,
        questions,
        answers:
          answer === undefined || question === undefined
            ? []
            : [{ type: 'A', name: question.name, ttl: 5, data: answer }],
      });
    script({
      address: from.address,
      port: from.port,
      udpPayloadSize: options?.type === 'OPT' ? options.udpPayloadSize : 0,
      bytesOf,
      reply: (answer) => socket.send(bytesOf(answer), from.port, from.address),
    });
  });
  return { [Symbol.asyncDispose]: async () => void socket.close() };
}

async function boundSocket(address: string): Promise<Socket> {
  await site.network.addToSite(address);
  const socket = createSocket('udp4');
  socket.bind(53, address);
  await once(socket, 'listening');
  return socket;
}
