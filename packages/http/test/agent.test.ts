import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AgentOptions, createAgent, type ServiceAgent } from '../src/agent.ts';
import { startWebscalerManual, type WebscalerManual } from './support/webscaler-manual.ts';

let manual: WebscalerManual;
let url: string;
const agents: ServiceAgent[] = [];

beforeAll(async () => {
  manual = await startWebscalerManual();
  url = `https://webscaler-manual:${manual.port}`;
});

afterEach(async () => {
  for (const agent of agents.splice(0)) agent.destroy();
  await until(() => manual.a.connections.size + manual.b.connections.size === 0);
  for (const server of [manual.a, manual.b]) {
    server.requests.length = 0;
    server.accepted = 0;
  }
  manual.cluster.hosts.set(manual.a.name, [manual.a.address]);
  await manual.point(manual.a.name);
});

afterAll(async () => {
  await manual?.[Symbol.asyncDispose]();
});

function agentOf(more: Partial<AgentOptions> = {}): ServiceAgent {
  const agent = createAgent({ ...manual.options(), ...more });
  agents.push(agent);
  return agent;
}

async function send(
  agent: http.Agent,
  path: string,
  options: https.RequestOptions & { body?: string; base?: string } = {},
): Promise<{ readonly server: string; readonly [name: string]: unknown }> {
  const { body, base = url, ...rest } = options;
  const request = (base.startsWith('http:') ? http : https).request(base + path, { agent, ...rest }).end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return JSON.parse(await text(response));
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(20);
}

describe('a request of node:https', () => {
  it('goes to the host behind the Service, verified, with that host in Host, and keeps its connection', async () => {
    const agent = agentOf();
    const host = `httpbin-a.example.com:${manual.port}`;
    expect(await send(agent, '/anything?test=value')).toMatchObject({ host, url: '/anything?test=value' });
    expect(await send(agent, '/anything', { method: 'POST', body: 'x' })).toMatchObject({ host, body: 'x' });
    expect(manual.a.accepted).toBe(1);
  });

  it.each([
    ['as an object', { Host: 'webscaler-manual', 'content-length': 1 }],
    ['as a list, which is written at once', ['Host', 'webscaler-manual', 'content-length', '1']],
  ])('has that host in Host, whatever the caller wrote: %s', async (_, headers) => {
    const answer = await send(agentOf(), '/', { method: 'POST', body: 'x', headers });
    expect(answer).toMatchObject({ host: `httpbin-a.example.com:${manual.port}`, body: 'x' });
  });

  it("keeps the Service's name in Host where that is asked for", async () => {
    const answer = await send(agentOf({ hostHeader: 'service' }), '/');
    expect(answer).toMatchObject({ host: `webscaler-manual:${manual.port}`, server: 'httpbin-a.example.com' });
  });

  it('keeps to maxSockets, those counted that are being made', async () => {
    const agent = agentOf({ maxSockets: 2 });
    await Promise.all(Array.from({ length: 8 }, (_, n) => send(agent, `/?ms=20&n=${n}`)));
    expect(manual.a.accepted).toBe(2);
    expect(manual.a.requests).toHaveLength(8);
  });

  it('goes to the new host after a switch; one in flight finishes, and its connection is not used again', async () => {
    const agent = agentOf();
    await Promise.all([send(agent, '/?ms=50'), send(agent, '/?ms=50')]);
    const slow = send(agent, '/?ms=1500');
    await manual.point(manual.b.name);
    await until(async () => (await send(agent, '/')).server === 'httpbin-b.example.com');
    expect(manual.a.connections.size).toBe(1);
    expect(await slow).toMatchObject({ server: 'httpbin-a.example.com' });
    await until(() => manual.a.connections.size === 0);
    expect(await send(agent, '/')).toMatchObject({ host: `httpbin-b.example.com:${manual.port}` });
  });

  it('waits while no server answers', async () => {
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.54']);
    const waiting = send(agentOf(), '/', { method: 'POST', body: 'x' });
    await pause(300);
    await manual.point(manual.b.name);
    expect(await waiting).toMatchObject({ server: 'httpbin-b.example.com' });
  });

  it('in the clear needs an agent for it', async () => {
    const plain = await manual.serve('httpbin-a.example.com', '127.0.0.51', { plain: true, port: 0 });
    const { port } = plain as unknown as { port: number };
    const base = `http://webscaler-manual:${port}`;
    expect(() => http.get(base, { agent: agentOf() })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_PROTOCOL' }),
    );
    expect(await send(agentOf({ protocol: 'http:' }), '/', { base })).toMatchObject({
      host: `httpbin-a.example.com:${port}`,
    });
    await plain.close();
  });
});

it('an agent that is closed lets what is in flight finish, keeps no connection, and refuses what comes', async () => {
  const agent = agentOf();
  await send(agent, '/');
  const slow = send(agent, '/?ms=300');
  await until(() => manual.a.requests.length === 2);
  await agent.close();
  await expect(send(agent, '/')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
  expect(await slow).toMatchObject({ server: 'httpbin-a.example.com' });
  await until(() => manual.a.connections.size === 0);
});

describe('an error of a request', () => {
  it('says that it may have been executed, if it broke after it was sent', async () => {
    const agent = agentOf();
    const error = await send(agent, '/reset', { method: 'POST', body: 'x' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ECONNRESET', outcome: 'unknown' });
    expect(manual.a.requests).toEqual(['POST /reset']);
  });

  it('says that it was not executed, if it waited for a connection when it was given up', async () => {
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.54']);
    const request = https.request(url, { agent: agentOf(), method: 'POST' }).end('x');
    setTimeout(() => request.destroy(), 200);
    const [error] = await once(request, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET', outcome: 'not-executed' });
  });

  it('says which of both it was, if the agent is destroyed', async () => {
    const agent = agentOf({ maxSockets: 1 });
    const sent = https.request(`${url}/?ms=5000`, { agent, method: 'POST' }).end('x');
    await until(() => manual.a.requests.length === 1);
    const failed = once(sent, 'error');
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.54']);
    const other = agentOf();
    const waiting = send(other, '/', { method: 'POST', body: 'x' }).catch((reason: unknown) => reason);
    agent.destroy();
    other.destroy();
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET', outcome: 'unknown' });
    expect(await waiting).toMatchObject({ outcome: 'not-executed' });
    expect(manual.a.requests).toHaveLength(1);
  });

  it('still needs a listener of the caller', () => {
    const request = https.request(url, { agent: agentOf() });
    expect(request.listenerCount('error')).toBe(0);
    request.on('error', () => {}).destroy();
  });
});

describe('a request that is refused', () => {
  it.each([
    ['another host', 'https://evil.example.org'],
    ['an address', 'https://127.0.0.51'],
  ])('goes to %s: nothing is sent there', async (_, base) => {
    const headers = { authorization: 'Bearer secret' };
    await expect(send(agentOf(), '/', { base, headers })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      outcome: 'not-executed',
    });
    expect(manual.a.accepted).toBe(0);
  });

  it.each([
    ['loopback', { allowedNetworks: undefined }, 'ERR_EXTERNALNAME_ADDRESS_REFUSED'],
    ['not trusted', { tls: {} }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ])('meets a server that will not do: %s', async (_, wrong, code) => {
    await expect(send(agentOf(wrong), '/')).rejects.toMatchObject({ code, outcome: 'not-executed' });
    expect(manual.a.requests).toEqual([]);
  });

  it('has no allow-list, or options that are none', () => {
    const refused = (code: string) => expect.objectContaining({ code });
    expect(() => agentOf({ allowedTargets: undefined })).toThrow(refused('ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED'));
    expect(() => agentOf({ maxSockets: -1 })).toThrow(refused('ERR_EXTERNALNAME_INVALID_ARGUMENT'));
    expect(() => agentOf({ protocol: 'ftp:' as never })).toThrow(refused('ERR_EXTERNALNAME_INVALID_ARGUMENT'));
  });
});
