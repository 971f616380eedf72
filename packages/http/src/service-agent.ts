import { errorMonitor } from 'node:events';
import { Agent, type ClientRequest, type ClientRequestArgs, type AgentOptions as NodeAgentOptions } from 'node:http';
import type { AgentOptions as HttpsAgentOptions } from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Target } from '@externalname/core';
import { aBoolean, aNumber, oneOf, optional, recordOutcome, ServiceConnector } from '@externalname/core/internal';
import { authority, type HttpOptions, type HttpSettings, httpSettings, ServiceUrls } from './options.ts';

/** Options of {@link createAgent}. Those of `http.Agent` have its names, meanings and defaults, but for `keepAlive`. */
export interface AgentOptions
  extends HttpOptions,
    Pick<NodeAgentOptions, 'maxSockets' | 'maxFreeSockets' | 'maxTotalSockets' | 'scheduling' | 'timeout'> {
  /** `'http:'` makes an agent for `node:http`, whose requests leave the cluster in the clear. @defaultValue `'https:'` */
  protocol?: 'https:' | 'http:' | undefined;
  /** Whether a connection is kept for the next request. @defaultValue true */
  keepAlive?: boolean | undefined;
}

/** What {@link createAgent} returns. */
export interface ServiceAgent extends Agent, AsyncDisposable {
  /** Typed as those of an `https.Agent`, which libraries ask for. */
  readonly options: HttpsAgentOptions;
  /** Where requests go now; `undefined` before the first one. */
  readonly target: Target | undefined;
  /** Ends idle connections and what follows the Service. Requests in flight finish, new ones are refused. Idempotent. */
  close(): Promise<void>;
}

/**
 * Makes an agent for `node:https`, and for what is built on it: axios, got, `ws`, SDKs of clouds. Requests to the Service's name go to
 * the host that it points to, over TLS that verifies that host.
 *
 * After a switch idle connections are closed, requests in flight finish, and new ones go to the new host.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`
 *
 * @example
 * ```ts
 * const agent = createAgent({ service: 'webscaler-manual', allowedTargets: ['httpbin.org'] });
 * https.get('https://webscaler-manual/anything?test=value', { agent }, (response) => response.pipe(process.stdout));
 * ```
 */
export function createAgent(options: AgentOptions): ServiceAgent {
  const count = optional(aNumber({ least: 1 }));
  const settings = httpSettings(options, {
    protocol: optional(oneOf('https:', 'http:')),
    keepAlive: optional(aBoolean),
    maxSockets: count,
    maxFreeSockets: count,
    maxTotalSockets: count,
    scheduling: optional(oneOf('fifo', 'lifo')),
    timeout: optional(aNumber({ least: 0 })),
  });
  const { maxSockets, maxFreeSockets, maxTotalSockets, scheduling, timeout, keepAlive = true } = options;
  const own = { keepAlive, maxSockets, maxFreeSockets, maxTotalSockets, scheduling, timeout };
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
  return new RequestAgent(settings, options.protocol ?? 'https:', given);
}

type Connected = (error: Error | null, socket: Duplex) => void;

// Of a socket that is not there, with an error.
const none = undefined as unknown as Duplex;

/** What a request is connected with. */
interface RequestOptions extends ClientRequestArgs {
  readonly _agentKey?: string;
  /** Fires when the request that waits for the connection is given up. */
  readonly [givenUp]?: AbortSignal;
}

const givenUp = Symbol('externalname:http:given-up');

class RequestAgent extends Agent implements ServiceAgent {
  declare readonly options: HttpsAgentOptions;
  readonly protocol: 'https:' | 'http:';
  readonly defaultPort: number;
  readonly #settings: HttpSettings;
  readonly #urls: ServiceUrls;
  readonly #connector: ServiceConnector;
  /** Where each open connection leads. */
  readonly #targets = new Map<Duplex, Target>();

  constructor(settings: HttpSettings, protocol: 'https:' | 'http:', options: NodeAgentOptions) {
    super(options);
    this.protocol = protocol;
    this.defaultPort = protocol === 'https:' ? 443 : 80;
    this.#settings = settings;
    this.#connector = new ServiceConnector(settings, (target) => this.#leave(target.externalName));
    this.#urls = new ServiceUrls(settings.service, this.#connector.context);
  }

  get target(): Target | undefined {
    return this.#connector.target;
  }

  /** Called by Node.js for each request. */
  addRequest(request: ClientRequest, ...options: unknown[]): void {
    // A request without a socket was not written. One with a socket may have been read, up to any byte.
    request.on(errorMonitor, (error) => recordOutcome(error, request.socket ? 'unknown' : 'not-executed'));
    // Not among the types.
    const base = Agent.prototype as unknown as { addRequest: RequestAgent['addRequest'] };
    base.addRequest.call(this, request, ...options);
  }

  /** Called by Node.js for a request that no idle connection is there for. */
  createSocket(request: ClientRequest, options: RequestOptions, callback: Connected): void {
    const waiting = whileWaiting(request);
    const connected: Connected = (error, socket) => {
      waiting.end();
      if (error === null) this.#address(request, socket);
      callback(error, socket);
    };
    try {
      this.#urls.check(options.host ?? '', this.target);
    } catch (error) {
      connected(error as Error, none);
      return;
    }
    // Not among the types: it counts sockets, and listens to them.
    const base = Agent.prototype as unknown as { createSocket: RequestAgent['createSocket'] };
    base.createSocket.call(this, request, { ...options, [givenUp]: waiting.signal }, connected);
  }

  override createConnection(options: RequestOptions, callback?: Connected): Duplex | undefined {
    const release = this.#reserve(options._agentKey ?? this.getName(options));
    this.#open(Number(options.port ?? this.defaultPort), options[givenUp]).then(
      (socket) => {
        release();
        callback?.(null, socket);
      },
      (error: Error) => {
        release();
        callback?.(error, none);
      },
    );
    return undefined;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    super.reuseSocket(socket, request);
    this.#address(request, socket);
  }

  async close(): Promise<void> {
    this.#leave(undefined);
    await this.#connector.close();
  }

  override destroy(): void {
    super.destroy();
    this.#connector.close().catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(port: number, givenUp: AbortSignal | undefined): Promise<net.Socket> {
    const { failoverTimeoutMillis: timeoutMillis, tls } = this.#settings;
    const wanted = {
      port,
      tls: this.protocol === 'https:' ? { ...tls, ALPNProtocols: ['http/1.1'] } : undefined,
    };
    return await this.#connector.persist(
      async (signal) => {
        const { socket, target } = await this.#connector.openCurrent(wanted, signal);
        this.#targets.set(socket, target);
        socket.once('close', () => this.#targets.delete(socket));
        return socket;
      },
      { signal: givenUp, timeoutMillis },
    );
  }

  // Node.js counts a connection against `maxSockets` when it is there. Until then a stand-in holds its place.
  #reserve(name: string): () => void {
    const lists = this.sockets as NodeJS.Dict<net.Socket[]>;
    const standIn = new net.Socket();
    const list = lists[name] ?? [];
    lists[name] = list;
    list.push(standIn);
    return () => {
      list.splice(list.indexOf(standIn), 1);
      if (list.length === 0 && lists[name] === list) delete lists[name];
    };
  }

  // A connection to a host that the Service has left serves the request that it is serving, and no other.
  #leave(stays: string | undefined): void {
    this.#destroyIdle();
    for (const [socket, target] of this.#targets) {
      if (target.externalName === stays) continue;
      const { _httpMessage: request } = socket as { _httpMessage?: ClientRequest | null };
      if (request) request.shouldKeepAlive = false;
    }
  }

  #destroyIdle(): void {
    for (const list of Object.values(this.freeSockets)) for (const socket of [...(list ?? [])]) socket.destroy();
  }

  /** Writes the name of the server into the request that goes to it. */
  #address(request: ClientRequest, socket: Duplex): void {
    const target = this.#targets.get(socket);
    if (this.#settings.hostHeader === 'service' || target === undefined) return;
    const { remotePort } = socket as net.Socket;
    const host = authority(target.externalName, this.protocol, remotePort ?? this.defaultPort);
    rewriteHost(request as unknown as WrittenRequest, host);
  }
}

/**
 * Tells when a request is given up that waits for its connection. Node.js itself has a socket for it from the start, which it destroys
 * then; without one it would wait until there is one, and then say so.
 */
function whileWaiting(request: ClientRequest): { readonly signal: AbortSignal; readonly end: () => void } {
  const controller = new AbortController();
  const { destroy } = request;
  request.destroy = function (error) {
    destroy.call(this, error);
    controller.abort(error ?? Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
    return this;
  };
  return { signal: controller.signal, end: () => void Reflect.deleteProperty(request, 'destroy') };
}

/**
 * A request whose header may be written already: `end()` was called before there was a connection. Nothing of it was sent; it waits in
 * `outputData`. Agents for proxies rewrite it there in the same way.
 */
interface WrittenRequest {
  _header: string | null;
  readonly outputData: { data: unknown }[];
  setHeader(name: string, value: string): void;
}

function rewriteHost(request: WrittenRequest, host: string): void {
  const { _header: header } = request;
  if (!header) {
    request.setHeader('Host', host);
    return;
  }
  const rewritten = header.replace(/^host:[^\r\n]*/im, `Host: ${host}`);
  request._header = rewritten;
  const [first] = request.outputData;
  if (first !== undefined && typeof first.data === 'string' && first.data.startsWith(header)) {
    first.data = rewritten + first.data.slice(header.length);
  }
}
