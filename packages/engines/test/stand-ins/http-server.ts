import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** An HTTP server that a test scripts, breaks and mends. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** While it is broken, connections are cut. */
  isBroken = false;
  url = '';

  constructor(handle: (request: IncomingMessage, body: string, response: ServerResponse) => void, tls?: ServerOptions) {
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (this.isBroken) response.destroy();
        else handle(request, Buffer.concat(chunks).toString(), response);
      });
    };
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      if (this.isBroken) socket.destroy();
    });
    this.#protocol = tls === undefined ? 'http' : 'https';
  }

  readonly #protocol: string;

  get connections(): number {
    return this.#sockets.size;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `${this.#protocol}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  break(): void {
    this.isBroken = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.break();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
