import { once } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { interceptors, request } from 'undici';
import { fetch as fetch6, request as request6 } from 'undici6';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createDispatcher, type DispatcherOptions, type ServiceDispatcher } from '../src/index.ts';
import { startWebscalerManual, type WebscalerManual } from './support/webscaler-manual.ts';

let manual: WebscalerManual;
let url: string;
const dispatchers: ServiceDispatcher[] = [];

beforeAll(async () => {
  manual = await startWebscalerManual();
  url = `https://webscaler-manual:${manual.port}`;
});

beforeEach(() => {
  for (const server of [manual.a, manual.b]) {
    server.requests.length = 0;
    server.accepted = 0;
  }
});

afterEach(async () => {
  await Promise.all(dispatchers.splice(0).map((dispatcher) => dispatcher.destroy()));
  manual.cluster.hosts.set(manual.a.name, [manual.a.address]);
  await manual.point(manual.a.name);
});

afterAll(async () => {
  await manual?.[Symbol.asyncDispose]();
});

function dispatcherOf(more: Partial<DispatcherOptions> = {}): ServiceDispatcher {
  const dispatcher = createDispatcher({ ...manual.options(), ...more });
  dispatchers.push(dispatcher);
  return dispatcher;
}

interface Answer {
  readonly server: string;
  readonly host: string;
  readonly [name: string]: unknown;
}

async function get(dispatcher: ServiceDispatcher, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url + path, { ...init, dispatcher });
  return (await response.json()) as Answer;
}

async function failureOf(
  work: Promise<unknown>,
): Promise<Error & { code?: string; outcome?: string; cause?: unknown }> {
  const error = await work.then(
    () => {
      throw new Error('it did not fail');
    },
    (reason: unknown) => reason,
  );
  // fetch() puts what happened into the cause.
  const cause = (error as Error).cause;
  return (error instanceof TypeError && cause instanceof Error ? cause : error) as Error;
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pause(20);
}

describe('a request to the Service', () => {
  it('goes to the host behind it, verified, with that host in Host', async () => {
    const dispatcher = dispatcherOf();
    expect(await get(dispatcher, '/anything?test=value')).toMatchObject({
      server: 'httpbin-a.example.com',
      host: `httpbin-a.example.com:${manual.port}`,
      url: '/anything?test=value',
    });
    expect(dispatcher.target?.externalName).toBe('httpbin-a.example.com');
  });

  it.each([
    ['webscaler-manual', { HOST: 'webscaler-manual' }],
    ['a list of headers', ['Host', 'webscaler-manual', 'x-other', '1']],
  ])('has that host in Host, whatever the caller wrote there: %s', async (_, headers) => {
    const { body } = await request(`${url}/anything`, { dispatcher: dispatcherOf(), headers });
    expect(await body.json()).toMatchObject({ host: `httpbin-a.example.com:${manual.port}` });
  });

  it.each(['target', 'service'] as const)(
    'takes a Content-Length of the caller, which fetch of Node.js 20 and 22 and of undici 6 repeats (hostHeader: %s)',
    async (hostHeader) => {
      const dispatcher = dispatcherOf({ hostHeader });
      const init = { method: 'POST', body: 'hello', headers: { 'Content-Length': '5' } };
      expect(await get(dispatcher, '/anything', init)).toMatchObject({ body: 'hello' });
      const response = await fetch6(`${url}/anything`, { ...init, dispatcher: dispatcher as never });
      expect(await response.json()).toMatchObject({ body: 'hello' });
      const { body } = await request(`${url}/anything`, { ...init, method: 'POST', dispatcher });
      expect(await body.json()).toMatchObject({ body: 'hello' });
      const wrong = { ...init, method: 'POST' as const, headers: { 'content-length': '5, 6' }, dispatcher };
      expect(await failureOf(request(url, wrong))).toMatchObject({ outcome: 'not-executed' });
    },
  );

  it("keeps the Service's name in Host where that is asked for, and verifies the host behind it all the same", async () => {
    expect(await get(dispatcherOf({ hostHeader: 'service' }), '/anything')).toMatchObject({
      host: `webscaler-manual:${manual.port}`,
      server: 'httpbin-a.example.com',
    });
  });

  it.each([
    ['target', 'httpbin-a.example.com'],
    ['service', 'webscaler-manual'],
  ] as const)('speaks HTTP/2, and hostHeader: %s puts %s into :authority', async (hostHeader, name) => {
    const dispatcher = dispatcherOf({ allowH2: true, hostHeader });
    const answers = await Promise.all([1, 2, 3].map((n) => get(dispatcher, `/anything?n=${n}`)));
    const expected = { version: '2.0', host: `${name}:${manual.port}`, server: 'httpbin-a.example.com' };
    expect(answers).toMatchObject([1, 2, 3].map(() => expected));
    if (hostHeader === 'service') return;
    const { body } = await request(url, { dispatcher, headers: { Host: 'webscaler-manual' } });
    expect(await body.json()).toMatchObject(expected);
  });

  it('is served for any form of the name', async () => {
    const dispatcher = dispatcherOf();
    for (const name of ['webscaler-manual.default', 'webscaler-manual.default.svc.cluster.local', 'WEBSCALER-MANUAL']) {
      const { body } = await request(`https://${name}:${manual.port}/`, { dispatcher });
      expect(await body.json()).toMatchObject({ server: 'httpbin-a.example.com' });
    }
  });

  it('takes a stream for its body', async () => {
    const { body } = await request(`${url}/anything`, {
      dispatcher: dispatcherOf(),
      method: 'POST',
      body: Readable.from(['one ', 'two']),
    });
    expect(await body.json()).toMatchObject({ body: 'one two' });
  });

  it('is served to undici 6, too', async () => {
    // Of the types of undici 7; see the guide.
    const dispatcher = dispatcherOf() as never;
    const { body } = await request6(`${url}/anything`, { dispatcher });
    expect(await body.json()).toMatchObject({ server: 'httpbin-a.example.com' });
    const response = await fetch6(`${url}/anything`, { dispatcher });
    expect(await response.json()).toMatchObject({ server: 'httpbin-a.example.com' });
  });

  it("can be composed with undici's interceptors", async () => {
    const dispatcher = dispatcherOf().compose(interceptors.redirect({ maxRedirections: 2 }));
    const to = encodeURIComponent('/anything?after');
    const { body } = await request(`${url}/?to=${to}`, { dispatcher });
    expect(await body.json()).toMatchObject({ url: '/anything?after' });
  });

  it('in the clear is refused, unless it is allowed', async () => {
    const plain = await manual.serve('httpbin-a.example.com', '127.0.0.51', { plain: true, port: 0 });
    const { port } = plain as unknown as { port: number };
    const inClear = `http://webscaler-manual:${port}/`;
    const refused = await failureOf(request(inClear, { dispatcher: dispatcherOf() }));
    expect(refused).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
    expect(plain.accepted).toBe(0);
    const { body } = await request(inClear, { dispatcher: dispatcherOf({ allowHttp: true }) });
    expect(await body.json()).toMatchObject({ host: `httpbin-a.example.com:${port}` });
  });
});

describe('redirects and cookies', () => {
  it('are followed within the Service, under its own name and that of its host', async () => {
    const dispatcher = dispatcherOf();
    for (const base of ['', url, `https://httpbin-a.example.com:${manual.port}`]) {
      const to = encodeURIComponent(`${base}/anything?redirected`);
      expect(await get(dispatcher, `/?to=${to}`)).toMatchObject({ url: '/anything?redirected' });
    }
  });

  it('send nothing to another host, no credential either', async () => {
    const other = await manual.serve('evil.example.org', '127.0.0.53');
    manual.cluster.hosts.set('evil.example.org', [other.address]);
    const to = encodeURIComponent(`https://evil.example.org:${manual.port}/steal`);
    const headers = { authorization: 'Bearer secret', cookie: 'session=1' };
    const error = await failureOf(get(dispatcherOf(), `/?to=${to}`, { headers }));
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
    expect(error.message).not.toContain('secret');
    expect(other.accepted).toBe(0);
    await other.close();
  });

  it.each([
    [307, 'POST'],
    [308, 'PUT'],
  ])('send no body to another host with status %i', async (status, method) => {
    const other = await manual.serve('evil.example.org', '127.0.0.53');
    manual.cluster.hosts.set('evil.example.org', [other.address]);
    const to = encodeURIComponent(`https://evil.example.org:${manual.port}/steal`);
    const headers = { authorization: 'Bearer secret' };
    const init = { method, headers, body: 'secret' };
    const error = await failureOf(get(dispatcherOf(), `/?status=${status}&to=${to}`, init));
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
    const composed = dispatcherOf().compose(interceptors.redirect({ maxRedirections: 3 }));
    const options = { dispatcher: composed, method: 'POST', headers, body: 'secret' } as const;
    const again = await failureOf(request(`${url}/?status=${status}&to=${to}`, options));
    expect(again).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
    expect(other.accepted).toBe(0);
    await other.close();
  });

  it.each(['http://webscaler-manual/', 'http://httpbin-a.example.com/'])(
    'are not followed into the clear: %s',
    async (location) => {
      const error = await failureOf(
        request(`${url}/?to=${encodeURIComponent(location)}`, {
          dispatcher: dispatcherOf().compose(interceptors.redirect({ maxRedirections: 3 })),
        }),
      );
      expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
    },
  );

  it('come as the server set them, and go as the caller wrote them', async () => {
    const dispatcher = dispatcherOf();
    const response = await fetch(`${url}/cookies/set`, { dispatcher });
    expect(response.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2; Secure']);
    await response.text();
    expect(await get(dispatcher, '/', { headers: { cookie: 'a=1' } })).toMatchObject({ cookie: 'a=1' });
  });
});

describe('a switch', () => {
  it('lets requests in flight finish, closes idle connections, and sends new requests to the new host', async () => {
    const dispatcher = dispatcherOf();
    await Promise.all([1, 2, 3].map(() => get(dispatcher, '/anything?ms=50')));
    const slow = get(dispatcher, '/anything?ms=1500');
    await manual.point(manual.b.name);
    await until(async () => (await get(dispatcher, '/anything')).server === manual.b.name);
    expect(manual.a.connections.size).toBe(1);
    expect(await slow).toMatchObject({ server: 'httpbin-a.example.com' });
    await until(() => manual.a.connections.size === 0);
  });

  it('takes along what waits for a connection to the old host', async () => {
    const dispatcher = dispatcherOf({ connections: 1 });
    const first = get(dispatcher, '/anything?ms=2500');
    await until(() => manual.a.requests.length === 1);
    const waiting = [1, 2, 3].map((n) => get(dispatcher, `/anything?n=${n}`, { method: 'POST', body: 'x' }));
    await manual.point(manual.b.name);
    expect((await Promise.all(waiting)).map(({ server }) => server)).toEqual([1, 2, 3].map(() => manual.b.name));
    expect(await first).toMatchObject({ server: 'httpbin-a.example.com' });
  });

  it('to a host that is not allowed is not followed, and that host gets no byte', async () => {
    const dispatcher = dispatcherOf({ allowedTargets: [manual.a.name] });
    await get(dispatcher, '/');
    await manual.point(manual.b.name);
    await pause(1_500);
    expect(await get(dispatcher, '/')).toMatchObject({ server: 'httpbin-a.example.com' });
    expect(manual.b.accepted).toBe(0);
  });
});

describe('a request that fails', () => {
  it('is sent again if its method is idempotent', async () => {
    const error = await failureOf(get(dispatcherOf(), '/reset', { method: 'PUT', body: 'x' }));
    expect(error).toMatchObject({ outcome: 'unknown' });
    expect(manual.a.requests).toEqual(['PUT /reset', 'PUT /reset', 'PUT /reset'].slice(0, manual.a.requests.length));
  });

  it('is sent again with undici, whose body is at hand, and no more than twice', async () => {
    await failureOf(request(`${url}/reset`, { dispatcher: dispatcherOf(), method: 'PUT', body: 'x' }));
    expect(manual.a.requests).toHaveLength(3);
  });

  it('is not sent again with POST, and its outcome is unknown', async () => {
    const error = await failureOf(request(`${url}/reset`, { dispatcher: dispatcherOf(), method: 'POST', body: 'x' }));
    expect(error).toMatchObject({ outcome: 'unknown' });
    expect(manual.a.requests).toHaveLength(1);
  });

  it('waits while no server answers, whatever its method, for nothing was sent', async () => {
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.54']);
    const dispatcher = dispatcherOf();
    const waiting = get(dispatcher, '/anything', { method: 'POST', body: 'x' });
    await pause(500);
    await manual.point(manual.b.name);
    expect(await waiting).toMatchObject({ server: 'httpbin-b.example.com', method: 'POST', body: 'x' });
  });

  it('ends at failoverTimeoutMillis', async () => {
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.54']);
    const error = await failureOf(get(dispatcherOf({ failoverTimeoutMillis: 300 }), '/', { method: 'POST' }));
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT', outcome: 'not-executed' });
  });

  it("ends with its signal while it waits, with the signal's reason", async () => {
    manual.cluster.hosts.set(manual.a.name, ['127.0.0.54']);
    const dispatcher = dispatcherOf();
    const reason = new Error('not needed any more');
    for (const send of [
      (signal: AbortSignal) => fetch(url, { signal, dispatcher }),
      (signal: AbortSignal) => request(url, { signal, dispatcher }),
    ]) {
      const controller = new AbortController();
      const failed = failureOf(send(controller.signal));
      setTimeout(() => controller.abort(reason), 200);
      expect(await failed).toBe(reason);
    }
    await dispatcher.close();
  });
});

describe('an error before anything is sent', () => {
  it.each([
    ['another host', 'https://other.example.com/'],
    ['an address', 'https://127.0.0.51/'],
    ['a name that resolves to an address', 'https://127.0.0.51.nip.io/'],
    ['another Service', 'https://webscaler-db/'],
    ['another namespace', 'https://webscaler-manual.other/'],
  ])('refuses %s in the URL', async (_, wrong) => {
    const error = await failureOf(fetch(wrong, { dispatcher: dispatcherOf() }));
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', outcome: 'not-executed' });
    expect(manual.a.accepted).toBe(0);
  });

  it.each([
    ['no allow-list', { allowedTargets: undefined }, 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED'],
    ['a port in the name', { service: 'webscaler-manual:443' }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['an address for a name', { service: '127.0.0.51' }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['a URL for a name', { service: 'https://webscaler-manual' }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['less TLS', { tls: { rejectUnauthorized: false } as object }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['a name to verify', { tls: { servername: 'x' } as object }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
    ['a number that is none', { connections: -1 }, 'ERR_EXTERNALNAME_INVALID_ARGUMENT'],
  ])('refuses %s among the options', (_, wrong, code) => {
    expect(() => dispatcherOf(wrong as object)).toThrow(expect.objectContaining({ code, outcome: 'not-executed' }));
  });

  it.each([
    ['not trusted', { tls: {} }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['loopback, where no network is named', { allowedNetworks: undefined }, 'ERR_EXTERNALNAME_ADDRESS_REFUSED'],
  ])('names what it is: %s', async (_, wrong, code) => {
    const error = await failureOf(get(dispatcherOf(wrong), '/', { method: 'POST' }));
    expect(error).toMatchObject({ code, outcome: 'not-executed' });
    expect(manual.a.requests).toEqual([]);
  });

  it.each([
    ['for another name', { name: 'other.example.com' }, 'ERR_EXTERNALNAME_TLS_IDENTITY'],
    ['expired', { name: 'httpbin-a.example.com', notAfter: new Date(Date.now() - 60_000) }, 'CERT_HAS_EXPIRED'],
  ])('says of a certificate what is wrong: %s', async (_, { name, ...more }, code) => {
    const server = await manual.serve(name, '127.0.0.55', more);
    manual.cluster.hosts.set(manual.a.name, [server.address]);
    const error = await failureOf(get(dispatcherOf(), '/'));
    expect(error).toMatchObject({ code, outcome: 'not-executed' });
    expect(server.requests).toEqual([]);
    await server.close();
  });
});

describe('the end of a dispatcher', () => {
  it('waits for what is in flight, refuses what comes, and leaves no connection', async () => {
    const dispatcher = dispatcherOf();
    const slow = get(dispatcher, '/anything?ms=300');
    await until(() => manual.a.requests.length === 1);
    const closed = dispatcher.close();
    expect(await failureOf(get(dispatcher, '/'))).toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    expect(await slow).toMatchObject({ server: 'httpbin-a.example.com' });
    await closed;
    await until(() => manual.a.connections.size === 0);
  });

  it('ends what is in flight, when it is destroyed', async () => {
    const dispatcher = dispatcherOf();
    const slow = failureOf(request(`${url}/anything?ms=3000`, { dispatcher }));
    await until(() => manual.a.requests.length === 1);
    await dispatcher.destroy();
    expect(await slow).toMatchObject({ outcome: 'unknown' });
  });
});

it('a dispatcher tells of its connections as undici does', async () => {
  const dispatcher = dispatcherOf({ connections: 1 });
  const connected = once(dispatcher, 'connect');
  await get(dispatcher, '/');
  const [, targets] = (await connected) as [URL, readonly unknown[]];
  expect(targets[0]).toBe(dispatcher);
  const drained = once(dispatcher, 'drain');
  await get(dispatcher, '/');
  expect(((await drained) as [URL, readonly unknown[]])[1][0]).toBe(dispatcher);
});
