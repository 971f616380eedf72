import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { createCertificateAuthority } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kubernetesSource } from '../src/index.ts';
import { ScriptedApi, until } from './scripted-api.ts';

let api: ScriptedApi;
let proxy: Server;
let folder: string;
const sockets = new Set<Socket>();
/** What the proxy does with a CONNECT. */
let onConnect: (request: IncomingMessage, socket: Socket) => void;

beforeEach(async () => {
  const authority = await createCertificateAuthority();
  api = await new ScriptedApi(await authority.issue({ hostNames: [], addresses: ['127.0.0.1'] })).start();
  api.put('primary-db.example.com');
  onConnect = (request, socket) => {
    const outgoing = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(outgoing).pipe(socket);
    });
    outgoing.on('error', () => undefined);
    outgoing.on('close', () => socket.destroy());
    socket.on('close', () => outgoing.destroy());
  };
  proxy = createServer();
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => onConnect(request, socket));
  proxy.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'externalname-kubeconfig-'));
  const cluster = {
    server: `https://127.0.0.1:${api.port}`,
    'certificate-authority-data': Buffer.from(authority.certificate).toString('base64'),
    'proxy-url': `http://operator:open-sesame@127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  };
  await writeFile(
    join(folder, 'config'),
    JSON.stringify({
      clusters: [{ name: 'staging', cluster }],
      users: [{ name: 'operator', user: { token: 'secret-token' } }],
      contexts: [{ name: 'staging', context: { cluster: 'staging', user: 'operator' } }],
      'current-context': 'staging',
    }),
  );
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => proxy.close(resolve));
  await api.stop();
  await rm(folder, { recursive: true });
});

const source = (requestTimeoutMillis = 10_000) =>
  kubernetesSource({
    service: 'webscaler-db',
    clusterDomain: 'cluster.local',
    kubeConfig: join(folder, 'config'),
    requestTimeoutMillis,
  });

describe('a Service followed through a proxy', () => {
  it('has its switch pushed', async () => {
    await using made = source();
    const names: string[] = [];
    made.subscribe(({ externalName }) => names.push(externalName));
    await made.current();
    await until('the watch', () => api.watching === 1);
    api.put('secondary-db.example.com');
    await until('the switch', () => names.includes('secondary-db.example.com'));
    expect(api.tokens).toContain('secret-token');
  });

  it('leaves no connection behind', async () => {
    const made = source();
    made.subscribe(() => undefined);
    await until('the watch', () => api.watching === 1);
    await made.close();
    await until('no connection', () => api.connections === 0 && sockets.size === 0);
  });

  it.each([
    [
      'refuses the credentials',
      'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n',
      '407 Proxy Authentication Required',
    ],
    ['does not find the server', 'HTTP/1.1 502 Bad Gateway\r\n\r\n', '502 Bad Gateway'],
    ['speaks another protocol', '220 smtp.example.com\r\n', 'cannot connect through the proxy'],
    ['hangs up', '', 'cannot connect through the proxy'],
  ])('gets an error without secrets from one that %s', async (_, answer, words) => {
    onConnect = (_request, socket) => void socket.end(answer);
    await using made = source();
    const error: Error = await made.current().then(
      () => new Error('it answered'),
      (thrown) => thrown,
    );
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE', outcome: 'not-executed' });
    expect(error.message).toContain(words);
    expect(error.message).toContain(`https://127.0.0.1:${api.port} (context staging, cluster staging)`);
    expect(inspect(error, { depth: 9 })).not.toMatch(/open-sesame|secret-token/);
  });

  it('has its deadline with one that says nothing', async () => {
    onConnect = () => undefined;
    await using made = source(150);
    await expect(made.current()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
      message: expect.stringContaining('150 ms'),
    });
  });
});
