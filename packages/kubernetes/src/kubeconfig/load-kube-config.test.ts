import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadKubeConfig } from './load-kube-config.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'externalname-kubeconfig-'));
  await mkdir(join(folder, 'pod'));
  await writeFile(join(folder, 'pod', 'token'), 'pod-token\n');
  await writeFile(join(folder, 'pod', 'namespace'), 'payments\n');
});

afterEach(() => rm(folder, { recursive: true }));

const variables = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
const withServer = (context: object = {}) =>
  JSON.stringify({
    clusters: [{ name: 'staging', cluster: { server: 'https://staging.example.com' } }],
    users: [{ name: 'operator', user: { token: 'secret-token' } }],
    contexts: [{ name: 'staging', context: { cluster: 'staging', user: 'operator', ...context } }],
    'current-context': 'staging',
  });

const load = (environment: Record<string, string>, more: { file?: string; context?: string } = {}) =>
  loadKubeConfig({
    file: more.file,
    context: more.context,
    environment: { HOME: folder, ...environment },
    podFolder: join(folder, 'pod'),
  });

describe('in a pod', () => {
  it("the pod's service account is used if there is no kubeconfig", async () => {
    const config = await load(variables);
    expect(config.getCurrentCluster().server).toBe('https://10.96.0.1/');
    expect(config.getContextObject(config.getCurrentContext())).toEqual({ namespace: 'payments' });
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    expect(options).toMatchObject({ headers: { Authorization: 'Bearer pod-token' } });
  });

  it('the token is the one of the file by then', async () => {
    const config = await load(variables);
    await config.applyToHTTPSOptions({});
    await writeFile(join(folder, 'pod', 'token'), 'rotated-token');
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    expect(options).toMatchObject({ headers: { Authorization: 'Bearer rotated-token' } });
  });

  it('its certificate authority counts if it is there', async () => {
    await writeFile(join(folder, 'pod', 'ca.crt'), 'PEM');
    const options: RequestOptions = {};
    await (await load(variables)).applyToHTTPSOptions(options);
    expect(String(options.ca)).toBe('PEM');
  });

  it('POD_NAMESPACE comes before the file', async () => {
    const config = await load({ ...variables, POD_NAMESPACE: 'orders' });
    expect(config.getContextObject(config.getCurrentContext())).toEqual({ namespace: 'orders' });
  });

  it('an IPv6 address of the API gets its brackets', async () => {
    const config = await load({ ...variables, KUBERNETES_SERVICE_HOST: 'fd00::1' });
    expect(config.getCurrentCluster().server).toBe('https://[fd00::1]/');
  });

  it('a kubeconfig comes first, and the namespace that it leaves out is that of the pod', async () => {
    await mkdir(join(folder, '.kube'));
    await writeFile(join(folder, '.kube', 'config'), withServer());
    const config = await load(variables);
    expect(config.getCurrentCluster().server).toBe('https://staging.example.com/');
    expect(config.getContextObject('staging')).toEqual({ namespace: 'payments' });
  });

  it('KUBECONFIG with a file that is not there leaves the service account', async () => {
    const config = await load({ ...variables, KUBECONFIG: join(folder, 'missing') });
    expect(config.getCurrentCluster().name).toBe('inCluster');
  });

  it('the service account stays, though a kubeconfig is there by the time that it is read again', async () => {
    await mkdir(join(folder, '.kube'));
    await writeFile(join(folder, '.kube', 'config'), withServer());
    const config = await load(variables, { context: 'inCluster' });
    expect(config.getCurrentCluster().server).toBe('https://10.96.0.1/');
  });

  it.each([[{ KUBERNETES_SERVICE_HOST: '10.96.0.1' }], [{ KUBERNETES_SERVICE_PORT: '443' }], [{}]])(
    'one needs both variables, and has %o',
    async (some) => {
      await expect(load(some as Record<string, string>)).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_KUBERNETES_CONFIG',
        message: expect.stringContaining(join(folder, '.kube', 'config')),
      });
    },
  );
});

// All of kubectl's rules are in test/contract/kubeconfig; this one must not wait for it.
describe('of two files with a current-context', () => {
  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ])('the first one wins: %s, %s', async (...names) => {
    for (const name of names) await writeFile(join(folder, name), withServer().replaceAll('staging', name));
    const config = await load({ KUBECONFIG: names.map((name) => join(folder, name)).join(delimiter) });
    expect(config.getCurrentContext()).toBe(names[0]);
    expect(config.getCurrentCluster().server).toBe(`https://${names[0]}.example.com/`);
  });
});

describe('a kubeconfig that cannot be used', () => {
  it.each([
    ['tokens: secret-token: [', 'line 1'],
    ['users: [{ name: u, user: { token: [secret-token] } }]', 'users[0].user.token'],
    ['users: secret-token', 'users'],
    ['secret-token', 'not an object'],
    ['clusters: [{ name: c, cluster: { certificate-authority-data: secret-token } }]', 'certificate-authority-data'],
  ])('is refused by the place of the mistake, and not by its text: %s', async (text, place) => {
    const file = join(folder, 'config');
    await writeFile(file, text);
    const error: Error = await load({}, { file }).then(
      () => new Error('it was read'),
      (thrown) => thrown,
    );
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_CONFIG' });
    expect(error.message).toContain(place);
    expect(error.message).toContain(file);
    expect(`${error.message} ${String(error.cause)}`).not.toContain('secret-token');
  });

  it('is refused if the context that was current before is gone', async () => {
    const file = join(folder, 'config');
    await writeFile(file, withServer());
    await expect(load({}, { file, context: 'production' })).rejects.toMatchObject({
      message: expect.stringContaining('there is no context "production"'),
    });
  });

  it('is refused before a request if no header takes its token, which is not told', async () => {
    const file = join(folder, 'config');
    await writeFile(file, withServer().replace('secret-token', 'secret-token\\r\\nX-More: yes'));
    const config = await load({}, { file });
    const error: Error = await config.applyToHTTPSOptions({}).then(
      () => new Error('it was taken'),
      (thrown) => thrown,
    );
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_CONFIG' });
    expect(error.message).not.toContain('secret-token');
  });
});
