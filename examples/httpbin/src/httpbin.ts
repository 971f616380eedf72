import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import tls from 'node:tls';
import type { CertificateAuthority } from '@externalname/testing';

/** httpbin.org, on this machine. */
export interface Httpbin extends AsyncDisposable {
  /** Whether it is the real one, from PyPI. */
  readonly isReal: boolean;
  readonly httpPort: number;
  readonly httpsPort: number;
}

/** Starts it on an address, with a certificate for `httpbin.org`: the real one if Python has it, else a server with the same routes. */
export async function startHttpbin(authority: CertificateAuthority, address: string): Promise<Httpbin> {
  const program = await startProgram();
  const routes = program === undefined ? await listen(http.createServer(route), address) : undefined;
  const backend = program?.port ?? portOf(routes);
  const { certificate, privateKey } = await authority.issue({ hostNames: ['httpbin.org'] });
  const front = (socket: net.Socket) => {
    const inner = net.connect(backend, program === undefined ? address : '127.0.0.1');
    for (const [one, other] of [
      [socket, inner],
      [inner, socket],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    socket.pipe(inner).pipe(socket);
  };
  const secure = tls.createServer({ cert: certificate, key: privateKey }, front);
  // A client that does not accept the certificate ends the handshake.
  secure.on('tlsClientError', () => {});
  await listen(secure, address);
  const plain = await listen(net.createServer(front), address);
  return {
    isReal: program !== undefined,
    httpPort: portOf(plain),
    httpsPort: portOf(secure),
    async [Symbol.asyncDispose]() {
      for (const server of [secure, plain, routes]) server?.close();
      routes?.closeAllConnections();
      program?.child.kill();
    },
  };
}

/** The httpbin of PyPI (`pip install httpbin`), if this machine has it. */
async function startProgram(): Promise<{ readonly child: ChildProcess; readonly port: number } | undefined> {
  if (spawnSync('python3', ['-c', 'import httpbin']).status !== 0) return undefined;
  const probe = await listen(net.createServer(), '127.0.0.1');
  const port = portOf(probe);
  probe.close();
  await once(probe, 'close');
  const child = spawn('python3', ['-c', `import httpbin; httpbin.app.run(host='127.0.0.1', port=${port})`], {
    stdio: 'ignore',
  });
  for (let attempts = 0; attempts < 100 && child.exitCode === null; attempts++) {
    if (await answers(port)) return { child, port };
    await pause(100);
  }
  child.kill();
  return undefined;
}

async function answers(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return connected;
}

async function listen<Server extends net.Server>(server: Server, address: string): Promise<Server> {
  server.listen(0, address);
  await once(server, 'listening');
  return server;
}

function portOf(server: net.Server | undefined): number {
  return (server?.address() as AddressInfo | undefined)?.port ?? 0;
}

/** Those routes of httpbin that the example asks for. */
function route(request: http.IncomingMessage, response: http.ServerResponse): void {
  const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
  const [, name = '', argument = ''] = url.pathname.split('/');
  if (name === 'status') {
    response.writeHead(Number(argument) || 400).end();
    return;
  }
  if (name === 'redirect-to') {
    response.writeHead(302, { location: url.searchParams.get('url') ?? '/' }).end();
    return;
  }
  if (!['anything', 'get', 'headers'].includes(name)) {
    response.writeHead(404).end();
    return;
  }
  const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [titled(key), value]));
  const args = Object.fromEntries(url.searchParams);
  const all = { args, headers, method: request.method, origin: request.socket.remoteAddress, url: url.href };
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(name === 'headers' ? { headers } : all));
}

function titled(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}
