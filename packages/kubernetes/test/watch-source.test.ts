import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dependencies, Target, TargetSource } from '@externalname/core';
import { sourceDegraded, sourceRecovered } from '@externalname/core/events';
import {
  checkTargetSource,
  ManualClock,
  type TargetSourceHarness,
  targetSourceContract,
} from '@externalname/core/internal-testing';
import { createCertificateAuthority } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type KubernetesSourceOptions, kubernetesSource } from '../src/index.ts';
import { expired, forbidden, ScriptedApi, status, until } from './scripted-api.ts';

let api: ScriptedApi;
const sources: TargetSource[] = [];

beforeEach(async () => {
  api = await new ScriptedApi().start();
  api.put('primary-db.example.com');
});

afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.close()));
  await api.stop();
});

function source(options: Partial<KubernetesSourceOptions> = {}, dependencies: Dependencies = {}): TargetSource {
  const kubeConfig = api.kubeConfig();
  const common = { service: 'webscaler-db', clusterDomain: 'cluster.local', kubeConfig };
  const reconnect = { reconnectInitialMillis: 2, reconnectMaxMillis: 4 };
  const made = kubernetesSource({ ...common, ...reconnect, ...options }, dependencies);
  sources.push(made);
  return made;
}

/** Has the API speak TLS from now on. Resolves with the certificate of its authority. */
async function useTls(): Promise<string> {
  const authority = await createCertificateAuthority();
  await api.stop();
  api = await new ScriptedApi(await authority.issue({ hostNames: [], addresses: ['127.0.0.1'] })).start();
  api.put('primary-db.example.com');
  return authority.certificate;
}

/** A kubeconfig that leads to the API by TLS. */
function kubeconfig(ca: string, user: object): string {
  const cluster = {
    server: `https://127.0.0.1:${api.port}`,
    'certificate-authority-data': Buffer.from(ca).toString('base64'),
  };
  return JSON.stringify({
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

/** A source that is followed, and what it told. */
async function followed(options: Partial<KubernetesSourceOptions> = {}, dependencies: Dependencies = {}) {
  const made = source(options, dependencies);
  const told: Target[] = [];
  const stop = made.subscribe((target) => told.push(target));
  await made.current().catch(() => undefined);
  return { source: made, told, names: () => told.map((target) => target.externalName), stop };
}

describe('a Service followed through the Kubernetes API', () => {
  it('tells no token that the API says back in an event', async () => {
    const reasons: unknown[] = [];
    const stop = sourceDegraded.subscribe(({ error }) => reasons.push(error));
    const paused = { reconnectInitialMillis: 5_000, reconnectMaxMillis: 5_000 };
    await followed({ kubeConfig: api.kubeConfig(() => 'correct-horse'), ...paused });
    await until('the watch is open', () => api.watching > 0);
    api.sendToWatches({ type: 'ERROR', object: status(403, 'Forbidden', 'Bearer correct-horse may not watch') });
    await until('the source is degraded', () => reasons.length > 0);
    stop();
    expect(String(reasons[0])).toContain('[hidden] may not watch');
    expect(JSON.stringify(reasons.map((error) => [String(error), (error as Error).stack]))).not.toContain('horse');
  });

  it('is not one of the same name in another namespace, in whatever answer it comes', async () => {
    const { told, names } = await followed();
    const elsewhere = (externalName: string, version: string) => ({
      kind: 'Service',
      metadata: { name: 'webscaler-db', namespace: 'evil', uid: 'uid-2', resourceVersion: version },
      spec: { type: 'ExternalName', externalName },
    });
    api.sendToWatches({ type: 'MODIFIED', object: elsewhere('evil.example.org', '900') });
    api.sendToWatches({ type: 'DELETED', object: elsewhere('evil.example.org', '901') });
    api.put('secondary-db.example.com');
    await until('the switch', () => told.length === 2);
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);

    api.answerWith((_, url) => {
      const body = url.searchParams.has('fieldSelector')
        ? { metadata: { resourceVersion: '902' }, items: [elsewhere('evil.example.org', '902')] }
        : elsewhere('evil.example.org', '902');
      return { status: 200, body };
    });
    const other = source({ service: 'webscaler-db.default' });
    await expect(other.current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE' });
  });

  it('has the target that its externalName names', async () => {
    api.put('Primary-DB.example.com.');
    const target = await source().current();
    expect(target).toEqual({
      externalName: 'primary-db.example.com',
      via: ['webscaler-db.default.svc.cluster.local'],
      version: '102',
      source: 'kubernetes',
      stale: false,
    });
  });

  it('pushes a switch to subscribers', async () => {
    const { names, source: made } = await followed();
    await until('the watch', () => api.watching === 1);
    api.put('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
    expect((await made.current()).externalName).toBe('secondary-db.example.com');
  });

  it('says nothing of a change that leaves the target as it was', async () => {
    const { names } = await followed();
    await until('the watch', () => api.watching === 1);
    api.put('primary-db.example.com');
    api.put('PRIMARY-DB.example.com.');
    api.put('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
  });

  it('opens nothing before it is used, and leaves nothing open when it is closed', async () => {
    const made = source();
    expect(api.requests).toEqual([]);
    made.subscribe(() => undefined);
    await until('the watch', () => api.watching === 1);
    await made.close();
    await until('no connection', () => api.connections === 0);
    await expect(made.current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
  });

  it('ends the watch with the last subscription', async () => {
    const { stop } = await followed();
    await until('the watch', () => api.watching === 1);
    stop();
    await until('no connection', () => api.connections === 0);
  });

  it('asks once for all who ask at the same time without a subscriber', async () => {
    const made = source();
    await Promise.all([made.current(), made.current(), made.current({ fresh: true })]);
    expect(api.requests).toEqual(['get']);
  });

  it('shares one watch among all sources of the process', async () => {
    const kubeConfig = api.kubeConfig();
    const many = await Promise.all(Array.from({ length: 20 }, () => followed({ kubeConfig })));
    await until('the watch', () => api.watching === 1);
    api.put('secondary-db.example.com');
    await until('everybody', () => many.every(({ names }) => names().at(-1) === 'secondary-db.example.com'));
    expect(api.requests).toEqual(['list', 'watch 101']);
    for (const { stop } of many.slice(1)) stop();
    expect(api.watching).toBe(1);
    many[0]?.stop();
    await until('no connection', () => api.connections === 0);
  });

  it('asks the server itself where a fresh answer is wanted, and tells everybody what it learned', async () => {
    const { source: made, names } = await followed();
    await until('the watch', () => api.watching === 1);
    const newer = {
      metadata: { name: 'webscaler-db', namespace: 'default', resourceVersion: '200' },
      spec: { type: 'ExternalName', externalName: 'secondary-db.example.com' },
    };
    api.answerWith((_, url) => (url.pathname.endsWith('/webscaler-db') ? { status: 200, body: newer } : undefined));
    expect((await made.current({ fresh: true })).externalName).toBe('secondary-db.example.com');
    // An event of before, which arrives late, does not undo it.
    api.put('primary-db.example.com');
    api.bookmark();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
  });

  it('keeps the last target, marked stale, when the Service is deleted, and follows the one that comes after', async () => {
    const { source: made, names } = await followed();
    await until('the watch', () => api.watching === 1);
    api.remove();
    await until('stale', async () => (await made.current()).stale);
    expect((await made.current()).externalName).toBe('primary-db.example.com');
    api.put('secondary-db.example.com');
    await until('the new one', () => names().includes('secondary-db.example.com'));
    expect((await made.current()).stale).toBe(false);
  });

  it('keeps the last target when the Service becomes one of another type', async () => {
    const { source: made, names } = await followed();
    await until('the watch', () => api.watching === 1);
    api.put('', 'ClusterIP');
    await until('stale', async () => (await made.current()).stale);
    expect(names()).toEqual(['primary-db.example.com']);
  });

  it('refuses a Service of another type that never had a target', async () => {
    api.put('', 'ClusterIP');
    await expect(source().current()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_NOT_EXTERNAL_NAME',
      message: expect.stringContaining('is of type ClusterIP'),
    });
  });

  it('refuses a Service that is not there', async () => {
    api.remove();
    await expect(source().current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_SERVICE_NOT_FOUND' });
    const { source: made } = await followed();
    await expect(made.current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_SERVICE_NOT_FOUND' });
  });

  it('ends a wait with the reason of the signal', async () => {
    api.answerWith(() => 'silence');
    const controller = new AbortController();
    const waiting = source().current({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});

describe('a watch that is cut', () => {
  it('goes on from where it was, a thousand times, and misses no switch and tells none twice', async () => {
    const { names } = await followed({ reconnectInitialMillis: 1, reconnectMaxMillis: 1 });
    const expected = ['primary-db.example.com'];
    for (let round = 0; round < 1000; round += 1) {
      await until('the watch', () => api.watching === 1);
      const name = `db-${round}.example.com`;
      // In turn: while it stands, in the moment of the cut, and while it is down.
      if (round % 3 === 0) api.put(name);
      api.cut();
      if (round % 3 === 1) api.put(name);
      if (round % 3 === 2) {
        api.answerWith(() => ({ status: 503, body: 'down' }));
        await until('the cut', () => api.watching === 0);
        api.put(name);
        api.answerWith();
      }
      expected.push(name);
    }
    await until('the last one', () => names().length >= expected.length);
    expect(names()).toEqual(expected);
    expect(api.requests.filter((request) => request.startsWith('list'))).toHaveLength(1);
    await until('one connection', () => api.connections === 1);
  }, 60_000);

  it('is renewed without a new list when the server ends it', async () => {
    const { source: made } = await followed();
    await until('the watch', () => api.watching === 1);
    api.bookmark();
    api.endWatches();
    await until('the next', () => api.requests.length === 3);
    expect(api.requests).toEqual(['list', 'watch 101', `watch ${api.version}`]);
    expect((await made.current()).stale).toBe(false);
  });

  it.each([
    ['as an answer', () => api.cut()],
    ['as an event', () => api.sendToWatches({ type: 'ERROR', object: expired(101, 102).body })],
  ])('lists again when its version has expired, said %s', async (_, breakIt) => {
    const { names } = await followed();
    await until('the watch', () => api.watching === 1);
    api.answerWith(() => ({ status: 503, body: 'down' }));
    api.cut();
    api.put('secondary-db.example.com');
    api.put('tertiary-db.example.com');
    api.compact();
    api.answerWith();
    await until('the watch', () => api.watching === 1);
    await until('the switch', () => names().includes('tertiary-db.example.com'));
    breakIt();
    await until('the watch', () => api.watching === 1);
    expect(names()).toEqual(['primary-db.example.com', 'tertiary-db.example.com']);
    expect(api.requests.filter((request) => request.startsWith('list')).length).toBeGreaterThan(1);
  });

  it('lists again, and believes it, when the server was restored from a backup and its versions went back', async () => {
    const { names } = await followed();
    await until('the watch', () => api.watching === 1);
    api.put('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    api.restore('primary-db.example.com');
    await until('the old one', () => names().at(-1) === 'primary-db.example.com');
  });

  it('is found by silence when the TCP path is gone without a word', async () => {
    const clock = new ManualClock();
    const { names, source: made } = await followed({}, { clock });
    await until('the watch', () => api.watching === 1);
    const [first] = api.requests.filter((request) => request.startsWith('watch'));
    await clock.advance(34_000);
    expect(api.requests).toEqual(['list', first]);
    await clock.advance(1_000);
    await until('the next watch', async () => {
      await clock.advance(10);
      return api.requests.length > 2;
    });
    expect(api.requests[2]).toBe(first);
    await until('one connection', () => api.connections === 1);
    expect(names()).toEqual(['primary-db.example.com']);
    expect((await made.current()).stale).toBe(false);
  });

  it('asks the server to end a quiet watch before its own deadline on silence', async () => {
    let seconds: number | undefined;
    api.answerWith((_, url) => {
      if (url.searchParams.has('watch')) seconds = Number(url.searchParams.get('timeoutSeconds'));
      return undefined;
    });
    await followed({ silenceMillis: 20_000 });
    await until('the watch', () => seconds !== undefined);
    expect(seconds).toBeGreaterThanOrEqual(14);
    expect(seconds).toBeLessThan(18);
  });

  it('does not become a storm of requests when the server answers and closes at once', async () => {
    const clock = new ManualClock();
    await followed({ reconnectInitialMillis: 100, reconnectMaxMillis: 10_000 }, { clock });
    await until('the watch', () => api.watching === 1);
    const before = api.requests.length;
    const cutting = setInterval(() => api.cut(), 1);
    for (let millis = 0; millis < 1_000; millis += 10) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      await clock.advance(10);
    }
    clearInterval(cutting);
    expect(api.requests.length - before).toBeGreaterThan(1);
    expect(api.requests.length - before).toBeLessThanOrEqual(5);
  });

  it('waits as long as the server asks', async () => {
    const clock = new ManualClock();
    api.answerWith(() => ({
      status: 429,
      body: status(429, 'TooManyRequests', 'slow'),
      headers: { 'Retry-After': '7' },
    }));
    const made = source({}, { clock });
    made.subscribe(() => undefined);
    await until('the first', () => api.requests.length === 1);
    await until('stale', async () => {
      await clock.advance(1);
      return made.current().then(
        () => false,
        () => true,
      );
    });
    await clock.advance(6_900);
    expect(api.requests).toHaveLength(1);
    await until('the second', async () => {
      await clock.advance(20);
      return api.requests.length === 2;
    });
  });
});

describe('an API server that does not serve', () => {
  it('is told of once, whatever it says how often; the last target stays, and the watch takes over again', async () => {
    const events: string[] = [];
    const stop = [
      sourceDegraded.subscribe(({ source: from, code }) => events.push(`degraded ${from} ${code}`)),
      sourceRecovered.subscribe(({ source: from }) => events.push(`recovered ${from}`)),
    ];
    const { source: made, names } = await followed();
    await until('the watch', () => api.watching === 1);
    api.answerWith(() => ({ status: 503, body: status(503, 'ServiceUnavailable', 'down') }));
    api.cut();
    await until('many tries', () => api.requests.length > 10);
    expect(await made.current()).toMatchObject({ externalName: 'primary-db.example.com', stale: true });
    api.put('secondary-db.example.com');
    api.answerWith();
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect((await made.current()).stale).toBe(false);
    expect(events).toEqual(['degraded kubernetes ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE', 'recovered kubernetes']);
    for (const end of stop) end();
  });

  it.each([
    [
      'its answer',
      (_: IncomingMessage, url: URL) => (url.searchParams.has('watch') ? expired(1, api.version) : undefined),
    ],
    ['an event', undefined],
  ])('is told of once while every watch ends in %s, and follows by its lists meanwhile', async (_, answer) => {
    const events: string[] = [];
    const stop = [
      sourceDegraded.subscribe(() => events.push('degraded')),
      sourceRecovered.subscribe(() => events.push('recovered')),
    ];
    api.answerWith(answer);
    const clock = new ManualClock();
    const patient = { requestTimeoutMillis: 60_000, silenceMillis: 600_000 };
    const reconnect = { reconnectInitialMillis: 200, reconnectMaxMillis: 15_000 };
    const { source: made, names } = await followed({ ...patient, ...reconnect }, { clock, random: () => 1 });
    const lists = () => api.requests.filter((request) => request.startsWith('list')).length;
    await until('many tries', async () => {
      if (answer === undefined) api.sendToWatches({ type: 'ERROR', object: expired(101, 102).body });
      await clock.advance(200);
      return lists() > 10;
    });
    expect(events).toEqual(['degraded']);
    expect(made.known).toMatchObject({ externalName: 'primary-db.example.com', stale: true });
    api.put('secondary-db.example.com');
    await until('the switch', async () => {
      await clock.advance(200);
      return names().includes('secondary-db.example.com');
    });
    expect(events).toEqual(['degraded']);
    api.answerWith();
    await until('the watch that holds', async () => {
      await clock.advance(200);
      return made.known?.stale === false;
    });
    expect(events).toEqual(['degraded', 'recovered']);
    for (const end of stop) end();
  });

  it('is not told of for one version that has expired: the list that follows is the answer', async () => {
    const events: string[] = [];
    const stop = sourceDegraded.subscribe(({ code }) => events.push(String(code)));
    const { names } = await followed();
    await until('the watch', () => api.watching === 1);
    api.answerWith((_, url) => (url.searchParams.get('resourceVersion') === '101' ? expired(101, '102') : undefined));
    api.cut();
    api.put('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(api.requests.filter((request) => request.startsWith('list')).length).toBeGreaterThan(1);
    expect(events).toEqual([]);
    stop();
  });

  it('may be stopped and started: the switch that was made meanwhile is seen', async () => {
    const { source: made, names } = await followed();
    await until('the watch', () => api.watching === 1);
    const { port } = api;
    await api.stop();
    await until('stale', async () => (await made.current()).stale);
    api = new ScriptedApi();
    api.put('primary-db.example.com');
    api.put('secondary-db.example.com');
    await api.start(port);
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(names()).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
  });

  it.each(['list', 'watch'])('may forbid to %s: the error prints the rule that is missing', async (verb) => {
    api.answerWith((_, url) =>
      (url.searchParams.has('watch') ? 'watch' : 'list') === verb ? forbidden(verb) : undefined,
    );
    const errors: Error[] = [];
    const end = sourceDegraded.subscribe(({ error }) => errors.push(error as Error));
    const { source: made } = await followed();
    await until('the error', () => errors.length === 1);
    end();
    expect(errors[0]).toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN' });
    expect(errors[0]?.message).toContain(
      [
        '- apiGroups: [""]',
        '  resources: ["services"]',
        '  resourceNames: ["webscaler-db"]',
        `  verbs: ["${verb}"]`,
      ].join('\n'),
    );
    api.answerWith();
    await until('the watch', async () => api.watching === 1 && !(await made.current()).stale);
  });

  it('may not accept the credentials: the error says so and shows none of them', async () => {
    api.answerWith(() => ({ status: 401, body: status(401, 'Unauthorized', 'Unauthorized') }));
    const error = await source({ kubeConfig: api.kubeConfig(() => 'very-secret') })
      .current()
      .catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_UNAUTHORIZED' });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('very-secret');
  });

  it('is asked with the new token as soon as the old one is not accepted any more', async () => {
    const ca = await useTls();
    const folder = await mkdtemp(join(tmpdir(), 'externalname-kubeconfig-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'config');
    const write = (token: string) => writeFile(file, kubeconfig(ca, { token }));
    await write('first');
    const { names } = await followed({ kubeConfig: file });
    await until('the watch', () => api.watching === 1);
    await write('second');
    api.answerWith((request) =>
      request.headers.authorization === 'Bearer second'
        ? undefined
        : { status: 401, body: status(401, 'Unauthorized', 'Unauthorized') },
    );
    api.cut();
    api.put('secondary-db.example.com');
    await until('the switch', () => names().includes('secondary-db.example.com'));
    expect(api.tokens.at(-1)).toBe('second');
  });

  it('is asked with the token that stands in the token file by then', async () => {
    const ca = await useTls();
    const folder = await mkdtemp(join(tmpdir(), 'externalname-kubeconfig-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'config');
    await writeFile(file, kubeconfig(ca, { tokenFile: 'token' }));
    await writeFile(join(folder, 'token'), 'first\n');
    const made = source({ kubeConfig: file });
    await made.current();
    await writeFile(join(folder, 'token'), 'second\n');
    await made.current({ fresh: true });
    // What it said last counts while it is away.
    await rm(join(folder, 'token'));
    await made.current({ fresh: true });
    expect(api.tokens).toEqual(['first', 'second', 'second']);
  });

  it('is named by the error, with context and cluster', async () => {
    api.answerWith(() => ({ status: 401, body: status(401, 'Unauthorized', 'Unauthorized') }));
    await expect(source().current()).rejects.toMatchObject({
      message: expect.stringContaining(`http://127.0.0.1:${api.port} (context scripted, cluster scripted)`),
    });
  });

  it('may answer with something else than JSON', async () => {
    api.answerWith(() => ({ status: 200, body: '<html>a proxy</html>' }));
    await expect(source().current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE' });
  });

  it('may give no answer at all: the deadline says so', async () => {
    api.answerWith(() => 'silence');
    await expect(source({ requestTimeoutMillis: 100 }).current()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
      message: expect.stringContaining('100 ms'),
    });
    await until('no connection', () => api.connections === 0);
  });
});

describe.each(targetSourceContract)('a Kubernetes source $promise', ({ check }) => {
  it('keeps its promise', () => checkTargetSource(check, contractHarness));
});

/** A second source sees what the shared watch has brought, so that nothing has to be waited for by the clock. */
async function contractHarness(): Promise<TargetSourceHarness> {
  const kubeConfig = api.kubeConfig();
  const observer = source({ kubeConfig });
  const stop = observer.subscribe(() => undefined);
  let isDown = false;
  return {
    source: source({ kubeConfig }),
    change: (externalName) => api.put(externalName),
    settle: async () => {
      await until('the watch to settle', async () => {
        const { externalName, stale } = await observer.current();
        return isDown ? stale : !stale && externalName === api.service?.spec.externalName;
      });
      await new Promise((resolve) => setImmediate(resolve));
    },
    fail: () => {
      isDown = true;
      api.answerWith(() => ({ status: 503, body: 'down' }));
      api.cut();
    },
    recover: () => {
      isDown = false;
      api.answerWith();
    },
    dispose: async () => stop(),
  };
}

describe('options out of bounds', () => {
  it.each([
    [{ service: 'a b' }, 'service'],
    [{ service: 'db.shop', namespace: 'other' }, 'namespace'],
    [{ silenceMillis: 10 }, 'silenceMillis'],
    [{ requestTimeoutMillis: Number.NaN }, 'requestTimeoutMillis'],
    [{ reconnectInitialMillis: 500, reconnectMaxMillis: 100 }, 'reconnectMaxMillis'],
    [{ kubeConfig: '' }, 'kubeConfig'],
    [{ kubeConfig: {} as never }, 'kubeConfig'],
  ])('%o are refused before any I/O', (options, argument) => {
    expect(() => source(options)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });
});
