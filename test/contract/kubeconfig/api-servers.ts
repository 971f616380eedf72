import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createSocketServer, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createCertificateAuthority, type IssuedCertificate } from '@externalname/testing';

/** What an API server saw of the request that reads the Service. */
export interface SeenRequest {
  readonly server: string;
  readonly path: string;
  readonly authorization?: string;
  /** The name of the TLS handshake (SNI). */
  readonly serverName?: string;
  /** Common name of the client's certificate. */
  readonly certificate?: string;
  /** Which proxy it came through, and with which credentials. */
  readonly via?: 'http proxy' | 'SOCKS proxy';
  readonly proxyAuthorization?: string;
  /** Headers that begin with `Impersonate-`, in lower case. */
  readonly impersonate?: Readonly<Record<string, string>>;
}

/** Places that a kubeconfig may name. URLs, except where it says otherwise. */
export interface Places {
  readonly staging: string;
  readonly production: string;
  /** Shows a certificate for `api.example.com` alone. */
  readonly named: string;
  /** Without TLS. */
  readonly plain: string;
  readonly httpProxy: string;
  /** The HTTP proxy by TLS, with a certificate of `ca`. */
  readonly tlsProxy: string;
  /** Answers every CONNECT with 403. */
  readonly refusingProxy: string;
  readonly socksProxy: string;
  /** PEM */
  readonly ca: string;
  readonly otherCa: string;
  readonly client: IssuedCertificate;
  /** The folder that the files of a case are written to. */
  readonly folder: string;
}

/**
 * API servers and proxies on loopback that write down who came, and how: three with TLS, one without. Whatever name a proxy
 * is asked for, it leads to the port on loopback.
 */
export class ApiServers implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  /** What proxies were asked for: `host:port`. */
  readonly proxied: string[] = [];
  readonly #servers: { close(done: () => void): unknown }[] = [];
  readonly #sockets = new Set<Socket>();
  /** Local ports of the proxies' own open connections. */
  readonly #proxies = new Map<number, Pick<SeenRequest, 'via' | 'proxyAuthorization'>>();
  #places: Omit<Places, 'folder'> | undefined;

  async start(): Promise<this> {
    const authority = await createCertificateAuthority();
    const here = ['127.0.0.1', '0.0.0.0'];
    const issue = (name: string, addresses: string[] = here) => authority.issue({ hostNames: [name], addresses });
    const [staging, production, named, client] = await Promise.all([
      issue('staging.example.com'),
      issue('production.example.com'),
      issue('api.example.com', []),
      issue('operator'),
    ]);
    const tls = async (name: string, own: IssuedCertificate) => {
      const options = { cert: own.certificate, key: own.privateKey, requestCert: true, rejectUnauthorized: false };
      const server = createTlsServer({ ...options, ca: authority.certificate }, (incoming, response) =>
        this.#answer(name, incoming, response),
      );
      return `https://127.0.0.1:${await this.#listen(server)}`;
    };
    this.#places = {
      staging: await tls('staging', staging),
      production: await tls('production', production),
      named: await tls('named', named),
      plain: `http://127.0.0.1:${await this.#listen(createServer((...exchange) => this.#answer('plain', ...exchange)))}`,
      httpProxy: `http://127.0.0.1:${await this.#listen(this.#httpProxy())}`,
      tlsProxy: `https://127.0.0.1:${await this.#listen(this.#httpProxy(staging))}`,
      refusingProxy: `http://127.0.0.1:${await this.#listen(refusingProxy())}`,
      socksProxy: `socks5://127.0.0.1:${await this.#listen(createSocketServer((socket) => this.#socks(socket)))}`,
      ca: authority.certificate,
      otherCa: (await createCertificateAuthority()).certificate,
      client,
    };
    return this;
  }

  places(folder: string): Places {
    if (this.#places === undefined) throw new Error('not started');
    return { ...this.#places, folder };
  }

  forget(): void {
    this.seen.length = 0;
    this.proxied.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((done) => server.close(done)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  async #listen(server: Server | ReturnType<typeof createSocketServer>): Promise<number> {
    server.on('connection', (socket: Socket) => this.#keep(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #answer(server: string, incoming: IncomingMessage, response: ServerResponse): void {
    const url = new URL(incoming.url ?? '/', 'http://here');
    incoming.resume();
    const at = url.pathname.indexOf('/api');
    const body = at < 0 ? undefined : discovery[url.pathname.slice(at)];
    const isService = /\/namespaces\/[^/]+\/services\/webscaler-db$/.test(url.pathname);
    if (isService) this.#see(server, incoming, url);
    response.writeHead(isService || body !== undefined ? 200 : 404, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(isService ? serviceAt(url.pathname) : (body ?? { kind: 'Status', code: 404 })));
  }

  #see(server: string, incoming: IncomingMessage, url: URL): void {
    const { authorization } = incoming.headers;
    const { servername } = incoming.socket as TLSSocket & { servername?: string | false };
    const certificate = (incoming.socket as Partial<TLSSocket>).getPeerCertificate?.().subject?.CN;
    const impersonate = Object.fromEntries(
      Object.entries(incoming.headers)
        .filter(([name]) => name.startsWith('impersonate-'))
        .map(([name, value]) => [name.slice('impersonate-'.length), String(value)]),
    );
    this.seen.push({
      server,
      path: url.pathname,
      ...(authorization !== undefined && { authorization }),
      ...(typeof servername === 'string' && { serverName: servername }),
      ...(typeof certificate === 'string' && { certificate }),
      ...this.#proxies.get(incoming.socket.remotePort ?? 0),
      ...(Object.keys(impersonate).length > 0 && { impersonate }),
    });
  }

  #httpProxy(tls?: IssuedCertificate): Server {
    // A request for a server without TLS names it in full (RFC 9112, section 3.2.2).
    const pass = (incoming: IncomingMessage, response: ServerResponse) => {
      const url = new URL(incoming.url ?? '/');
      this.proxied.push(url.host);
      const headers = { ...incoming.headers };
      delete headers['proxy-authorization'];
      const outgoing = request({ host: '127.0.0.1', port: url.port, path: url.pathname, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      outgoing.once('socket', (socket) => this.#mark(socket, 'http proxy', incoming.headers['proxy-authorization']));
      outgoing.on('error', () => response.destroy());
      outgoing.end();
    };
    const server =
      tls === undefined ? createServer(pass) : createTlsServer({ cert: tls.certificate, key: tls.privateKey }, pass);
    server.on('connect', (incoming: IncomingMessage, socket: Socket) => {
      this.proxied.push(incoming.url ?? '');
      const port = Number(incoming.url?.split(':').at(-1));
      const outgoing = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      this.#mark(outgoing, 'http proxy', incoming.headers['proxy-authorization']);
      this.#join(socket, outgoing);
    });
    return server;
  }

  /** RFC 1928, without authentication. */
  #socks(socket: Socket): void {
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (wish: Buffer) => {
        const length = wish[3] === 3 ? (wish[4] ?? 0) : 0;
        const host = wish[3] === 3 ? wish.subarray(5, 5 + length).toString() : [...wish.subarray(4, 8)].join('.');
        const port = wish.readUInt16BE(wish[3] === 3 ? 5 + length : 8);
        this.proxied.push(`${host}:${port}`);
        const outgoing = connect(port, '127.0.0.1', () => socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0])));
        this.#mark(outgoing, 'SOCKS proxy', undefined);
        this.#join(socket, outgoing);
      });
    });
  }

  #mark(socket: Socket, via: 'http proxy' | 'SOCKS proxy', proxyAuthorization: string | undefined): void {
    const mark = { via, ...(proxyAuthorization !== undefined && { proxyAuthorization }) };
    const note = () => {
      const port = socket.localPort ?? 0;
      this.#proxies.set(port, mark);
      // Another connection, past all proxies, may get the port next.
      socket.once('close', () => {
        if (this.#proxies.get(port) === mark) this.#proxies.delete(port);
      });
    };
    if (socket.connecting) socket.prependOnceListener('connect', note);
    else note();
  }

  #join(one: Socket, other: Socket): void {
    this.#keep(other);
    one.pipe(other);
    other.pipe(one);
    one.once('close', () => other.destroy());
    other.once('close', () => one.destroy());
  }
}

function refusingProxy(): Server {
  const server = createServer();
  server.on('connect', (_, socket: Socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'));
  return server;
}

function serviceAt(path: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'webscaler-db',
      namespace: /namespaces\/([^/]+)/.exec(path)?.[1],
      uid: 'uid-1',
      resourceVersion: '100',
    },
    spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
  };
}

/** As much as kubectl needs to know of the API to read a Service. */
const discovery: Readonly<Record<string, object>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      {
        name: 'services',
        singularName: 'service',
        namespaced: true,
        kind: 'Service',
        shortNames: ['svc'],
        verbs: ['get', 'list', 'patch', 'watch'],
      },
    ],
  },
};
