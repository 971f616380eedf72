import { EventEmitter } from 'node:events';
import { InvalidArgumentError, type Target } from '@externalname/core';
import { TargetRetiredError } from '@externalname/core/connect';
import { aBoolean, anything, optional, ServiceConnector, type Shape } from '@externalname/core/internal';
import { Dispatcher, Pool } from 'undici';
import { httpRetry } from './events.ts';
import { Exchange, type ExchangeHost } from './exchange.ts';
import { legacyHandler } from './legacy-handler.ts';
import {
  authority,
  checkProtocol,
  closedError,
  type HttpOptions,
  type HttpSettings,
  httpSettings,
  ServiceUrls,
} from './options.ts';

/** Options of {@link createDispatcher}. Those of undici have undici's names, meanings and defaults. */
export interface DispatcherOptions extends HttpOptions, Pick<Pool.Options, (typeof poolOptionNames)[number]> {
  /** Whether `http:` URLs are allowed beside `https:` ones: they leave the cluster in the clear. @defaultValue false */
  allowHttp?: boolean | undefined;
  /** Whether HTTP/2 is spoken with servers that choose it. @defaultValue false */
  allowH2?: boolean | undefined;
}

const poolOptionNames = [
  'connections',
  'pipelining',
  'headersTimeout',
  'bodyTimeout',
  'keepAliveTimeout',
  'keepAliveMaxTimeout',
  'keepAliveTimeoutThreshold',
  'maxHeaderSize',
  'maxResponseSize',
  'maxRequestsPerClient',
  'maxConcurrentStreams',
] as const;
// undici checks them.
const poolShapes = Object.fromEntries(poolOptionNames.map((name) => [name, anything])) as Record<
  (typeof poolOptionNames)[number],
  Shape
>;

/**
 * Makes a dispatcher for `fetch` of Node.js, and for undici 6, 7 and 8: requests to the Service's name go to the host that it points to, over
 * TLS that verifies that host.
 *
 * After a switch idle connections are closed, requests in flight finish, and new ones go to the new host. A request is sent again if
 * nothing of it was sent, and otherwise only if its method is idempotent; `outcome` on an error (`fetch` has it on `cause`) says what is
 * known.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`
 *
 * @example
 * ```ts
 * const dispatcher = createDispatcher({ service: 'webscaler-manual', allowedTargets: ['httpbin.org'] });
 * const response = await fetch('https://webscaler-manual/anything?test=value', { dispatcher });
 * await dispatcher.close();
 * ```
 */
export function createDispatcher(options: DispatcherOptions): ServiceDispatcher {
  const settings = httpSettings(options, { allowHttp: optional(aBoolean), allowH2: optional(aBoolean), ...poolShapes });
  const poolOptions = Object.fromEntries(
    poolOptionNames.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  ) as Pool.Options;
  checkPoolOptions(poolOptions);
  const { allowHttp = false, allowH2 = false } = options;
  // One class at run time, which all of them take.
  return new RequestDispatcher(settings, { allowHttp, allowH2, pool: poolOptions }) as unknown as ServiceDispatcher;
}

/**
 * What {@link createDispatcher} returns: a dispatcher of undici 7, and by its type also one for the global `fetch`, whose types
 * `@types/node` takes from whichever undici it knows.
 */
export type ServiceDispatcher = Dispatcher & FetchDispatcher & AsyncDisposable & ServiceDispatcherState;

/** What a dispatcher for a Service says of itself. */
export interface ServiceDispatcherState {
  /** Where requests go now; `undefined` before the first one. */
  readonly target: Target | undefined;
}

/** The type of `dispatcher` among the options of the global `fetch`; anything if that has no such option. */
export type FetchDispatcher = RequestInit extends { dispatcher?: infer D } ? NonNullable<D> : unknown;

interface Settings {
  readonly allowHttp: boolean;
  readonly allowH2: boolean;
  readonly pool: Pool.Options;
}

/** The pools of one target: one a protocol and port. */
interface Lane {
  readonly target: Target;
  readonly over: AbortController;
  readonly pools: Map<string, Pool>;
}

/** A protocol and a port of the Service. */
interface Place {
  readonly protocol: string;
  readonly port: number;
  readonly hostname: string;
}

class RequestDispatcher extends Dispatcher implements ServiceDispatcherState, AsyncDisposable, ExchangeHost {
  readonly #http: HttpSettings;
  readonly #settings: Settings;
  readonly #urls: ServiceUrls;
  readonly #connector: ServiceConnector;
  /** What was asked for before, so that it is judged once. */
  readonly #places = new Map<string, Place>();
  readonly #closing = new Set<Promise<unknown>>();
  readonly #waiting = new Set<Exchange>();
  #lane: Lane | undefined;
  #closed: Promise<void> | undefined;

  constructor(http: HttpSettings, settings: Settings) {
    super();
    this.#http = http;
    this.#settings = settings;
    this.#connector = new ServiceConnector(http, (target) => this.#switchTo(target));
    this.#urls = new ServiceUrls(http.service, this.#connector.context);
  }

  get target(): Target | undefined {
    return this.#connector.target;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (typeof handler !== 'object' || handler === null) throw new InvalidArgumentError('handler', 'must be an object');
    if (typeof options !== 'object' || options === null) throw new InvalidArgumentError('options', 'must be an object');
    new Exchange(this, this.#ownOptions(options), legacyHandler(handler)).begin();
    return true;
  }

  send(exchange: Exchange): void {
    if (this.#closed !== undefined) {
      exchange.fail(closedError(this.#http.service), 'not-executed');
      return;
    }
    const lane = this.#lane;
    if (lane === undefined) {
      this.#learnTarget(exchange);
      return;
    }
    try {
      const place = this.#placeOf(exchange.options.origin, lane.target);
      exchange.place = lane;
      this.#poolOf(lane, place).dispatch(exchange.options, exchange as Dispatcher.DispatchHandler);
    } catch (error) {
      exchange.fail(error as Error, 'not-executed');
    }
  }

  isCurrent(exchange: Exchange): boolean {
    return exchange.place === this.#lane;
  }

  lost(): void {
    this.#connector.suspect();
  }

  repeats({ options, sent }: Exchange, error: Error): void {
    httpRetry.publish(() => ({ name: this.#http.service, method: options.method, sent, error }));
  }

  /** Ends it when all requests in flight have ended; those that wait for a server are refused. Idempotent. */
  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | void {
    this.#closed ??= this.#end((pool) => pool.close());
    return answer(this.#closed, callback);
  }

  /** Ends it, with all that is in flight. */
  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void> | void {
    const reason = typeof error === 'function' ? null : (error ?? null);
    this.#closed = this.#end((pool) => pool.destroy(reason));
    return answer(this.#closed, typeof error === 'function' ? error : callback);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #learnTarget(exchange: Exchange): void {
    this.#waiting.add(exchange);
    const { failoverTimeoutMillis: timeoutMillis } = this.#http;
    try {
      // Before anything is asked.
      this.#placeOf(exchange.options.origin, undefined);
    } catch (error) {
      this.#waiting.delete(exchange);
      exchange.fail(error as Error, 'not-executed');
      return;
    }
    this.#connector
      .persist((signal) => this.#connector.current(signal), { signal: exchange.signal, timeoutMillis })
      .then(
        (target) => {
          this.#waiting.delete(exchange);
          this.#lane ??= beginLane(target);
          this.send(exchange);
        },
        (error: Error) => {
          this.#waiting.delete(exchange);
          exchange.fail(error, 'not-executed');
        },
      );
  }

  // The name of the server comes from the pool, so a name that the caller gives must not stand in its way.
  #ownOptions(options: Dispatcher.DispatchOptions): Dispatcher.DispatchOptions {
    const headers = this.#http.hostHeader === 'target' ? withoutHost(options.headers) : options.headers;
    if (headers === options.headers && !('dispatcher' in options)) return options;
    const { dispatcher: _, ...own } = options as Dispatcher.DispatchOptions & { dispatcher?: unknown };
    return { ...own, headers: headers ?? null };
  }

  #placeOf(origin: string | URL | undefined, target: Target | undefined): Place {
    const key = typeof origin === 'string' ? origin : String(origin);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const url = URL.canParse(key) ? new URL(key) : undefined;
    if (url === undefined) throw new InvalidArgumentError('url', 'is not one: write https://<service>/...');
    checkProtocol(url.protocol, this.#settings.allowHttp);
    this.#urls.check(url.hostname, target);
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
    const place = { protocol: url.protocol, port, hostname: url.hostname };
    // The name of a target is good for as long as it is the target.
    if (url.hostname !== target?.externalName) this.#places.set(key, place);
    return place;
  }

  #poolOf(lane: Lane, { protocol, port, hostname }: Place): Pool {
    const host = this.#http.hostHeader === 'target' ? lane.target.externalName : hostname;
    const origin = `${protocol}//${authority(host, protocol, port)}`;
    const known = lane.pools.get(origin);
    if (known !== undefined) return known;
    const { allowH2 } = this.#settings;
    const tls =
      protocol === 'https:'
        ? { ...this.#http.tls, ALPNProtocols: allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'] }
        : undefined;
    const pool = new Pool(origin, {
      ...this.#settings.pool,
      allowH2,
      connect: (_where, callback) => {
        this.#connect(lane, { port, tls }).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        );
      },
    });
    this.#passOn(pool);
    lane.pools.set(origin, pool);
    return pool;
  }

  // As undici's own Agent does.
  #passOn(pool: EventEmitter): void {
    for (const event of ['connect', 'disconnect', 'connectionError', 'drain']) {
      pool.on(event, (origin: URL, targets: readonly Dispatcher[], error?: Error) =>
        Reflect.apply(EventEmitter.prototype.emit, this, [event, origin, [this, ...targets], error]),
      );
    }
  }

  async #connect(lane: Lane, wanted: Parameters<ServiceConnector['open']>[1]) {
    const { failoverTimeoutMillis: timeoutMillis } = this.#http;
    const { signal } = lane.over;
    const socket = await this.#connector.persist(
      (inner) => this.#connector.open(lane.target, wanted, { signal: inner }),
      { signal, timeoutMillis },
    );
    if (signal.aborted) {
      socket.destroy();
      throw signal.reason;
    }
    // As undici has it.
    return socket.setKeepAlive(true, 60_000);
  }

  #switchTo(target: Target): void {
    const left = this.#lane;
    if (left === undefined || this.#closed !== undefined) return;
    this.#lane = beginLane(target);
    left.over.abort(new TargetRetiredError(left.target.externalName, 'not-executed'));
    for (const pool of left.pools.values()) {
      const ended = pool.close().catch(() => undefined);
      this.#closing.add(ended);
      ended.finally(() => this.#closing.delete(ended)).catch(() => undefined);
    }
  }

  async #end(endPool: (pool: Pool) => Promise<void>): Promise<void> {
    // What is under way may still be answered, and sends nothing any more.
    const pools = [...(this.#lane?.pools.values() ?? [])];
    const refused = closedError(this.#http.service);
    this.#lane?.over.abort(refused);
    for (const exchange of [...this.#waiting]) exchange.fail(refused, 'not-executed');
    await Promise.all([...pools.map(endPool), ...this.#closing]);
    await this.#connector.close();
  }
}

function beginLane(target: Target): Lane {
  return { target, over: new AbortController(), pools: new Map() };
}

function answer(ended: Promise<void>, callback: (() => void) | undefined): Promise<void> | void {
  if (callback === undefined) return ended;
  ended.then(callback, callback);
}

function checkPoolOptions(options: Pool.Options): void {
  try {
    // Makes no connection before the first request.
    new Pool('https://invalid', options).destroy().catch(() => undefined);
  } catch (error) {
    throw new InvalidArgumentError('options', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

type Headers = Dispatcher.DispatchOptions['headers'];

function withoutHost(headers: Headers): Headers {
  if (headers == null) return headers;
  if (Array.isArray(headers)) {
    const at = headers.findIndex((name, index) => index % 2 === 0 && isHost(name));
    return at === -1 ? headers : withoutHost([...headers.slice(0, at), ...headers.slice(at + 2)]);
  }
  if (Symbol.iterator in headers) return withoutHost([...headers].flat() as string[]);
  for (const name of Object.keys(headers)) {
    if (isHost(name)) return Object.fromEntries(Object.entries(headers).filter(([each]) => !isHost(each)));
  }
  return headers;
}

function isHost(name: unknown): boolean {
  const text = typeof name === 'string' ? name : String(name);
  return text.length === 4 && text.toLowerCase() === 'host';
}
