import http, { type IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { isIPv6, type Socket } from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';

/** What Node gives an agent to connect with. */
type Connection = RequestOptions & ConnectionOptions;

/**
 * Connects through an HTTP proxy, by CONNECT (RFC 9110, section 9.3.6). The server's certificate is checked as without a
 * proxy, and the certificate of a proxy with TLS against the same authorities, as client-go does.
 */
export class ProxyAgent extends http.Agent {
  readonly #proxy: URL;
  readonly #toTls: boolean;

  /** @param toTls whether the server behind the proxy speaks TLS */
  constructor(proxy: URL, toTls: boolean) {
    super();
    this.#proxy = proxy;
    this.#toTls = toTls;
    // Node refuses an agent of another protocol than the request's.
    Object.assign(this, toTls ? { protocol: 'https:', defaultPort: 443 } : { protocol: 'http:', defaultPort: 80 });
  }

  override createConnection(
    options: RequestOptions,
    callback?: (error: Error | null, stream: Socket) => void,
  ): undefined {
    const connection = options as Connection;
    const done = callback as ((error: Error | null, socket?: Socket) => void) | undefined;
    this.#tunnel(connection).then(
      (socket) => done?.(null, this.#toTls ? tls.connect({ ...connection, path: undefined, socket }) : socket),
      (error: Error) => done?.(error),
    );
    return undefined;
  }

  #tunnel({ host, port, ca, rejectUnauthorized }: Connection): Promise<Socket> {
    const proxy = this.#proxy;
    const target = `${isIPv6(host ?? '') ? `[${host}]` : host}:${port}`;
    const request = (proxy.protocol === 'https:' ? https : http).request({
      method: 'CONNECT',
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      path: target,
      headers: { Host: target, ...credentialsOf(proxy) },
      agent: false,
      timeout: silenceMillis,
      ...(proxy.protocol === 'https:' && { ca, rejectUnauthorized }),
    });
    // The caller that waits for the answer keeps the process alive; a silent proxy must not.
    request.once('socket', (socket) => socket.unref());
    return new Promise((resolve, reject) => {
      request.once('connect', (response: IncomingMessage, socket: Socket, head: Buffer) => {
        socket.setTimeout(0);
        socket.ref();
        if (response.statusCode === 200) {
          if (head.length > 0) socket.unshift(head);
          return resolve(socket);
        }
        socket.destroy();
        reject(
          connectError(
            `the proxy ${proxy.host} answered ${response.statusCode} ${response.statusMessage ?? ''}`.trim(),
          ),
        );
      });
      request.once('timeout', () => request.destroy(new Error(`was silent for ${silenceMillis} ms`)));
      request.once('error', (error) => {
        reject(connectError(`cannot connect through the proxy ${proxy.host}: ${error.message}`, error));
      });
      request.end();
    });
  }
}

function credentialsOf({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {};
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(plain).toString('base64')}` };
}

/** An error as Node makes it for a failed connection, which shows that nothing of the request was sent. */
function connectError(message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { syscall: 'connect' });
}

// Longer than any proxy takes to connect. The request has its own, shorter deadline.
const silenceMillis = 60_000;
