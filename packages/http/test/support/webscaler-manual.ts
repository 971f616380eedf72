import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { externalNameService } from '@externalname/core/manifests';
import { type CertificateAuthority, createCertificateAuthority, LocalCluster } from '@externalname/testing';

/** One host that the Service may lead to. */
export interface ManualServer {
  readonly name: string;
  readonly address: string;
  /** What came, in order: `POST /anything?id=1`. */
  readonly requests: string[];
  /** Connections that are open now. */
  readonly connections: Set<{ destroy(): void }>;
  /** How many there were, TLS or not. */
  accepted: number;
  close(): Promise<void>;
}

/** The cluster with `webscaler-manual`, and the hosts that it may lead to. */
export interface WebscalerManual extends AsyncDisposable {
  readonly authority: CertificateAuthority;
  readonly cluster: LocalCluster;
  readonly port: number;
  readonly a: ManualServer;
  readonly b: ManualServer;
  options(): {
    service: string;
    allowedTargets: string[];
    allowedNetworks: string[];
    dns: { nameservers: string[] };
    tls: { ca: string };
  };
  point(externalName: string): Promise<void>;
  serve(name: string, address: string, options?: ServeOptions): Promise<ManualServer>;
}

export interface ServeOptions {
  notAfter?: Date;
  plain?: boolean;
  port?: number;
  /** Another authority's. */
  authority?: CertificateAuthority;
}

export async function startWebscalerManual(): Promise<WebscalerManual> {
  const authority = await createCertificateAuthority();
  const servers: ManualServer[] = [];
  let port = 0;
  const serve = async (name: string, address: string, options: ServeOptions = {}) => {
    const server = await manualServer(options.authority ?? authority, name, address, options.port ?? port, options);
    port ||= server.port;
    servers.push(server);
    return server;
  };
  const a = await serve('httpbin-a.example.com', '127.0.0.51');
  const b = await serve('httpbin-b.example.com', '127.0.0.52');
  const cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [externalNameService({ name: 'webscaler-manual', externalName: a.name })],
    hosts: { [a.name]: [a.address], [b.name]: [b.address] },
  });
  return {
    authority,
    cluster,
    port,
    a,
    b,
    serve,
    options: () => ({
      service: 'webscaler-manual',
      allowedTargets: [a.name, b.name],
      allowedNetworks: ['127.0.0.0/8'],
      dns: { nameservers: [cluster.nameserver] },
      tls: { ca: authority.certificate },
    }),
    point: async (externalName) => {
      const patch = [{ op: 'replace', path: '/spec/externalName', value: externalName }] as const;
      await cluster.services.patch('default', 'webscaler-manual', patch);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map((server) => server.close()));
      await cluster[Symbol.asyncDispose]();
    },
  };
}

async function manualServer(
  authority: CertificateAuthority,
  name: string,
  address: string,
  port: number,
  { notAfter, plain }: ServeOptions,
): Promise<ManualServer & { readonly port: number }> {
  const requests: string[] = [];
  const connections: ManualServer['connections'] = new Set();
  const answer = (request: http2.Http2ServerRequest | http.IncomingMessage, response: http.ServerResponse) => {
    const url = new URL(request.url ?? '/', 'https://unused');
    requests.push(`${request.method} ${request.url}`);
    const delayMillis = Number(url.searchParams.get('ms') ?? 0);
    const location = url.searchParams.get('to');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () =>
      setTimeout(() => {
        if (url.pathname === '/reset') {
          request.socket.destroy();
          return;
        }
        if (location !== null) {
          response.writeHead(Number(url.searchParams.get('status') ?? 302), { location }).end();
          return;
        }
        response.setHeader('content-type', 'application/json');
        if (url.pathname === '/cookies/set') response.setHeader('set-cookie', ['a=1; Path=/', 'b=2; Secure']);
        const { authorization, cookie } = request.headers;
        const host = request.headers[':authority'] ?? request.headers.host;
        const body = Buffer.concat(chunks).toString();
        response.end(
          JSON.stringify({
            server: name,
            host,
            method: request.method,
            url: request.url,
            version: request.httpVersion,
            authorization,
            cookie,
            body,
          }),
        );
      }, delayMillis),
    );
  };
  const { certificate: cert, privateKey: key } = await authority.issue({
    hostNames: [name],
    ...(notAfter && { notAfter }),
  });
  const server = plain
    ? http.createServer(answer)
    : http2.createSecureServer({ cert, key, allowHTTP1: true }, answer as never);
  let accepted = 0;
  server.on('connection', () => {
    accepted += 1;
  });
  server.on(plain ? 'connection' : 'secureConnection', (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => {});
  server.on('sessionError', () => {});
  server.listen(port, address);
  await once(server, 'listening');
  return {
    name,
    address,
    requests,
    connections,
    get accepted() {
      return accepted;
    },
    set accepted(count) {
      accepted = count;
    },
    port: (server.address() as AddressInfo).port,
    close: async () => {
      if (!server.listening) return;
      (server as Server).close();
      for (const connection of connections) connection.destroy();
      await once(server, 'close');
    },
  };
}
