import { createSocket, type Socket } from 'node:dgram';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, DnsResolver, type DnsResolverOptions, systemClock } from '@externalname/core';
import { type DnsQueryEvent, dnsQueryChannel } from '@externalname/core/events';
import { afterEach, describe, expect, it } from 'vitest';
import {
  a,
  aaaa,
  encodeReply,
  type ReceivedQuery,
  rcodes,
  type Script,
  ScriptedDnsServer,
  soa,
} from './scripted-dns-server.ts';
import { ManualClock } from './support/manual-clock.ts';

const name = 'primary-db.example.com';
const honest: Script = (query) =>
  query.type === 'A' ? { answers: [a(name, '192.0.2.10')] } : { authority: [soa('example.com')] };
const opened: { close(): Promise<void> }[] = [];

async function serve(script: Script, address?: string): Promise<ScriptedDnsServer> {
  const server = await ScriptedDnsServer.start(script, address);
  opened.push(server);
  return server;
}

function resolverOf(
  servers: readonly ScriptedDnsServer[],
  options: DnsResolverOptions = {},
  clock: Clock = systemClock,
): DnsResolver {
  const nameservers = servers.map((server) => server.text);
  const settings = { nameservers, timeoutMillis: 5000, attempts: 2, cache: false, ...options } as const;
  const resolver = new DnsResolver(settings, { clock });
  opened.push(resolver);
  return resolver;
}

function afterMicrotasks(count: number, call: () => void): void {
  if (count === 0) call();
  else queueMicrotask(() => afterMicrotasks(count - 1, call));
}

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

describe('a query', () => {
  it('comes from a port of its own with an id of its own', async () => {
    const server = await serve(honest);
    const resolver = resolverOf([server]);
    for (let round = 0; round < 20; round++) await resolver.resolve(name);

    expect(server.queries).toHaveLength(40);
    // Ports are picked at random among some 28,000: a repetition is likely, ten of them are not.
    expect(new Set(server.queries.map((query) => query.port)).size).toBeGreaterThan(30);
    expect(new Set(server.queries.map((query) => query.id)).size).toBeGreaterThan(30);
  });

  // On loopback every address is the client's own, so that a wrong one can be bound: there it shows as the address it comes from.
  it.skipIf(process.platform === 'darwin')(
    'comes from an address of the client, not from that of the server (#11)',
    async () => {
      const server = await serve(honest, '127.0.0.9');
      await resolverOf([server]).resolve(name, { family: 4 });
      await resolverOf([server], { useTcp: true }).resolve(name, { family: 4 });
      expect(server.queries.map((query) => query.address)).toEqual(['127.0.0.1', '127.0.0.1']);
    },
  );

  it('to a server that there is no way to is an error of that server, and the next one is asked', async () => {
    const server = await serve(honest);
    const resolver = new DnsResolver({ nameservers: ['255.255.255.255', server.text], cache: false });
    opened.push(resolver);
    const { addresses } = await resolver.resolve(name, { family: 4 });
    expect(addresses.map(({ address }) => address)).toEqual(['192.0.2.10']);
    expect(resolver.statistics().networkErrors).toBe(1);
  });

  it('reaches a server on IPv6', async () => {
    const server = await serve(honest, '::1');
    const { chain, addresses } = await resolverOf([server]).resolve(name, { family: 4 });
    expect(chain).toEqual([]);
    expect(addresses).toEqual([{ address: '192.0.2.10', family: 4, ttlSeconds: 30 }]);
  });

  it('offers 1232 octets by EDNS0, unless told not to', async () => {
    const server = await serve(honest);
    await resolverOf([server]).resolve(name, { family: 4 });
    await resolverOf([server], { edns0: false }).resolve(name, { family: 4 });
    expect(server.queries.map((query) => query.edns0)).toEqual([true, false]);
  });

  it('is repeated without EDNS0 for a server that does not know it, and that server is asked plainly from then on', async () => {
    const server = await serve((query) => (query.edns0 ? { rcode: rcodes.formerr, question: null } : honest(query)));
    const resolver = resolverOf([server]);
    await resolver.resolve(name, { family: 4 });
    await resolver.resolve(name, { family: 4 });
    expect(server.queries.map((query) => query.edns0)).toEqual([true, false, false]);
    expect(resolver.statistics().ednsFallbacks).toBe(1);
  });

  it('goes over TCP from the start where that is wanted', async () => {
    const server = await serve(honest);
    const resolver = resolverOf([server], { useTcp: true });
    await resolver.resolve(name);
    expect(server.queries.map((query) => query.protocol)).toEqual(['tcp', 'tcp']);
    expect(resolver.statistics().tcpQueries).toBe(2);
  });

  it('is seen on a channel, with the server, the time and the result', async () => {
    const events: DnsQueryEvent[] = [];
    const unsubscribe = dnsQueryChannel.subscribe((event) => events.push(event));
    const server = await serve(honest);
    await resolverOf([server]).resolve(name, { family: 4 });
    unsubscribe();
    expect(events).toEqual([
      { name, type: 'A', server: server.text, result: 'NOERROR', elapsedMillis: expect.any(Number) },
    ]);
  });
});

describe('a truncated answer', () => {
  it('is fetched over TCP', async () => {
    const many = Array.from({ length: 200 }, (_, index) => a(name, `192.0.2.${index}`));
    const server = await serve((query) => (query.protocol === 'udp' ? { truncated: true } : { answers: many }));
    const resolution = await resolverOf([server]).resolve(name, { family: 4 });
    expect(resolution.addresses).toHaveLength(200);
    expect(server.queries.map((query) => query.protocol)).toEqual(['udp', 'tcp']);
  });

  it('is not used in part where TCP fails', async () => {
    const server = await serve((query) =>
      query.protocol === 'udp' ? { truncated: true, answers: [a(name, '192.0.2.10')] } : undefined,
    );
    await expect(resolverOf([server], { timeoutMillis: 300 }).resolve(name, { family: 4 })).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${name}: no answer from ${server.text} within 300 ms`,
    });
  });
});

describe('an answer that does not belong to the query', () => {
  it('is ignored and counted when its id is another, and the right one is waited for', async () => {
    const server = await serve((query) => {
      query.send(encodeReply(query, { id: query.id ^ 1, answers: [a(name, '203.0.113.66')] }));
      return { ...honest(query), delayMillis: 20 };
    });
    const resolver = resolverOf([server]);
    const { addresses } = await resolver.resolve(name, { family: 4 });
    expect(addresses.map((entry) => entry.address)).toEqual(['192.0.2.10']);
    expect(resolver.statistics().ignored).toEqual({ malformed: 0, wrongId: 1, wrongQuestion: 0 });
  });

  it('is ignored and counted when its question is another', async () => {
    const server = await serve((query) => {
      query.send(
        encodeReply(query, { question: { name: 'other.example.com', type: 'A' }, answers: [a(name, '203.0.113.66')] }),
      );
      query.send(encodeReply(query, { question: { name, type: 'AAAA' }, answers: [aaaa(name, '2001:db8::66')] }));
      query.send(encodeReply(query, { question: null, answers: [a(name, '203.0.113.66')] }));
      return { ...honest(query), delayMillis: 20 };
    });
    const resolver = resolverOf([server]);
    const { addresses } = await resolver.resolve(name, { family: 4 });
    expect(addresses.map((entry) => entry.address)).toEqual(['192.0.2.10']);
    expect(resolver.statistics().ignored).toEqual({ malformed: 0, wrongId: 0, wrongQuestion: 3 });
  });

  it('is ignored and counted if it is not a DNS message', async () => {
    const server = await serve((query) => {
      query.send(Buffer.from('no dns'));
      query.send(
        Buffer.concat([query.bytes.subarray(0, 2), Buffer.from([0x80, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0xc0, 0x0c])]),
      );
      query.send(query.bytes); // The query itself, thrown back.
      return { ...honest(query), delayMillis: 20 };
    });
    const resolver = resolverOf([server]);
    await resolver.resolve(name, { family: 4 });
    expect(resolver.statistics().ignored).toEqual({ malformed: 3, wrongId: 0, wrongQuestion: 0 });
  });

  it('never arrives when it comes from another port or address', async () => {
    const strangers = [createSocket('udp4'), createSocket('udp4')] as const;
    strangers[0].bind(0, '127.0.0.1');
    strangers[1].bind(0, '127.0.0.2');
    await Promise.all(strangers.map((socket) => once(socket, 'listening')));
    const server = await serve((query) => {
      const forged = encodeReply(query, { answers: [a(name, '203.0.113.66')] });
      for (const stranger of strangers) stranger.send(forged, query.port, '127.0.0.1');
      return { ...honest(query), delayMillis: 30 };
    });
    const resolver = resolverOf([server]);
    const { addresses } = await resolver.resolve(name, { family: 4 });
    for (const stranger of strangers) stranger.close();
    expect(addresses.map((entry) => entry.address)).toEqual(['192.0.2.10']);
    expect(resolver.statistics()).toMatchObject({
      answers: 1,
      ignored: { malformed: 0, wrongId: 0, wrongQuestion: 0 },
    });
  });

  it('is accepted whatever the case of its letters', async () => {
    const server = await serve((query) => ({
      question: { name: name.toUpperCase(), type: query.type },
      answers: [a('Primary-DB.Example.COM', '192.0.2.10')],
    }));
    const { addresses } = await resolverOf([server]).resolve('PRIMARY-db.example.com.', { family: 4 });
    expect(addresses).toEqual([{ address: '192.0.2.10', family: 4, ttlSeconds: 30 }]);
  });
});

describe('a server that does not answer', () => {
  it('is tried as often as told, and the error says what happened', async () => {
    const server = await serve(() => undefined);
    const resolver = resolverOf([server], { timeoutMillis: 50, attempts: 3 });
    await expect(resolver.resolve(name, { family: 4 })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DNS_UNAVAILABLE',
      failure: 'unavailable',
      message: `${name}: no answer from ${server.text} within 50 ms`,
      cause: {
        errors: [1, 2, 3].map(() =>
          expect.objectContaining({ code: 'ERR_EXTERNALNAME_DNS_QUERY', failure: 'timeout' }),
        ),
      },
    });
    // And once for the alias alone, which a resolver may know while it waits for the servers of the target.
    expect(server.asked).toEqual([`A ${name}`, `A ${name}`, `A ${name}`, `CNAME ${name}`]);
    expect(resolver.statistics().timeouts).toBe(4);
  });

  it('hands over to the next one, and comes last for the names after that', async () => {
    const [silent, good] = [await serve(() => undefined), await serve(honest)];
    const clock = new ManualClock();
    const resolver = resolverOf([silent, good], { timeoutMillis: 50 }, clock);
    const first = resolver.resolve(name, { family: 4 });
    await expect.poll(() => silent.queries.length).toBe(1);
    await clock.advance(50);
    expect((await clock.atOnce(first)).addresses).toHaveLength(1);
    await clock.atOnce(resolver.resolve(name, { family: 4 }));
    await clock.atOnce(resolver.resolve(name, { family: 4 }));
    expect(silent.queries).toHaveLength(1);
    expect(good.queries).toHaveLength(3);
  });

  it('is told from a closed port, which fails at once', async () => {
    const gone = await ScriptedDnsServer.start(honest);
    const { text } = gone;
    await gone.close();
    const good = await serve(honest);
    const resolver = new DnsResolver({ nameservers: [text, good.text], timeoutMillis: 30_000, cache: false });
    opened.push(resolver);
    await resolver.resolve(name, { family: 4 });
    expect(resolver.statistics()).toMatchObject({ networkErrors: 1, timeouts: 0 });
  });
});

describe('a server that answers SERVFAIL or REFUSED', () => {
  it.each([
    ['SERVFAIL', rcodes.servfail],
    ['REFUSED', rcodes.refused],
  ])('%s: is not asked again, the next one is', async (_, rcode) => {
    const [failing, good] = [await serve(() => ({ rcode })), await serve(honest)];
    const resolver = resolverOf([failing, good], { attempts: 3 });
    await resolver.resolve(name, { family: 4 });
    expect([failing.queries.length, good.queries.length]).toEqual([1, 1]);
    expect(resolver.statistics().serverFailures).toBe(1);
  });

  it('is named in the error where there is no other', async () => {
    const server = await serve(() => ({ rcode: rcodes.servfail }));
    await expect(resolverOf([server]).resolve(name)).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${name}: SERVFAIL from ${server.text}`,
    });
  });
});

describe('a great many names at once', () => {
  it('are asked for with at most 500 sockets, and all get their answer', async () => {
    let underWay = 0;
    let most = 0;
    const server = await serve(async (query) => {
      most = Math.max(most, ++underWay);
      await pause(20);
      underWay--;
      return { answers: [a(query.name, '192.0.2.10')] };
    });
    // The system may drop one of so many packets; it is sent again after the timeout.
    const resolver = resolverOf([server], { timeoutMillis: 5_000, totalTimeoutMillis: 60_000 });
    const names = Array.from({ length: 2000 }, (_, index) => `n${index}.example.com`);
    const resolved = await Promise.all(names.map((one) => resolver.resolve(one, { family: 4 })));
    expect(resolved.map((resolution) => resolution.name)).toEqual(names);
    expect(server.queries).toHaveLength(2000);
    expect(most).toBeLessThanOrEqual(500);
    expect(most).toBeGreaterThan(50);
  });

  it('never need a socket more, also if one comes up just when another is given its turn', async () => {
    let named = 0;
    const ask = () => calls.push(resolver.resolve(`n${++named}.example.com`, { family: 4 }).catch(() => undefined));
    let isSilent = true;
    const answer = (query: ReceivedQuery) => ({ answers: [a(query.name, '192.0.2.10')] });
    const server = await serve((query) => (isSilent ? undefined : answer(query)));
    const resolver = resolverOf([server], { timeoutMillis: 60_000, totalTimeoutMillis: 60_000 });
    const calls: Promise<unknown>[] = [];
    let open = 0;
    let most = 0;
    // The moment is as short as a microtask: the new names come up one microtask, two, three and so on after a socket has closed.
    let closed = 0;
    const count = (message: unknown) => {
      most = Math.max(most, ++open);
      (message as { socket: Socket }).socket.once('close', () => {
        open--;
        afterMicrotasks(closed++ % 20, ask);
      });
    };
    subscribe('udp.socket', count);
    try {
      for (let count = 0; count < 1_000; count++) ask();
      await expect.poll(() => server.queries.length, { timeout: 20_000 }).toBeGreaterThan(100);
      isSilent = false;
      for (const query of [...server.queries]) query.send(encodeReply(query, answer(query)));
      await expect.poll(() => closed, { timeout: 20_000 }).toBeGreaterThan(200);
    } finally {
      unsubscribe('udp.socket', count);
      await resolver.close();
    }
    await Promise.all(calls);
    expect(most).toBe(500);
  });

  it('get their turn, also behind others that have given up waiting for it', async () => {
    const server = await serve((query) =>
      query.name.startsWith('n') ? undefined : { answers: [a(query.name, '192.0.2.10')] },
    );
    const resolver = resolverOf([server], { timeoutMillis: 60_000, totalTimeoutMillis: 60_000 });
    const busy = Array.from({ length: 500 }, (_, n) => resolver.resolve(`n${n}.example.com`, { family: 4 }));
    const ended = Promise.allSettled(busy);
    const impatient = Array.from({ length: 300 }, (_, n) =>
      resolver.resolveAtEach(`n${n}.example.net`, { family: 4, timeoutMillis: 50 }),
    );
    await Promise.all(impatient);
    const last = resolver.resolve('last.example.com', { family: 4 });
    await expect.poll(() => server.queries.length, { timeout: 20_000 }).toBeGreaterThan(100);
    for (const query of server.queries.slice(0, 50)) {
      query.send(encodeReply(query, { answers: [a(query.name, '192.0.2.10')] }));
    }
    await expect(last).resolves.toMatchObject({ name: 'last.example.com' });
    await resolver.close();
    await ended;
  });

  it('end at once with the resolver, those that wait for their turn included', async () => {
    const server = await serve(() => undefined);
    const resolver = resolverOf([server], { timeoutMillis: 20_000 });
    const calls = Array.from({ length: 1200 }, (_, index) => resolver.resolve(`n${index}.example.com`, { family: 4 }));
    const settled = Promise.allSettled(calls);
    await pause(50);
    await resolver.close();
    const codes = new Set((await settled).map((one) => (one.status === 'rejected' ? one.reason.code : 'resolved')));
    expect([...codes]).toEqual(['ERR_EXTERNALNAME_CLOSED']);
  });
});

describe('rotate', () => {
  it('begins with another server each time', async () => {
    const servers = [await serve(honest), await serve(honest)];
    const resolver = resolverOf(servers, { rotate: true });
    for (let round = 0; round < 4; round++) await resolver.resolve(name, { family: 4 });
    expect(servers.map((server) => server.queries.length)).toEqual([2, 2]);
  });
});

describe('a deadline', () => {
  it('ends all queries of a call together, and says nothing about the name', async () => {
    const server = await serve(() => undefined);
    const resolver = resolverOf([server], { timeoutMillis: 60_000 });
    await expect(resolver.resolve(name, { timeoutMillis: 40 })).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${name}: no answer within 40 ms from ${server.text}`,
      cause: expect.objectContaining({ code: 'ERR_EXTERNALNAME_DEADLINE' }),
    });
  });

  it('does not lose the answer for the next call', async () => {
    const server = await serve((query) => ({ ...honest(query), delayMillis: 120 }));
    const resolver = resolverOf([server], { cache: {} });
    await expect(resolver.resolve(name, { timeoutMillis: 10 })).rejects.toMatchObject({ failure: 'unavailable' });
    const { addresses } = await resolver.resolve(name);
    expect(addresses).toHaveLength(1);
    expect(server.queries).toHaveLength(2);
  });
});

describe('an abort signal', () => {
  it('ends a call with its own reason', async () => {
    const server = await serve(() => undefined);
    const resolver = resolverOf([server], { timeoutMillis: 60_000 });
    const controller = new AbortController();
    const call = resolver.resolve(name, { signal: controller.signal });
    const reason = new Error('no longer wanted');
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    await expect(resolver.resolve(name, { signal: controller.signal })).rejects.toBe(reason);
  });

  it('of one caller leaves the others alone', async () => {
    const server = await serve((query) => ({ ...honest(query), delayMillis: 50 }));
    const resolver = resolverOf([server]);
    const controller = new AbortController();
    const [one, other] = [resolver.resolve(name, { signal: controller.signal }), resolver.resolve(name)];
    controller.abort();
    await expect(one).rejects.toMatchObject({ name: 'AbortError' });
    expect((await other).addresses).toHaveLength(1);
    expect(server.queries).toHaveLength(2);
  });
});

describe('closing', () => {
  it('ends queries under way and refuses new ones', async () => {
    const server = await serve(() => undefined);
    const resolver = resolverOf([server], { timeoutMillis: 60_000 });
    const call = expect(resolver.resolve(name)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await Promise.all([resolver.close(), resolver.close()]);
    await call;
    await expect(resolver.resolve(name)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
  });

  it('right after a call leaves nothing behind, over UDP and TCP', async () => {
    const server = await serve(honest);
    for (const useTcp of [false, true]) {
      const resolver = new DnsResolver({ nameservers: [server.text], useTcp });
      const call = expect(resolver.resolve(name)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
      await resolver.close();
      await call;
    }
  });
});
