import { once } from 'node:events';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { createAgent, type ServiceAgent } from '@externalname/http/agent';
import axios from 'axios';
import got from 'got';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ServiceOfTwo, serviceOfTwo } from './support/service-of-two.ts';

/** What a server answers with. */
interface Answer {
  readonly server: string;
  readonly host: string;
  readonly body: string;
}

/** A request, as each of the libraries sends it. */
type Send = (agent: ServiceAgent, url: string, body?: string) => Promise<Answer>;

const headers = { authorization: 'Bearer secret' };

const libraries: Record<string, Send> = {
  axios: async (httpsAgent, url, body) => {
    const method = body === undefined ? 'get' : 'post';
    // Otherwise axios itself would put the proxy of the environment in the place of the agent.
    const { data } = await axios.request<Answer>({ url, method, data: body, headers, httpsAgent, proxy: false });
    return data;
  },
  got: (agent, url, body) => {
    const method = body === undefined ? 'GET' : 'POST';
    return got(url, { method, ...(body !== undefined && { body }), headers, agent: { https: agent } }).json<Answer>();
  },
};

let service: ServiceOfTwo;
let agent: ServiceAgent;
let base: string;
/** Start lines of what came, with the server that got it. */
const came: string[] = [];

beforeAll(async () => {
  service = await serviceOfTwo(async ({ name, address, port, certificate, privateKey }) => {
    const server = https.createServer({ cert: certificate, key: privateKey }, async (request, response) => {
      const url = new URL(request.url ?? '/', 'https://unused');
      came.push(`${name} ${request.method} ${request.url}`);
      let body = '';
      for await (const chunk of request) body += String(chunk);
      if (url.pathname === '/reset') return void request.socket.destroy();
      const to = url.searchParams.get('to');
      if (to !== null) return void response.writeHead(307, { location: to }).end();
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ server: name, host: request.headers.host, body }));
    });
    server.listen(port, address);
    await once(server, 'listening');
    return () => {
      server.close();
      server.closeAllConnections();
    };
  });
  base = `https://webscaler-any:${service.port}`;
});

beforeEach(async () => {
  came.length = 0;
  agent = createAgent({ ...service.options, failoverTimeoutMillis: 2_000 });
});

afterEach(async () => {
  agent.destroy();
  await service.pointToA();
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
});

describe.each(Object.keys(libraries))('%s', (library) => {
  const send: Send = (...parameters) => (libraries[library] as Send)(...parameters);

  /** The error that the library was told, which is its own error's cause or has become it. */
  async function failureOf(work: Promise<unknown>): Promise<{ readonly code?: string; readonly outcome?: string }> {
    const error = await work.then(
      () => {
        throw new Error('it did not fail');
      },
      (reason: unknown) => reason as Error,
    );
    const cause = error.cause instanceof Error ? error.cause : error;
    return cause as { code?: string; outcome?: string };
  }

  it('comes to the host behind the Service, verified, with that host in Host', async () => {
    const answer = { server: 'a.example.com', host: `a.example.com:${service.port}` };
    expect(await send(agent, `${base}/anything`)).toEqual({ ...answer, body: '' });
    expect(await send(agent, `${base}/anything`, 'hello')).toEqual({ ...answer, body: 'hello' });
    const distrustful = createAgent({ ...service.options, tls: {} });
    expect(await failureOf(send(distrustful, base))).toMatchObject({
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      outcome: 'not-executed',
    });
    distrustful.destroy();
  });

  it('loses no request in a switch under load, and sends none twice', async () => {
    const state = { over: false, next: 0, last: '' };
    const failures: unknown[] = [];
    const work = async (hasBody: boolean) => {
      while (!state.over) {
        const id = state.next++;
        await send(agent, `${base}/anything?id=${id}`, hasBody ? 'x' : undefined).then(
          ({ server }) => {
            state.last = server;
          },
          (error: unknown) => failures.push(error),
        );
      }
    };
    const working = Array.from({ length: 8 }, (_, index) => work(index % 2 === 0));
    await vi.waitFor(() => expect(came.length).toBeGreaterThan(20), { timeout: 10_000 });
    await service.pointToB();
    await vi.waitFor(() => expect(state.last).toBe('b.example.com'), { timeout: 10_000 });
    state.over = true;
    await Promise.all(working);
    expect(failures).toEqual([]);
    expect(came).toHaveLength(state.next);
    expect(new Set(came.map((line) => line.slice(line.indexOf(' ')))).size).toBe(state.next);
  });

  it.each([undefined, 'secret'])(
    'is refused on its way to another host, which gets nothing (body: %s)',
    async (body) => {
      let connections = 0;
      const evil = net.createServer(() => {
        connections += 1;
      });
      evil.listen(0, '127.0.0.73');
      await once(evil, 'listening');
      const { port } = evil.address() as AddressInfo;
      for (const host of ['evil.example.org', '127.0.0.73', '127.0.0.73.nip.io']) {
        const to = encodeURIComponent(`https://${host}:${port}/steal`);
        const error = await failureOf(send(agent, `${base}/?to=${to}`, body));
        expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
      }
      evil.close();
      expect(connections).toBe(0);
    },
  );

  it('keeps away from the proxy of the environment', async () => {
    let connections = 0;
    const proxy = net.createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    proxy.listen(0, '127.0.0.73');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    vi.stubEnv('HTTPS_PROXY', `http://127.0.0.73:${port}`).stubEnv('https_proxy', `http://127.0.0.73:${port}`);
    expect(await send(agent, `${base}/anything`)).toMatchObject({ server: 'a.example.com' });
    vi.unstubAllEnvs();
    proxy.close();
    expect(connections).toBe(0);
  });

  it('says of an error whether the request may have been executed', async () => {
    expect(await failureOf(send(agent, `${base}/reset`, 'x'))).toMatchObject({ outcome: 'unknown' });
    expect(came).toEqual(['a.example.com POST /reset']);
    agent.destroy();
    expect(await failureOf(send(agent, base, 'x'))).toMatchObject({
      code: 'ERR_EXTERNALNAME_CLOSED',
      outcome: 'not-executed',
    });
  });
});
