import { EventEmitter } from 'node:events';
import { InvalidArgumentError, type Target } from '@externalname/core';
import { TargetRetiredError } from '@externalname/core/connect';
import { aBoolean, anything, optional, ServiceConnector, type Shape } from '@externalname/core/internal';
import type { Dispatcher, Pool } from 'undici';
import { httpRetry } from './events.ts';
import { Exchange, type ExchangeHost, WaitingLine } from './exchange.ts';
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
import { sendableHeaders } from './sendable-headers.ts';
import { UndiciDispatcher, UndiciPool } from './undici-parts.ts';

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

/** What leads to one target. The requests that it holds have not been sent yet. */
class Lane extends WaitingLine {
  readonly target: Target;
  readonly over = new AbortController();
  /** One for each protocol, port and name in `Host`. */
  readonly pools = new Map<string, Pool>();
  /** The same, by the origins that callers write. They were judged for this target. */
  readonly poolsByOrigin = new Map<string, Pool>();

  constructor(target: Target) {
    super();
    this.target = target;
  }
}

type PoolEvent = 'connect' | 'disconnect' | 'connectionError' | 'drain';

/** A protocol and a port of the Service. */
interface Place {
  readonly protocol: string;
  readonly port: number;
  readonly hostname: string;
}

class RequestDispatcher extends UndiciDispatcher implements ServiceDispatcherState, AsyncDisposable, ExchangeHost {
  readonly #http: HttpSettings;
  readonly #settings: Settings;
  readonly #urls: ServiceUrls;
  readonly #connector: ServiceConnector;
  /** Pools of targets that the Service has left: each with its end, which comes with that of its last request. */
  readonly #leaving = new Map<Pool, Promise<unknown>>();
  readonly #waiting = new Set<Exchange>();
  /** Events of pools that are emitted here, too. */
  readonly #passedOn = new Set<PoolEvent>(['connect', 'disconnect', 'connectionError']);
  #lane: Lane | undefined;
  #closed: Promise<void> | undefined;

  constructor(http: HttpSettings, settings: Settings) {
    super();
    this.#http = http;
    this.#settings = settings;
    this.#connector = new ServiceConnector(http, (target) => this.#switchTo(target));
    this.#urls = new ServiceUrls(http.service, this.#connector.context);
    EventEmitter.prototype.on.call(this, 'newListener', (event) => {
      if (event === 'drain') this.#passOnDrain();
    });
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
      const { origin: given } = exchange.options;
      const origin = typeof given === 'string' ? given : String(given);
      const pool = lane.poolsByOrigin.get(origin) ?? this.#poolOf(lane, origin);
      exchange.place = lane;
      lane.add(exchange);
      pool.dispatch(exchange.options, exchange as Dispatcher.DispatchHandler);
    } catch (error) {
      lane.remove(exchange);
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
    this.#closed ??= this.#end((pool) => this.#leaving.get(pool) ?? pool.close());
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
    try {
      // Before anything is asked.
      this.#placeOf(String(exchange.options.origin), undefined);
    } catch (error) {
      exchange.fail(error as Error, 'not-executed');
      return;
    }
    this.#waiting.add(exchange);
    const { failoverTimeoutMillis: timeoutMillis } = this.#http;
    // Undici listens from then on that it has the request. Until then an error of the body must not end the process.
    const stopListening = onBodyError(exchange.options.body, (error) => exchange.fail(error, 'not-executed'));
    this.#connector
      .persist((signal) => this.#connector.current(signal), { signal: exchange.signal, timeoutMillis })
      .then(
        (target) => {
          this.#lane ??= new Lane(target);
          if (this.#waiting.delete(exchange)) this.send(exchange);
        },
        (error: Error) => {
          this.#waiting.delete(exchange);
          exchange.fail(error, 'not-executed');
        },
      )
      .finally(stopListening);
  }

  // The name of the server comes from the pool, so a name that the caller gives must not stand in its way.
  #ownOptions(options: Dispatcher.DispatchOptions): Dispatcher.DispatchOptions {
    const headers = sendableHeaders(options.headers, this.#http.hostHeader === 'target');
    if (headers === options.headers && !('dispatcher' in options)) return options;
    return { ...options, headers: headers ?? null, dispatcher: undefined } as Dispatcher.DispatchOptions;
  }

  #placeOf(origin: string, target: Target | undefined): Place {
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    if (url === undefined) throw new InvalidArgumentError('url', 'is not one: write https://<service>/...');
    const { protocol, hostname, port } = url;
    checkProtocol(protocol, this.#settings.allowHttp);
    this.#urls.check(hostname, target);
    return { protocol, hostname, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
  }

  #poolOf(lane: Lane, givenOrigin: string): Pool {
    const { protocol, port, hostname } = this.#placeOf(givenOrigin, lane.target);
    const host = this.#http.hostHeader === 'target' ? lane.target.externalName : hostname;
    const origin = `${protocol}//${authority(host, protocol, port)}`;
    const pool = lane.pools.get(origin) ?? this.#newPool(lane, origin, { protocol, port });
    lane.pools.set(origin, pool);
    lane.poolsByOrigin.set(givenOrigin, pool);
    return pool;
  }

  #newPool(lane: Lane, origin: string, { protocol, port }: Pick<Place, 'protocol' | 'port'>): Pool {
    const { allowH2 } = this.#settings;
    const tls =
      protocol === 'https:'
        ? { ...this.#http.tls, ALPNProtocols: allowH2 ? ['h2', 'http/1.1'] : ['http/1.1'] }
        : undefined;
    const pool = new UndiciPool(origin, {
      ...this.#settings.pool,
      allowH2,
      connect: (_where, callback) => {
        this.#connect(lane, { port, tls }).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        );
      },
    });
    for (const event of this.#passedOn) this.#passOn(pool, event);
    return pool;
  }

  // As undici's own Agent does.
  #passOn(pool: EventEmitter, event: PoolEvent): void {
    pool.on(event, (origin: URL, targets: readonly Dispatcher[], error?: Error) =>
      Reflect.apply(EventEmitter.prototype.emit, this, [event, origin, [this, ...targets], error]),
    );
  }

  // A pool that is as busy as it may be drains with each request: to be told costs as much as all else that is done for it here.
  #passOnDrain(): void {
    if (this.#passedOn.has('drain')) return;
    this.#passedOn.add('drain');
    for (const pool of [...(this.#lane?.pools.values() ?? []), ...this.#leaving.keys()]) this.#passOn(pool, 'drain');
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
    this.#lane = new Lane(target);
    const retired = new TargetRetiredError(left.target.externalName, 'not-executed');
    // Not when a connection of the old host comes free: it may never.
    for (const exchange of left.takeAll()) exchange.move(retired);
    left.over.abort(retired);
    for (const pool of left.pools.values()) {
      const ended = pool.close().catch(() => undefined);
      this.#leaving.set(pool, ended);
      ended.finally(() => this.#leaving.delete(pool)).catch(() => undefined);
    }
  }

  async #end(endPool: (pool: Pool) => Promise<unknown>): Promise<void> {
    // What is under way may still be answered, and sends nothing any more.
    const pools = [...(this.#lane?.pools.values() ?? []), ...this.#leaving.keys()];
    const refused = closedError(this.#http.service);
    this.#lane?.over.abort(refused);
    for (const exchange of [...this.#waiting]) exchange.fail(refused, 'not-executed');
    this.#waiting.clear();
    await Promise.all(pools.map(endPool));
    await this.#connector.close();
  }
}

function answer(ended: Promise<void>, callback: (() => void) | undefined): Promise<void> | void {
  if (callback === undefined) return ended;
  ended.then(callback, callback);
}

function checkPoolOptions(options: Pool.Options): void {
  try {
    // Makes no connection before the first request.
    new UndiciPool('https://invalid', options).destroy().catch(() => undefined);
  } catch (error) {
    throw new InvalidArgumentError('options', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Listens for the error of a body that is a stream. Returns what stops it. */
function onBodyError(body: unknown, listener: (error: Error) => void): () => void {
  if (!isStream(body)) return () => {};
  body.on('error', listener);
  return () => void body.off('error', listener);
}

// What undici takes for one.
function isStream(body: unknown): body is EventEmitter {
  if (typeof body !== 'object' || body === null) return false;
  return 'pipe' in body && typeof body.pipe === 'function' && 'on' in body && typeof body.on === 'function';
}
