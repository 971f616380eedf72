import type { Socket } from 'node:dgram';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { DnsResolver, type DnsResolverOptions, type Resolution } from '@externalname/core';
import { type DnsQueryEvent, dnsQueryChannel } from '@externalname/core/events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { a, encodeReply, type ReceivedQuery, rcodes, type Script, ScriptedDnsServer } from './scripted-dns-server.ts';
import { ManualClock } from './support/manual-clock.ts';
import { inQuietTime } from './support/quiet-time.ts';

const name = 'primary-db.example.com';
const timeoutMillis = 60;
const opened: { close(): Promise<void> }[] = [];
let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock();
});

async function serve(script: Script): Promise<ScriptedDnsServer> {
  const server = await ScriptedDnsServer.start(script);
  opened.push(server);
  return server;
}

function resolverOf(servers: readonly ScriptedDnsServer[], options: DnsResolverOptions = {}) {
  const nameservers = servers.map((server) => server.text);
  const settings = { nameservers, timeoutMillis, attempts: 3, cache: false, ...options } as const;
  const resolver = new DnsResolver(settings, { clock });
  opened.push(resolver);
  const traffic = () => servers.reduce((sum, { queries }) => sum + queries.length, resolver.statistics().answers);
  const quietly = <T>(promise: Promise<T>) => inQuietTime(promise, { clock, traffic, stepMillis: timeoutMillis });
  /** Asks while time passes. */
  const ask = (): Promise<Resolution> => quietly(resolver.resolve(name, { family: 4 }));
  return { resolver, ask, quietly };
}

function reply(query: ReceivedQuery | undefined, address: string, id?: number): void {
  if (query === undefined) throw new Error('no such query');
  query.send(encodeReply(query, { answers: [a(name, address)], ...(id !== undefined && { id }) }));
}

/** A server that answers nothing by itself, and calls back with the number of each query, from 1. */
async function serveSilently(onQuery: (number: number, server: ScriptedDnsServer) => void) {
  const server: ScriptedDnsServer = await serve(() => {
    onQuery(server.queries.length, server);
    return undefined;
  });
  return server;
}

/** The UDP sockets that are open in this process, those of servers included. Node.js does not list what does not hold it up. */
const sockets = new Set<Socket>();
const count = (message: unknown) => {
  const { socket } = message as { socket: Socket };
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
};
beforeAll(() => subscribe('udp.socket', count));
afterAll(() => unsubscribe('udp.socket', count));

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

describe('an answer that comes after the timeout of its query', () => {
  it('is taken while the next query is waited for', async () => {
    const server = await serveSilently((number, { queries }) => {
      if (number === 2) reply(queries[0], '192.0.2.1');
    });
    const { resolver, ask } = resolverOf([server]);
    const { addresses } = await ask();
    expect(addresses).toMatchObject([{ address: '192.0.2.1' }]);
    expect(server.queries).toHaveLength(2);
    expect(resolver.statistics()).toMatchObject({ queries: 2, timeouts: 1, answers: 1, lateAnswers: 1 });
  });

  it('is taken from one server while another one is waited for', async () => {
    const first = await serveSilently(() => undefined);
    const second = await serveSilently(() => reply(first.queries[0], '192.0.2.1'));
    const { addresses } = await resolverOf([first, second]).ask();
    expect(addresses).toMatchObject([{ address: '192.0.2.1' }]);
    expect([first.queries.length, second.queries.length]).toEqual([1, 1]);
  });

  it('is taken where another server has refused to answer', async () => {
    const first = await serveSilently((number, { queries }) => {
      if (number === 2) reply(queries[0], '192.0.2.1');
    });
    const second = await serve(() => ({ rcode: rcodes.servfail }));
    const { addresses } = await resolverOf([first, second]).ask();
    expect(addresses).toMatchObject([{ address: '192.0.2.1' }]);
    expect([first.queries.length, second.queries.length]).toEqual([2, 1]);
  });

  it('says what it would have said in time: a server that refuses is not asked again', async () => {
    const server = await serveSilently((number, { queries }) => {
      const [query] = queries;
      if (number === 2 && query !== undefined) query.send(encodeReply(query, { rcode: rcodes.refused }));
      // The question for the alias alone, which comes last.
      if (number === 3) queries[2]?.send(encodeReply(queries[2], { rcode: rcodes.refused }));
    });
    await expect(resolverOf([server]).ask()).rejects.toMatchObject({
      failure: 'unavailable',
      message: `${name}: no answer from ${server.text} within 60 ms; REFUSED from ${server.text}`,
    });
    expect(server.asked).toEqual([`A ${name}`, `A ${name}`, `CNAME ${name}`]);
  });

  it('is fetched over TCP where it is truncated', async () => {
    const server: ScriptedDnsServer = await serve(({ protocol }) => {
      if (protocol === 'tcp') return { answers: [a(name, '192.0.2.1')] };
      const [query] = server.queries;
      if (server.queries.length === 2 && query !== undefined) query.send(encodeReply(query, { truncated: true }));
      return undefined;
    });
    const { addresses } = await resolverOf([server]).ask();
    expect(addresses).toMatchObject([{ address: '192.0.2.1' }]);
  });

  it('shows on the channel, after the timeout', async () => {
    const events: DnsQueryEvent[] = [];
    const unsubscribe = dnsQueryChannel.subscribe((event) => events.push(event));
    const server = await serveSilently((number, { queries }) => {
      if (number === 2) reply(queries[0], '192.0.2.1');
    });
    await resolverOf([server]).ask();
    unsubscribe();
    expect(events.map(({ result }) => result)).toEqual(['timeout', 'NOERROR']);
  });

  it('does not make its server the first to be asked while another one is quicker', async () => {
    let late: ReceivedQuery | undefined;
    const slow = await serveSilently((_, { queries }) => {
      late = queries.at(-1);
    });
    const quick = await serve(() => {
      if (late === undefined) return { answers: [a(name, '192.0.2.2')] };
      reply(late, '192.0.2.1');
      late = undefined;
      return undefined;
    });
    const { ask } = resolverOf([slow, quick]);
    await ask();
    await ask();
    expect([slow.queries.length, quick.queries.length]).toEqual([1, 2]);
  });
});

describe('against forged answers, queries for one question', () => {
  it('have a port and an id each, and the answer to one is none to another', async () => {
    const server = await serveSilently((number, { queries }) => {
      const [first, second] = queries;
      if (number !== 2 || first === undefined || second === undefined) return;
      reply(first, '203.0.113.66', second.id);
      reply(second, '203.0.113.66', first.id);
      reply(first, '192.0.2.1');
    });
    const { resolver, ask } = resolverOf([server]);
    const { addresses } = await ask();
    expect(addresses).toMatchObject([{ address: '192.0.2.1' }]);
    const [first, second] = server.queries;
    expect(first?.port).not.toBe(second?.port);
    expect(first?.id).not.toBe(second?.id);
    expect(resolver.statistics().ignored.wrongId).toBeGreaterThanOrEqual(1);
  });

  it('are listened for four at a time: the oldest is given up', async () => {
    const server = await serveSilently((number, { queries }) => {
      if (number !== 6) return;
      for (const [index, query] of queries.entries()) reply(query, `192.0.2.${index + 1}`);
    });
    const { addresses } = await resolverOf([server], { attempts: 8 }).ask();
    // The first two of six were not heard.
    expect(addresses).toMatchObject([{ address: '192.0.2.3' }]);
  });
});

describe('late queries', () => {
  it('leave no socket behind once the answer is there, nor once there is none', async () => {
    const server = await serveSilently((number, { queries }) => {
      if (number === 2) reply(queries[0], '192.0.2.1');
    });
    const { ask } = resolverOf([server]);
    const before = sockets.size;
    await ask();
    await expect.poll(() => sockets.size).toBe(before);
    await expect(ask()).rejects.toMatchObject({ failure: 'unavailable' });
    await expect.poll(() => sockets.size).toBe(before);
  });

  it('end with the resolver', async () => {
    const server = await serve(() => undefined);
    const before = sockets.size;
    const { resolver } = resolverOf([server]);
    const call = expect(resolver.resolve(name)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await expect.poll(() => server.queries.length).toBe(2);
    await clock.advance(timeoutMillis);
    await expect.poll(() => server.queries.length).toBe(4);
    await resolver.close();
    await call;
    expect(sockets.size).toBe(before);
  });

  it('make room for new ones, so that there are never more than 500 sockets', async () => {
    const asked = new Set<string>();
    let most = 0;
    const server = await serve((query) => {
      most = Math.max(most, sockets.size - before);
      const isNew = !asked.has(query.name);
      asked.add(query.name);
      return isNew ? undefined : { answers: [a(query.name, '192.0.2.10')] };
    });
    const before = sockets.size;
    const { resolver, quietly } = resolverOf([server], { attempts: 10, totalTimeoutMillis: 60_000 });
    const names = Array.from({ length: 900 }, (_, index) => `n${index}.example.com`);
    const resolved = await quietly(Promise.all(names.map((one) => resolver.resolve(one, { family: 4 }))));
    expect(resolved.map((resolution) => resolution.name)).toEqual(names);
    expect(most).toBeLessThanOrEqual(500);
    expect(most).toBeGreaterThan(400);
  });
});
