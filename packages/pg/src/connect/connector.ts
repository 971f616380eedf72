import net from 'node:net';
import {
  type Endpoint,
  InvalidArgumentError,
  NoEndpointError,
  type ResolveOptions,
  type Target,
} from '@externalname/core';
import { withDeadline } from '@externalname/core/internal';
import type * as pg from 'pg';
import { endWaitForReady } from '../driver/client-internals.ts';
import { ConnectError, ConnectionLostError, ConnectTimeoutError } from '../errors.ts';
import { classifyFailure, recordOutcome } from '../failures/classify.ts';
import type { RecentEvents } from '../recent-events.ts';
import { type AuthenticationDemands, answerScramFrom, guardAuthentication } from './authentication.ts';
import type { ScramKeyCache } from './scram-key-cache.ts';
import { checkRole, isPreferred, RoleReports, type TargetSessionAttrs } from './session-role.ts';

/** A client that is ready, and what is known of the server behind it. */
export interface Connection {
  readonly client: pg.Client;
  /** Where it leads; `undefined` for a plain host, which `pg` dials itself. */
  readonly endpoint: Endpoint | undefined;
  readonly roles: RoleReports;
}

/** What a {@link Connector} needs to know and to be given. */
export interface ConnectorSettings {
  /** Makes a client that has not connected yet. */
  readonly createClient: () => pg.Client;
  readonly targetSessionAttrs: TargetSessionAttrs;
  /** Longest time for one address, from its TCP connection to the first ReadyForQuery, in milliseconds. */
  readonly attemptTimeoutMillis: number;
  readonly demands: (client: pg.Client, where: string) => AuthenticationDemands;
  /** Where connections find the keys of their password. */
  readonly scramKeys: ScramKeyCache;
  /** Told of what is tried, and how it goes. */
  readonly recent: RecentEvents;
}

/** See {@link Connector.connect}. */
export interface ConnectOptions {
  /** Whether the addresses are asked for past the cache. */
  readonly fresh?: boolean | undefined;
  readonly signal: AbortSignal;
  /** Makes the client of each attempt. */
  readonly createClient?: (() => pg.Client) | undefined;
}

/** How a target is reached. */
export interface ConnectorRoute {
  /** The addresses to try, checked against the policy, in the order of preference. */
  endpoints(target: Target, options: Pick<ResolveOptions, 'fresh' | 'signal'>): Promise<readonly Endpoint[]>;
  /** Races TCP connections to the endpoints; see `raceEndpoints` of core. */
  race(
    endpoints: readonly Endpoint[],
    attempt: (endpoint: Endpoint, signal: AbortSignal) => Promise<net.Socket>,
    signal: AbortSignal,
  ): Promise<{ endpoint: Endpoint; socket: net.Socket }>;
  /** TLS options for the target; `false` for none. */
  tls(target: Target, client: pg.Client): object | false;
  /** Told of each address that did or did not do, for the balancer's memory. */
  report(endpoint: Endpoint, failed: boolean): void;
}

/**
 * Opens one `pg.Client` to one address of a target, and hands it out only when the server there is the one that was
 * asked for: its certificate names the target, it authenticated as demanded, and its role fits.
 */
export class Connector {
  readonly #settings: ConnectorSettings;
  readonly #route: ConnectorRoute;

  constructor(settings: ConnectorSettings, route: ConnectorRoute) {
    this.#settings = settings;
    this.#route = route;
  }

  /**
   * Tries the target's addresses until one serves. With `prefer-standby`, as in libpq, until one is a standby, and if none is,
   * until one serves.
   *
   * @throws ResolutionError, the policy's errors, or ConnectError with one entry an address. The error of the only
   * address is raised as it is.
   */
  async connect(target: Target, options: ConnectOptions): Promise<Connection> {
    const endpoints = await this.#resolve(target, options);
    const errors: unknown[] = [];
    const passedOver: Endpoint[] = [];
    const connection =
      (await this.#firstOf(endpoints, options, errors, passedOver)) ??
      (await this.#firstOf(passedOver, options, errors, undefined));
    if (connection !== undefined) return connection;
    options.signal.throwIfAborted();
    const error = errors.length === 1 ? errors[0] : new ConnectError(target.externalName, errors);
    recordOutcome(error, 'not-executed');
    throw error;
  }

  // The first that serves. One that serves and is not preferred is passed over while there are others to try.
  async #firstOf(
    endpoints: readonly Endpoint[],
    { signal, createClient = this.#settings.createClient }: ConnectOptions,
    errors: unknown[],
    passedOver: Endpoint[] | undefined,
  ): Promise<Connection | undefined> {
    const { recent, targetSessionAttrs } = this.#settings;
    let left = endpoints;
    while (left.length > 0) {
      signal.throwIfAborted();
      let endpoint: Endpoint;
      let socket: net.Socket;
      const dialled = recent.begin(attemptAt(left));
      try {
        ({ endpoint, socket } = await this.#dial(left, signal));
      } catch (error) {
        const millis = dialled();
        for (const each of left) this.#route.report(each, true);
        if (!signal.aborted) {
          for (const each of failuresOf(error, left)) {
            recent.record({ ...attemptAt([each.endpoint]), millis, error: each.error });
          }
        }
        errors.push(...reasons(error));
        return undefined;
      }
      const dialMillis = dialled();
      const started = recent.begin(attemptAt([endpoint]));
      let client: pg.Client | undefined;
      try {
        client = createClient();
        const connection = await this.#start(client, socket, endpoint, signal);
        this.#route.report(endpoint, false);
        recent.record({ ...attemptAt([endpoint]), millis: dialMillis + started() });
        const isOnlyOne = passedOver === undefined || left.length === 1;
        if (isOnlyOne || isPreferred(connection.roles.role, targetSessionAttrs)) return connection;
        closeQuietly(client);
        passedOver.push(endpoint);
      } catch (error) {
        const millis = dialMillis + started();
        socket.destroy();
        if (signal.aborted) throw error;
        errors.push(error);
        this.#route.report(endpoint, true);
        const secrets = [(client as { password?: unknown } | undefined)?.password];
        recent.record({ ...attemptAt([endpoint]), millis, error, secrets });
        if (!classifyFailure(error, 'connecting').tryNextAddress) return undefined;
      }
      left = left.filter((each) => each !== endpoint);
    }
    return undefined;
  }

  /** Opens a session to one endpoint, to look at its server from the side, whatever its role. Not for work, and not in any pool. */
  async connectAside(endpoint: Endpoint, signal: AbortSignal, createClient?: () => pg.Client): Promise<Connection> {
    const { socket } = await this.#dial([endpoint], signal);
    try {
      const client = (createClient ?? this.#settings.createClient)();
      return await this.#start(client, socket, endpoint, signal, 'any');
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  async #resolve(
    target: Target,
    options: Pick<ResolveOptions, 'fresh'> & { signal: AbortSignal },
  ): Promise<readonly Endpoint[]> {
    const { recent } = this.#settings;
    const happening = { event: 'resolve', target: target.externalName } as const;
    const resolved = recent.begin(happening);
    try {
      const endpoints = await this.#route.endpoints(target, options);
      recent.record({ ...happening, addresses: endpoints.map(({ address }) => address), millis: resolved() });
      return endpoints;
    } catch (error) {
      const millis = resolved();
      if (!options.signal.aborted) recent.record({ ...happening, error, millis });
      throw error;
    }
  }

  async #dial(endpoints: readonly Endpoint[], signal: AbortSignal) {
    const { attemptTimeoutMillis } = this.#settings;
    return await withDeadline((inner) => this.#route.race(endpoints, dialTcp, inner), {
      signal,
      timeoutMillis: attemptTimeoutMillis,
      onTimeout: () => new ConnectTimeoutError(describeEndpoints(endpoints), attemptTimeoutMillis),
    });
  }

  async #start(
    client: pg.Client,
    socket: net.Socket,
    endpoint: Endpoint,
    signal: AbortSignal,
    targetSessionAttrs = this.#settings.targetSessionAttrs,
  ): Promise<Connection> {
    const { attemptTimeoutMillis } = this.#settings;
    const where = describeEndpoint(endpoint);
    if (socket.destroyed) throw new ConnectionLostError(where);
    if (!hasConnection(client)) {
      throw new InvalidArgumentError('Client', 'its instances are no clients of pg, with a connection that can be led');
    }
    aim(client, endpoint, socket, this.#route.tls(endpoint.target, client));
    guardAuthentication(client, this.#settings.demands(client, where));
    answerScramFrom(client, this.#settings.scramKeys);
    const roles = new RoleReports();
    roles.follow(client);
    await withDeadline((inner) => connectClient(client, inner), {
      signal,
      timeoutMillis: attemptTimeoutMillis,
      onTimeout: () => new ConnectTimeoutError(where, attemptTimeoutMillis),
    });
    try {
      await withDeadline(() => checkRole(client, roles, where, targetSessionAttrs), {
        signal,
        timeoutMillis: attemptTimeoutMillis,
        onTimeout: () => new ConnectTimeoutError(where, attemptTimeoutMillis),
      });
    } catch (error) {
      closeQuietly(client);
      throw error;
    }
    return { client, endpoint, roles };
  }
}

/** Connects a client by the callback form, so that a failure is reported here and nowhere else. */
export function connectClient(client: pg.Client, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    const abort = () => fail(signal.reason);
    const fail = (error: unknown) => {
      if (over) return;
      over = true;
      signal.removeEventListener('abort', abort);
      destroySocket(client);
      reject(error);
    };
    signal.addEventListener('abort', abort, { once: true });
    // It stays when the client is connected: until somebody takes it over, a last word of the server would be an
    // uncaught exception of the process.
    client.on('error', fail);
    reportUnreadable(client, fail);
    endWaitForReady(client);
    client.connect((error?: Error | null) => {
      if (error) {
        fail(error);
      } else {
        over = true;
        signal.removeEventListener('abort', abort);
        resolve();
      }
    });
  });
}

// The parser of `pg` throws on what it does not know, from an event of the socket, and any server could end the process
// so (by asking for GSS). Once the client is connected, what is thrown there may be the application's own.
function reportUnreadable(client: pg.Client, fail: (error: unknown) => void): void {
  const { connection } = client as unknown as { connection?: Attachable };
  if (connection === undefined) return;
  const attachListeners = connection.attachListeners;
  connection.attachListeners = function (this: unknown, stream) {
    const reader = {
      on(event: string, listener: (...values: unknown[]) => void) {
        const guarded = (...values: unknown[]) => {
          if ((client as unknown as { _connected: boolean })._connected) return listener(...values);
          try {
            listener(...values);
          } catch (error) {
            fail(error);
          }
        };
        stream.on(event, event === 'data' ? guarded : listener);
        return reader;
      },
    };
    return attachListeners.call(this, reader);
  };
}

interface Readable {
  on(event: string, listener: (...values: unknown[]) => void): unknown;
}

interface Attachable {
  attachListeners(stream: Readable): unknown;
}

/** Tears the connection down without a word to the server. Never waits. */
export function destroySocket(client: pg.Client): void {
  const { connection } = client as unknown as { connection?: { _ending: boolean; stream: { destroy(): void } } };
  connection?.stream.destroy();
}

/** Ends a client politely, and by force where the server does not answer within a second. */
export function closeQuietly(client: pg.Client, done: () => void = () => {}): void {
  let over = false;
  const finish = () => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    done();
  };
  const timer = setTimeout(() => {
    destroySocket(client);
    finish();
  }, politeEndMillis);
  timer.unref();
  (client as unknown as { end(callback: () => void): void }).end(finish);
}

// Long enough for a goodbye over a slow path, short enough that a stopped server does not hold up a pool's end().
const politeEndMillis = 1_000;

/** How an endpoint is called in messages. */
export function describeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.target.externalName} (${addressOf(endpoint)})`;
}

/** As in a URL. */
export function addressOf({ address, port }: Pick<Endpoint, 'address' | 'port'>): string {
  return `${net.isIPv6(address) ? `[${address}]` : address}:${port}`;
}

function attemptAt(endpoints: readonly Endpoint[]) {
  const [first] = endpoints;
  const addresses = endpoints.map(addressOf);
  const target = first?.target.externalName ?? '';
  return {
    event: 'connect',
    target,
    ...(addresses.length === 1 ? { address: addresses[0] ?? '' } : { addresses }),
  } as const;
}

function describeEndpoints(endpoints: readonly Endpoint[]): string {
  const [first] = endpoints;
  if (endpoints.length === 1 && first !== undefined) return describeEndpoint(first);
  return `${first?.target.externalName ?? 'the target'} (${endpoints.length} addresses)`;
}

// Points a client that `pg` configured in its own way at the endpoint. With the external name as its host and a
// socket that is connected already, SNI, the name that the certificate is checked against and
// `connectionParameters.host` are all the external name; no option of pg's achieves all three.
function aim(client: pg.Client, endpoint: Endpoint, socket: net.Socket, tls: object | false): void {
  const { externalName } = endpoint.target;
  const aimed = client as unknown as AimableClient;
  aimed.host = externalName;
  aimed.connectionParameters.host = externalName;
  aimed.port = endpoint.port;
  aimed.connectionParameters.port = endpoint.port;
  aimed.connectionParameters.isDomainSocket = false;
  aimed.ssl = tls;
  aimed.connection.ssl = tls;
  aimed.connection.stream = standIn(socket);
}

/** A socket that is connected already, for `pg`, which wants to connect it. */
export function standIn(socket: net.Socket): net.Socket {
  socket.connect = () => {
    process.nextTick(() => socket.emit('connect'));
    return socket;
  };
  return socket;
}

function hasConnection(client: pg.Client): boolean {
  return (client as { connection?: unknown }).connection !== undefined;
}

interface AimableClient {
  host: string;
  port: number;
  ssl: object | false;
  readonly connectionParameters: { host: string; port: number; isDomainSocket: boolean };
  readonly connection: { ssl: object | false; stream: net.Socket };
}

function dialTcp(endpoint: Endpoint, signal: AbortSignal): Promise<net.Socket> {
  return dial({ host: endpoint.address, port: endpoint.port, noDelay: true }, signal);
}

/** Opens a socket. */
export function dial(where: net.NetConnectOpts, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(where);
    // Between the connection and the client that takes it over, an error must not bring the process down.
    socket.on('error', () => {});
    const abort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', fail);
      resolve(socket);
    });
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort);
      reject(error);
    };
    socket.once('error', fail);
  });
}

// Of all addresses where none was dialled in time.
function failuresOf(
  error: unknown,
  endpoints: readonly Endpoint[],
): readonly { readonly endpoint: Endpoint; readonly error: unknown }[] {
  return error instanceof NoEndpointError ? error.failures : endpoints.map((endpoint) => ({ endpoint, error }));
}

function reasons(error: unknown): readonly unknown[] {
  if (error instanceof AggregateError) return error.errors;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof AggregateError ? cause.errors : [error];
}
