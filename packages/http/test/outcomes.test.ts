import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDispatcher, type DispatcherOptions, type ServiceDispatcher } from '../src/index.ts';
import { outcomeOf } from './support/outcome-of.ts';
import { startWebscalerManual, type WebscalerManual } from './support/webscaler-manual.ts';

let manual: WebscalerManual;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  manual = await startWebscalerManual();
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  for (const server of [manual.a, manual.b]) server.requests.length = 0;
  manual.cluster.hosts.set(manual.a.name, [manual.a.address]);
  await manual.point(manual.a.name);
});

afterAll(async () => {
  await manual?.[Symbol.asyncDispose]();
});

function dispatcherOf(more: Partial<DispatcherOptions> = {}): ServiceDispatcher {
  const dispatcher = createDispatcher({ ...manual.options(), allowHttp: true, ...more });
  ends.push(() => dispatcher.destroy());
  return dispatcher;
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(10);
}

describe('a connection of HTTP/2 that breaks', () => {
  const breaks: Record<string, { run: (stream: http2.ServerHttp2Stream) => void; times: Record<string, number> }> = {
    'by its end': { run: ({ session }) => session?.destroy(), times: { GET: 3, PUT: 3, POST: 1 } },
    'by GOAWAY': {
      run: (stream) => {
        stream.session?.goaway(http2.constants.NGHTTP2_INTERNAL_ERROR);
        stream.session?.destroy();
      },
      times: { GET: 3, PUT: 3, POST: 1 },
    },
    'by a stream that is reset': {
      run: (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
      times: { GET: 3, PUT: 3, POST: 1 },
    },
    'by a stream that is cancelled': {
      run: (stream) => stream.close(http2.constants.NGHTTP2_CANCEL),
      times: { GET: 3, PUT: 3, POST: 1 },
    },
    'by a stream that is refused, which was not touched': {
      run: (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM),
      times: { GET: 3, PUT: 3, POST: 3 },
    },
    'after the response has begun': {
      run: (stream) => {
        stream.on('error', () => {});
        stream.respond({ ':status': 200 });
        stream.write('hello', () => setTimeout(() => stream.session?.destroy(), 50));
      },
      times: { GET: 1, PUT: 1, POST: 1 },
    },
  };

  it.each(Object.keys(breaks))('%s', async (name) => {
    const { run, times } = breaks[name] as (typeof breaks)[string];
    const { certificate: cert, privateKey: key } = await manual.authority.issue({ hostNames: [manual.a.name] });
    const server = http2.createSecureServer({ cert, key });
    const requests: string[] = [];
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on('session', (session) => {
      sessions.add(session);
      session.on('error', () => {}).on('close', () => sessions.delete(session));
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      requests.push(String(headers[':method']));
      stream.resume().on('end', () => run(stream));
    });
    server.listen(0, '127.0.0.57');
    await once(server, 'listening');
    ends.push(async () => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.57']);
    const dispatcher = dispatcherOf({ allowH2: true });
    const url = `https://webscaler-manual:${(server.address() as AddressInfo).port}/`;
    const refused = name.includes('refused');
    for (const method of ['GET', 'PUT', 'POST'] as const) {
      const { answer, error } = await outcomeOf(dispatcher, url, { method, body: method === 'GET' ? null : 'x' });
      expect({ answer, outcome: error?.outcome }).toEqual({
        answer: undefined,
        outcome: refused ? 'not-executed' : 'unknown',
      });
    }
    const seen = { GET: 0, PUT: 0, POST: 0 };
    for (const method of requests) seen[method as keyof typeof seen] += 1;
    expect(seen).toEqual(times);
  });
});

describe('the outcome of a request', () => {
  /** Sends a PUT that is read and not answered, by a server that is gone then. */
  async function sentAndLost(
    more: Partial<DispatcherOptions>,
    { signal, onLost }: { signal?: AbortSignal; onLost?: () => void } = {},
  ) {
    const server = net.createServer((socket) => {
      socket
        .on('error', () => {})
        .once('data', () => {
          server.close();
          socket.resetAndDestroy();
          onLost?.();
        });
    });
    server.listen(0, '127.0.0.56');
    await once(server, 'listening');
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.56']);
    const url = `http://webscaler-manual:${(server.address() as AddressInfo).port}/`;
    return outcomeOf(dispatcherOf(more), url, { method: 'PUT', body: 'x', ...(signal && { signal }) });
  }

  it('stays unknown if it was sent, and no server could be connected to for the next attempt', async () => {
    const { error } = await sentAndLost({ failoverTimeoutMillis: 3_000 });
    expect(error).toMatchObject({ outcome: 'unknown', cause: { outcome: 'not-executed' } });
    expect(error?.code).toMatch(/^(UND_ERR_SOCKET|ECONNRESET)$/);
  });

  it('stays unknown if it was sent, and the caller gives up while it waits for the next attempt', async () => {
    const controller = new AbortController();
    const reason = new Error('not needed any more');
    const onLost = () => setTimeout(() => controller.abort(reason), 300);
    const { error } = await sentAndLost({}, { signal: controller.signal, onLost });
    expect(error).toBe(reason);
    expect(error).toMatchObject({ outcome: 'unknown' });
  });

  it('is unknown for one in flight, if a signal ends it together with one that waits', async () => {
    const dispatcher = dispatcherOf({ connections: 1 });
    const controller = new AbortController();
    const url = `https://webscaler-manual:${manual.port}/anything`;
    const options = { method: 'POST', body: 'x', signal: controller.signal } as const;
    const first = outcomeOf(dispatcher, `${url}?ms=5000`, options);
    await until(() => manual.a.requests.length === 1);
    const second = outcomeOf(dispatcher, url, options);
    controller.abort();
    const [sent, waiting] = await Promise.all([first, second]);
    expect(sent.error).toMatchObject({ name: 'AbortError', outcome: 'unknown' });
    expect(waiting.error?.name).toBe('AbortError');
    expect(manual.a.requests).toHaveLength(1);
    expect((await outcomeOf(dispatcher, url, { method: 'GET' })).answer).toContain(manual.a.name);
  });

  it('is unknown for one in flight, if the dispatcher is destroyed with one that waits', async () => {
    const dispatcher = dispatcherOf({ connections: 1 });
    const url = `https://webscaler-manual:${manual.port}/anything`;
    const first = outcomeOf(dispatcher, `${url}?ms=5000`, { method: 'POST', body: 'x' });
    await until(() => manual.a.requests.length === 1);
    const second = outcomeOf(dispatcher, url, { method: 'POST', body: 'x' });
    await dispatcher.destroy(new Error('the program ends'));
    expect((await first).error).toMatchObject({ message: 'the program ends', outcome: 'unknown' });
    expect((await second).error?.message).toBe('the program ends');
    expect(manual.a.requests).toHaveLength(1);
  });

  it('is not executed, if the body cannot be read while the target is not known yet, and the process goes on', async () => {
    const dispatcher = dispatcherOf();
    const broken = new Readable({ read() {} });
    const failed = outcomeOf(dispatcher, `https://webscaler-manual:${manual.port}/`, { method: 'POST', body: broken });
    broken.destroy(new Error('the disk is gone'));
    expect((await failed).error).toMatchObject({ message: 'the disk is gone', outcome: 'not-executed' });
    expect(manual.a.requests).toEqual([]);
  });
});

describe('a switch away from a host that hangs', () => {
  it('moves what waits for its connection at once, and ends what hangs when the dispatcher is destroyed', async () => {
    const dispatcher = dispatcherOf({ connections: 1 });
    const url = `https://webscaler-manual:${manual.port}/anything`;
    const hanging = outcomeOf(dispatcher, `${url}?ms=60000`, { method: 'POST', body: 'x' });
    await until(() => manual.a.requests.length === 1);
    const waiting = [1, 2, 3].map((id) => {
      const body = id === 3 ? Readable.from(['x']) : 'x';
      return outcomeOf(dispatcher, `${url}?id=${id}`, { method: 'POST', body });
    });
    const controller = new AbortController();
    const { signal } = controller;
    const given = outcomeOf(dispatcher, `${url}?id=given-up&ms=60000`, { method: 'POST', body: 'x', signal });
    await manual.point(manual.b.name);
    for (const { answer } of await Promise.all(waiting)) expect(answer).toContain(manual.b.name);
    await until(() => manual.b.requests.length === 4);
    controller.abort();
    expect((await given).error).toMatchObject({ name: 'AbortError', outcome: 'unknown' });
    await dispatcher.destroy();
    expect((await hanging).error).toMatchObject({ outcome: 'unknown' });
    expect(manual.a.requests).toHaveLength(1);
    expect(manual.b.requests).toHaveLength(4);
  });
});
