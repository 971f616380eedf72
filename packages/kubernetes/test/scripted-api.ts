import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { IssuedCertificate } from '@externalname/testing';
import { applyPatch } from 'rfc6902';
import type { KubeConfigLike } from '../src/index.ts';

/** A Service as the scripted server stores it. */
export interface StoredService {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    resourceVersion: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    managedFields?: object[];
  };
  spec: { type: string; externalName?: string };
}

type Answer = { status: number; body: unknown; headers?: Record<string, string> };

/**
 * The part of a Kubernetes API that a watch meets, with faults on demand: the Service `webscaler-db` of namespace
 * `default`, its list, its watch with history, and what breaks all of them.
 */
export class ScriptedApi {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #watches = new Set<ServerResponse>();
  readonly #history: { version: number; type: string; object: StoredService }[] = [];
  #service: StoredService | undefined;
  #version = 100;
  #compacted = 0;
  #answer: ((request: IncomingMessage, url: URL) => Answer | 'silence' | undefined) | undefined;
  /** What was asked, as `verb resourceVersion`. */
  readonly requests: string[] = [];
  /** The tokens that requests came with. */
  readonly tokens: (string | undefined)[] = [];
  /** Events that were written. */
  readonly events: Record<string, unknown>[] = [];
  port = 0;

  /** @param tls speaks TLS with it */
  constructor(tls?: IssuedCertificate) {
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      this.#handle(request, response).catch(() => response.destroy());
    };
    this.#server =
      tls === undefined
        ? createServer(handle)
        : createTlsServer({ cert: tls.certificate, key: tls.privateKey }, handle);
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    this.port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** A configuration that leads here; no library is needed to make it. */
  kubeConfig(token: () => string = () => 'token'): KubeConfigLike {
    return {
      getCurrentCluster: () => ({ name: 'scripted', server: `http://127.0.0.1:${this.port}` }),
      getCurrentUser: () => ({ name: 'tester' }),
      getCurrentContext: () => 'scripted',
      getContextObject: () => ({}),
      applyToHTTPSOptions: async (options) => {
        options.agent = false;
        options.headers = { ...options.headers, Authorization: `Bearer ${token()}` };
      },
    };
  }

  get watching(): number {
    return this.#watches.size;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  get version(): string {
    return String(this.#version);
  }

  /** Creates or changes the Service, and tells who watches. */
  put(externalName: string, type = 'ExternalName', metadata: Partial<StoredService['metadata']> = {}): void {
    const before = this.#service?.metadata;
    this.#store({
      metadata: {
        name: 'webscaler-db',
        namespace: 'default',
        uid: 'uid-1',
        ...before,
        ...metadata,
        resourceVersion: '',
      },
      spec: { type, ...(type === 'ExternalName' && { externalName }) },
    });
  }

  /** The Service as it is stored. */
  get service(): StoredService | undefined {
    return this.#service;
  }

  #store(service: StoredService): void {
    const created = this.#service === undefined;
    this.#version += 1;
    this.#service = { ...service, metadata: { ...service.metadata, resourceVersion: this.version } };
    this.#publish(created ? 'ADDED' : 'MODIFIED', this.#service);
  }

  remove(): void {
    if (this.#service === undefined) return;
    this.#version += 1;
    const object = { ...this.#service, metadata: { ...this.#service.metadata, resourceVersion: this.version } };
    this.#service = undefined;
    this.#publish('DELETED', object);
  }

  /** Changes of other objects: the version goes up, and a bookmark says so. */
  bookmark(): void {
    this.#version += 10;
    this.#send({
      type: 'BOOKMARK',
      object: { kind: 'Service', metadata: { resourceVersion: this.version }, spec: {} },
    });
  }

  /** Forgets the history: who comes with an older version is told 410. */
  compact(): void {
    this.#compacted = this.#version;
  }

  /** Starts a new history, as after a restore from a backup: versions go back. */
  restore(externalName: string): void {
    this.#version = 50;
    this.#history.length = 0;
    this.#compacted = 0;
    this.#service = undefined;
    this.put(externalName);
    this.cut();
  }

  sendToWatches(event: unknown): void {
    this.#send(event);
  }

  /** Writes to every watch as it stands, one HTTP chunk a piece. */
  sendPieces(pieces: readonly string[]): void {
    for (const response of this.#watches) for (const piece of pieces) response.write(piece);
  }

  /** Breaks every watch in the middle. */
  cut(): void {
    for (const response of this.#watches) response.socket?.destroy();
  }

  /** Ends every watch as a server does whose time is up. */
  endWatches(): void {
    for (const response of this.#watches) response.end();
  }

  /** From now on, and until called without an argument, answers so. */
  answerWith(answer?: (request: IncomingMessage, url: URL) => Answer | 'silence' | undefined): void {
    this.#answer = answer;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://scripted');
    const verb = verbOf(request, url);
    this.requests.push(`${verb} ${url.searchParams.get('resourceVersion') ?? ''}`.trim());
    this.tokens.push(request.headers.authorization?.slice('Bearer '.length));
    const body = await read(request);
    const answer =
      this.#answer?.(request, url) ?? (body === '' ? this.#serve(verb, url) : this.#write(verb, url, body));
    if (answer === 'silence') return;
    if (answer === 'watch') this.#startWatch(Number(url.searchParams.get('resourceVersion')), response);
    else send(response, answer);
  }

  #write(verb: string, url: URL, body: string): Answer {
    if (verb === 'selfsubjectreviews') {
      return { status: 201, body: { status: { userInfo: { username: 'system:serviceaccount:ops:switcher' } } } };
    }
    if (verb === 'events') {
      this.events.push(JSON.parse(body));
      return { status: 201, body: {} };
    }
    if (this.#service === undefined) return { status: 404, body: status(404, 'NotFound', 'not found') };
    const patched = structuredClone(this.#service);
    if (applyPatch(patched, JSON.parse(body)).some((failure) => failure !== null)) {
      const message = 'the server rejected our request due to an error in our request';
      return { status: 422, body: status(422, 'Invalid', message) };
    }
    if (!url.searchParams.has('dryRun')) this.#store(patched);
    return { status: 200, body: this.#service };
  }

  #serve(verb: string, url: URL): Answer | 'watch' {
    if (verb === 'get') {
      if (this.#service !== undefined) return { status: 200, body: this.#service };
      return { status: 404, body: status(404, 'NotFound', 'services "webscaler-db" not found') };
    }
    // A Role with resourceNames allows no other list and watch than this.
    if (url.searchParams.get('fieldSelector') !== 'metadata.name=webscaler-db') return forbidden(verb);
    if (verb === 'list') {
      const items = this.#service === undefined ? [] : [this.#service];
      return { status: 200, body: { kind: 'ServiceList', metadata: { resourceVersion: this.version }, items } };
    }
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < this.#compacted) return expired(from, this.#compacted);
    if (from <= this.#version) return 'watch';
    return { status: 504, body: status(504, 'Timeout', `Too large resource version: ${from}`) };
  }

  #startWatch(from: number, response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    this.#watches.add(response);
    response.on('close', () => this.#watches.delete(response));
    for (const { version, type, object } of this.#history) {
      if (version > from) response.write(`${JSON.stringify({ type, object })}\n`);
    }
  }

  #publish(type: string, object: StoredService): void {
    this.#history.push({ version: this.#version, type, object });
    this.#send({ type, object });
  }

  #send(event: unknown): void {
    for (const response of this.#watches) response.write(`${JSON.stringify(event)}\n`);
  }
}

export function status(code: number, reason: string, message: string) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

export function forbidden(verb: string): Answer {
  const message =
    `services "webscaler-db" is forbidden: User "system:serviceaccount:default:app" cannot ${verb} resource ` +
    '"services" in API group "" in the namespace "default"';
  return { status: 403, body: status(403, 'Forbidden', message) };
}

export function expired(from: number, oldest: number | string): Answer {
  return { status: 410, body: status(410, 'Expired', `too old resource version: ${from} (${oldest})`) };
}

function verbOf(request: IncomingMessage, url: URL): string {
  if (request.method === 'PATCH') return url.searchParams.has('dryRun') ? 'dry-run' : 'patch';
  if (request.method === 'POST') return url.pathname.split('/').at(-1) ?? '';
  if (url.pathname.endsWith('/services/webscaler-db')) return 'get';
  return url.searchParams.has('watch') ? 'watch' : 'list';
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, { status: code, body, headers }: Answer): void {
  response.writeHead(code, { 'Content-Type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Resolves when `condition` holds; fails after five seconds with what it was waiting for. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 5_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
