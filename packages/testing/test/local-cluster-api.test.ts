import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { parseManifests } from '@externalname/core/manifests';
import { LocalCluster, type Status } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { webscalerDb } from './tools/webscaler.ts';

let cluster: LocalCluster;

beforeEach(async () => {
  cluster = await LocalCluster.start({ services: [webscalerDb], api: { bookmarkIntervalMillis: 30 } });
});

afterEach(() => cluster.close());

const services = '/api/v1/namespaces/default/services';
const switchTo = (target: string) =>
  cluster.services.patch('default', 'webscaler-db', [{ op: 'replace', path: '/spec/externalName', value: target }]);

describe('the Kubernetes API of a local cluster', () => {
  it('shows a certificate of its own authority', async () => {
    await expect(call('GET', '/version', { ca: undefined })).rejects.toMatchObject({
      code: expect.stringMatching(/UNABLE_TO_VERIFY|SELF_SIGNED/),
    });
    expect((await call('GET', '/version')).body).toMatchObject({ major: '1' });
  });

  it('answers an unknown token with 401, and a request without a token with what everyone may do', async () => {
    expect((await call('GET', services, { token: 'nonsense' })).code).toBe(401);
    const refused = await call('GET', services, { token: undefined });
    expect(refused.body).toMatchObject({
      code: 403,
      message:
        'services is forbidden: User "system:anonymous" cannot list resource "services" in API group "" in the namespace "default"',
    });
    expect((await call('GET', '/readyz', { token: undefined })).code).toBe(200);
  });

  it('refuses a replacement of what somebody changed meanwhile', async () => {
    const { body } = await call('GET', `${services}/webscaler-db`);
    await switchTo('secondary-db.example.com');
    const answer = await call('PUT', `${services}/webscaler-db`, { body });
    expect(answer.body).toMatchObject({ code: 409, reason: 'Conflict' });
  });

  it.each([
    [
      'JSON',
      'application/json',
      `{"apiVersion":"v1","kind":"Service","spec":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    ],
    ['YAML', 'application/yaml', `${'['.repeat(1_000)}\n---\n${'['.repeat(1_000)}`],
  ])('refuses a body of %s that is nested without end, and goes on', async (_, type, text) => {
    expect((await call('POST', services, { text, type })).body).toMatchObject({ code: 400 });
    expect((await call('GET', services)).code).toBe(200);
  });

  it.each([
    ['Pod', '/api/v1/namespaces/default/pods', { spec: { containers: [{ name: 'a', image: 'a' }] } }, 'Pending'],
    ['Namespace', '/api/v1/namespaces', {}, 'Active'],
  ])(
    'gives a new %s its phase, also if kubectl wrote `status: {}` into the manifest',
    async (kind, path, own, phase) => {
      const body = { apiVersion: 'v1', kind, metadata: { name: 'fresh' }, status: {}, ...own };
      expect((await call('POST', path, { body })).body).toMatchObject({ status: { phase } });
    },
  );

  it.each([
    ['Strict', 400, undefined],
    ['Warn', 201, '299 - "line 5: key \\"spec\\" already set in map"'],
    ['Ignore', 201, undefined],
  ])('takes a key that comes twice in YAML as fieldValidation=%s says', async (validation, code, warning) => {
    const query = `fieldManager=test&fieldValidation=${validation}`;
    for (const [method, path, type] of [
      ['POST', `${services}?${query}`, 'application/yaml'],
      ['PATCH', `${services}/applied?${query}`, 'application/apply-patch+yaml'],
    ] as const) {
      const name = method === 'POST' ? 'created' : 'applied';
      const text = `apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { type: ExternalName, externalName: primary-db.example.com }
spec: { type: ExternalName, externalName: secondary-db.example.com }
`;
      const answer = await call(method, path, { text, type });
      expect(answer.code).toBe(code);
      expect(answer.headers['warning']).toBe(warning);
      expect(answer.body).toMatchObject(
        code === 400
          ? { message: expect.stringContaining('line 5: key "spec" already set in map') }
          : { spec: { externalName: 'secondary-db.example.com' } },
      );
    }
  });

  it.each([
    [
      'braces',
      '{apiVersion: v1, kind: Service, metadata: {name: yaml}, spec: {type: ExternalName, externalName: a.example.com,}}',
    ],
    [
      'a directive',
      '%YAML 1.1\n--- {apiVersion: v1, kind: Service, metadata: {name: yaml}, spec: {type: ExternalName, externalName: a.example.com}}\n---\nnothing: [that is read',
    ],
  ])('reads a body of YAML that begins with %s', async (_, text) => {
    expect((await call('POST', services, { text, type: 'application/yaml' })).code).toBe(201);
  });

  it('answers in YAML what a reader of YAML 1.1 takes for the same', async () => {
    const annotations = {
      a: 'yes',
      b: 'on',
      c: '0o17',
      d: '1_000',
      e: '12:30',
      f: '<<',
      g: '=',
      '0777': '\x7f\x85',
      off: '',
    };
    const body = { ...webscalerDb, metadata: { name: 'texts', annotations } };
    expect((await call('POST', services, { body })).code).toBe(201);
    const { body: answer } = await call('GET', `${services}/texts`, { accept: 'application/yaml' });
    expect(parseManifests(String(answer['text']))).toMatchObject([{ metadata: { name: 'texts', annotations } }]);
    const kubeconfig = cluster.api.kubeconfig({ user: 'yes' });
    expect(parseManifests(kubeconfig)).toMatchObject([
      { users: [{ name: 'yes' }], contexts: [{ context: { user: 'yes' } }] },
    ]);
  });

  it('reads half of a surrogate pair in JSON as U+FFFD, as Go does', async () => {
    const body = { ...webscalerDb, metadata: { name: 'half', annotations: { a: 'x\ud83d', b: '\u{1f600}' } } };
    expect((await call('POST', services, { body })).code).toBe(201);
    const metadata = { annotations: { a: 'x\ufffd', b: '\u{1f600}' } };
    expect((await call('GET', `${services}/half`)).body).toMatchObject({ metadata });
    const { body: answer } = await call('GET', `${services}/half`, { accept: 'application/yaml' });
    expect(parseManifests(String(answer['text']))).toMatchObject([{ metadata }]);
  });

  it('refuses a body of YAML with an escape that only JSON has', async () => {
    const text = JSON.stringify({ ...webscalerDb, metadata: { name: 'slash' } }).replace('primary', '\\/primary');
    expect((await call('POST', services, { text, type: 'application/yaml' })).body).toMatchObject({ code: 400 });
  });

  it('refuses an object that etcd would not store', async () => {
    const finalizers = Array.from({ length: 30_000 }, (_, index) => `example.com/${'x'.repeat(45)}-${index}`);
    const body = { ...webscalerDb, metadata: { ...webscalerDb.metadata, name: 'large', finalizers } };
    expect((await call('POST', services, { body })).body).toMatchObject({
      code: 500,
      message: 'etcdserver: request is too large',
    });
  });

  it('lets a patch insist on a resource version', async () => {
    const patch = { metadata: { resourceVersion: '1' }, spec: { externalName: 'secondary-db.example.com' } };
    const answer = await call('PATCH', `${services}/webscaler-db`, {
      body: patch,
      type: 'application/merge-patch+json',
    });
    expect(answer.body).toMatchObject({ code: 409, reason: 'Conflict' });
  });

  it('refuses a guarded JSON patch whose test fails', async () => {
    const body = [
      { op: 'test', path: '/spec/externalName', value: 'other.example.com' },
      { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
    ];
    const answer = await call('PATCH', `${services}/webscaler-db`, { body, type: 'application/json-patch+json' });
    expect(answer.body).toMatchObject({ code: 422, reason: 'Invalid', details: {} });
    expect((await cluster.services.get('default', 'webscaler-db'))['spec']).toMatchObject({
      externalName: 'primary-db.example.com',
    });
  });

  it('warns in a header if it accepts a field that has no effect', async () => {
    const body = {
      metadata: { name: 'odd' },
      spec: { type: 'ClusterIP', ports: [{ port: 80 }], externalName: 'a.example' },
    };
    const answer = await call('POST', services, { body });
    expect(answer.headers.warning).toBe(
      '299 - "spec.externalName is ignored when spec.type is not \\"ExternalName\\""',
    );
  });

  it('changes nothing in a dry run', async () => {
    const body = { spec: { externalName: 'secondary-db.example.com' } };
    const answer = await call('PATCH', `${services}/webscaler-db?dryRun=All`, {
      body,
      type: 'application/merge-patch+json',
    });
    expect(answer.body).toMatchObject({ spec: { externalName: 'secondary-db.example.com' } });
    expect((await cluster.services.get('default', 'webscaler-db'))['spec']).toMatchObject({
      externalName: 'primary-db.example.com',
    });
  });

  it('lists page by page, as it was when the first page was read', async () => {
    const first = await call('GET', `${services}?limit=1`);
    const { continue: token, remainingItemCount } = first.body['metadata'] as Record<string, string>;
    expect(names(first.body)).toEqual(['kubernetes']);
    expect(remainingItemCount).toBe(1);
    await cluster.services.delete('default', 'webscaler-db');
    const second = await call('GET', `${services}?limit=1&continue=${token}`);
    expect(names(second.body)).toEqual(['webscaler-db']);
  });

  it('grants a list and a watch of one name, if they ask for no other', async () => {
    await grantWebscalerDb(['get', 'list', 'watch']);
    const token = cluster.api.tokenFor({ serviceAccount: 'app' });
    expect((await call('GET', services, { token })).code).toBe(403);
    const answer = await call('GET', `${services}?fieldSelector=metadata.name%3Dwebscaler-db`, { token });
    expect(names(answer.body)).toEqual(['webscaler-db']);
  });
});

describe('a watch', () => {
  it('begins with what is there, and tells every change', async () => {
    await using watch = await openWatch('');
    expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'kubernetes' } } });
    expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'webscaler-db' } } });
    await switchTo('secondary-db.example.com');
    expect(await watch.next()).toMatchObject({
      type: 'MODIFIED',
      object: { spec: { externalName: 'secondary-db.example.com' } },
    });
    await cluster.services.delete('default', 'webscaler-db');
    expect(await watch.next()).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'webscaler-db' } } });
  });

  it('resumes after a resource version', async () => {
    const { resourceVersion } = (await cluster.services.get('default', 'webscaler-db')).metadata;
    await switchTo('secondary-db.example.com');
    await switchTo('third-db.example.com');
    await using watch = await openWatch(`&resourceVersion=${resourceVersion}`);
    expect(await watch.next()).toMatchObject({ object: { spec: { externalName: 'secondary-db.example.com' } } });
    expect(await watch.next()).toMatchObject({ object: { spec: { externalName: 'third-db.example.com' } } });
  });

  it('gets 410 Gone in an event if the resource version is forgotten', async () => {
    const { resourceVersion } = (await cluster.services.get('default', 'webscaler-db')).metadata;
    await switchTo('secondary-db.example.com');
    cluster.api.expireResourceVersions();
    await using watch = await openWatch(`&resourceVersion=${resourceVersion}`);
    expect(await watch.next()).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
    expect(await watch.next()).toBeUndefined();
  });

  it('sees an object come into its selection and leave it', async () => {
    await using watch = await openWatch('&labelSelector=team%3Da&resourceVersion=0');
    await cluster.services.patch('default', 'webscaler-db', [
      { op: 'add', path: '/metadata/labels', value: { team: 'a' } },
    ]);
    expect(await watch.next()).toMatchObject({ type: 'ADDED' });
    await cluster.services.patch('default', 'webscaler-db', [{ op: 'remove', path: '/metadata/labels' }]);
    expect(await watch.next()).toMatchObject({ type: 'DELETED', object: { metadata: { labels: { team: 'a' } } } });
  });

  it('gets bookmarks if it asks for them', async () => {
    await using watch = await openWatch('&resourceVersion=999999&allowWatchBookmarks=true');
    const bookmark = await watch.next();
    expect(bookmark).toMatchObject({ type: 'BOOKMARK', object: { kind: 'Service' } });
  });

  it('says where the initial events end', async () => {
    await using watch = await openWatch(
      '&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true',
    );
    await watch.next();
    await watch.next();
    expect(await watch.next()).toMatchObject({
      type: 'BOOKMARK',
      object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
  });

  it('ends when its time is up', async () => {
    await using watch = await openWatch('&resourceVersion=999999&timeoutSeconds=1');
    expect(await watch.next()).toBeUndefined();
    expect(cluster.api.openWatches).toBe(0);
  });
});

describe('a fault of the API', () => {
  it('refusing is a refused connection until it ends', async () => {
    const fault = cluster.api.fault({ kind: 'refusing' });
    await expect(call('GET', '/version')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    fault.end();
    await cluster.api.listening();
    expect((await call('GET', '/version')).code).toBe(200);
  });

  it('status is an answer in the form of the API server', async () => {
    cluster.api.fault({ kind: 'status', code: 429, retryAfterSeconds: 3, verb: 'list', times: 1 });
    expect((await call('GET', `${services}/webscaler-db`)).code).toBe(200);
    const answer = await call('GET', services);
    expect(answer.body).toMatchObject({ kind: 'Status', code: 429, reason: 'TooManyRequests' });
    expect(answer.headers['retry-after']).toBe('3');
    expect((await call('GET', services)).code).toBe(200);
  });

  it('slow answers late', async () => {
    cluster.api.fault({ kind: 'slow', delayMillis: 80 });
    const start = performance.now();
    expect((await call('GET', services)).code).toBe(200);
    expect(performance.now() - start).toBeGreaterThanOrEqual(75);
  });

  it('dropping-watches ends those that are open and those that are opened', async () => {
    await using before = await openWatch('&resourceVersion=0');
    await before.next();
    await before.next();
    cluster.api.fault({ kind: 'dropping-watches' });
    expect(await before.next()).toBeUndefined();
    await using after = await openWatch('&resourceVersion=999999');
    expect(await after.next()).toBeUndefined();
  });

  it('dropping-watches by a reset breaks the connection', async () => {
    await using watch = await openWatch('&resourceVersion=999999');
    cluster.api.fault({ kind: 'dropping-watches', how: 'reset' });
    await expect(watch.next()).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('silent-watches hold back what happens until it ends', async () => {
    await using watch = await openWatch('&resourceVersion=999999');
    const fault = cluster.api.fault({ kind: 'silent-watches' });
    await switchTo('secondary-db.example.com');
    const next = watch.next();
    expect(await Promise.race([next, call('GET', '/version')])).toMatchObject({ code: 200 });
    fault.end();
    expect(await next).toMatchObject({ type: 'MODIFIED' });
  });

  it.each([['event'], ['status']] as const)('expired tells a resumed watch 410 as %s', async (as) => {
    cluster.api.fault({ kind: 'expired', as });
    if (as === 'status') {
      expect((await call('GET', `${services}?watch=1&resourceVersion=5`)).body).toMatchObject({ code: 410 });
    } else {
      await using watch = await openWatch('&resourceVersion=5');
      expect(await watch.next()).toMatchObject({ type: 'ERROR', object: { code: 410 } });
    }
  });
});

interface CallOptions {
  /** The body as it stands. */
  text?: string;
  token?: string | undefined;
  ca?: string | undefined;
  body?: unknown;
  type?: string;
  accept?: string;
}

interface Answer {
  readonly code: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

async function call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const response = await open(method, path, options);
  let text = '';
  for await (const chunk of response) text += String(chunk);
  const json = response.headers['content-type']?.startsWith('application/json') ?? false;
  const body = (json ? JSON.parse(text) : { text }) as Record<string, unknown>;
  return { code: response.statusCode ?? 0, headers: response.headers, body };
}

function open(method: string, path: string, options: CallOptions): Promise<IncomingMessage> {
  const { token = cluster.api.adminToken(), ca = cluster.api.certificateAuthority } = options;
  const shown = 'token' in options ? options.token : token;
  const body = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  return new Promise((resolve, reject) => {
    const sent = request(
      `${cluster.api.url}${path}`,
      {
        method,
        agent: false,
        ...('ca' in options && options.ca === undefined ? {} : { ca }),
        headers: {
          ...(shown === undefined ? {} : { authorization: `Bearer ${shown}` }),
          ...(options.accept === undefined ? {} : { accept: options.accept }),
          ...(body === undefined
            ? {}
            : { 'content-type': options.type ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      },
      resolve,
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

interface SeenEvent {
  readonly type: string;
  readonly object: Record<string, unknown> | Status;
}

/** Opens a watch on the Services of the default namespace; `next()` gives undefined at its end. */
async function openWatch(query: string): Promise<{ next(): Promise<SeenEvent | undefined> } & AsyncDisposable> {
  const response = await open('GET', `${services}?watch=1${query}`, {});
  const lines = (async function* () {
    let text = '';
    for await (const chunk of response) {
      text += String(chunk);
      const whole = text.split('\n');
      text = whole.pop() ?? '';
      for (const line of whole) yield JSON.parse(line) as SeenEvent;
    }
  })();
  return {
    next: async () => (await lines.next()).value ?? undefined,
    async [Symbol.asyncDispose]() {
      response.destroy();
    },
  };
}

async function grantWebscalerDb(verbs: string[]): Promise<void> {
  const metadata = { name: 'webscaler-db', namespace: 'default' };
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const role = {
    apiVersion,
    kind: 'Role',
    metadata,
    rules: [{ apiGroups: [''], resources: ['services'], resourceNames: ['webscaler-db'], verbs }],
  };
  const binding = {
    apiVersion,
    kind: 'RoleBinding',
    metadata,
    roleRef: { kind: 'Role', name: 'webscaler-db' },
    subjects: [{ kind: 'ServiceAccount', name: 'app', namespace: 'default' }],
  };
  await cluster.objects.apply(role);
  await cluster.objects.apply(binding);
}

function names(list: Record<string, unknown>): string[] {
  return (list['items'] as { metadata: { name: string } }[]).map((item) => item.metadata.name);
}
