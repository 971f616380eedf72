import type net from 'node:net';
import {
  type Clock,
  type Endpoint,
  InvalidArgumentError,
  NoEndpointError,
  type ResolveOptions,
  type Target,
} from '@externalname/core';
import {
  addressOf,
  describeEndpoint,
  dial,
  explainCertificateFailure,
  recordOutcome,
  withDeadline,
} from '@externalname/core/internal';
import type * as pg from 'pg';
import { passwordOf } from '../driver/client-internals.ts';
import { closeClient } from '../driver/closing.ts';
import { aim, connectClient, missingToAim } from '../driver/connecting.ts';
import { searchPasswordFileFor } from '../driver/password-file.ts';
import { ConnectError, ConnectionLostError, ConnectTimeoutError, PasswordRequiredError } from '../errors.ts';
import { classifyFailure } from '../failures/classify.ts';
import type { RecentEvents } from '../recent-events.ts';
import { type AuthenticationDemands, answerScramFrom, guardAuthentication } from './authentication.ts';
import type { ScramKeyCache } from './scram-key-cache.ts';
import { checkRole, isPreferred, RoleReports, type WantedRole } from './session-role.ts';

/** A client that is ready, and what is known about the server behind it. */
export interface OpenConnection {
  readonly client: pg.Client;
  /** Where it is connected; `undefined` for a plain host, to which `pg` connects itself. */
  readonly endpoint: Endpoint | undefined;
  readonly roles: RoleReports;
}

/** What a {@link Connector} needs. */
export interface ConnectorSettings {
  /** Makes a client that has not connected yet. */
  readonly createClient: () => pg.Client;
  readonly wanted: WantedRole;
  /** The longest time for one address, from its TCP connection to the first ReadyForQuery, in milliseconds. */
  readonly attemptTimeoutMillis: number;
  readonly demands: (client: pg.Client, where: string) => AuthenticationDemands;
  /** The Service or host as written, for which the password file may have a line. */
  readonly name: string;
  /** The keys of passwords, shared by all connections. */
  readonly scramKeys: ScramKeyCache;
  /** Records what is tried, and how it goes. */
  readonly recent: RecentEvents;
  /** Rejects with the reason if a server whose role fits is not to be used. */
  readonly accept?: ((connection: OpenConnection) => Promise<void>) | undefined;
  /** The clock that deadlines run on. */
  readonly clock: Clock;
}

/** See {@link Connector.connect}. */
export interface ConnectOptions {
  /** Whether to look up the addresses past the cache. */
  readonly fresh?: boolean | undefined;
  readonly signal: AbortSignal;
  /** The only address to try. */
  readonly at?: Endpoint | undefined;
  /** Makes the client of each attempt. */
  readonly createClient?: (() => pg.Client) | undefined;
}

/** How a target is reached. */
export interface Dialer {
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
  /** Called for each address that did or did not work, for the balancer. */
  report(endpoint: Endpoint, failed: boolean): void;
  /** Called for an address whose connections were lost. */
  lost?(endpoint: Endpoint): void;
  /** Called for each address that serves, but was not preferred. */
  passedOver?(endpoint: Endpoint): void;
}

/**
 * Opens one `pg.Client` to one address of a target, and returns it only if the server there is the right one: its certificate
 * names the target, it authenticated in an accepted way, and its role fits.
 */
export class Connector {
  readonly #settings: ConnectorSettings;
  readonly #dialer: Dialer;
  /** The addresses of the last answer. */
  #endpoints: readonly Endpoint[] = [];

  constructor(settings: ConnectorSettings, dialer: Dialer) {
    this.#settings = settings;
    this.#dialer = dialer;
  }

  /**
   * Tries the target's addresses until one serves. With `prefer-standby`, as in libpq, until one is a standby; if there is none,
   * until one serves.
   *
   * @throws ResolutionError, the policy's errors, or ConnectError with one entry per address. With only one address, its error
   * is raised unchanged.
   */
  async connect(target: Target, options: ConnectOptions): Promise<OpenConnection> {
    const endpoints = options.at === undefined ? await this.#resolve(target, options) : [options.at];
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

  // The first address that serves. One that serves but is not preferred is passed over while there are others to try.
  async #firstOf(
    endpoints: readonly Endpoint[],
    { signal, createClient = this.#settings.createClient }: ConnectOptions,
    errors: unknown[],
    passedOver: Endpoint[] | undefined,
  ): Promise<OpenConnection | undefined> {
    const { recent, wanted } = this.#settings;
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
        for (const each of left) this.#dialer.report(each, true);
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
        this.#dialer.report(endpoint, false);
        recent.record({ ...attemptAt([endpoint]), millis: dialMillis + started() });
        const isOnlyOne = passedOver === undefined || left.length === 1;
        if (isOnlyOne || isPreferred(connection.roles.role, wanted.targetSessionAttrs)) return connection;
        closeClient(client, this.#settings.clock);
        passedOver.push(endpoint);
        this.#dialer.passedOver?.(endpoint);
      } catch (error) {
        const millis = dialMillis + started();
        socket.destroy();
        if (signal.aborted) throw error;
        errors.push(error);
        this.#dialer.report(endpoint, true);
        const secrets = client === undefined ? [] : [passwordOf(client)];
        recent.record({ ...attemptAt([endpoint]), millis, error, secrets });
        if (!classifyFailure(error, 'connecting').tryNextAddress) return undefined;
      }
      left = left.filter((each) => each !== endpoint);
    }
    return undefined;
  }

  /** Opens a session to one endpoint outside any pool, whatever the server's role: for monitoring and cancelling, not for work. */
  async connectMonitor(
    endpoint: Endpoint,
    signal: AbortSignal,
    createClient?: () => pg.Client,
  ): Promise<OpenConnection> {
    const { socket } = await this.#dial([endpoint], signal);
    try {
      const client = (createClient ?? this.#settings.createClient)();
      return await this.#start(client, socket, endpoint, signal, anyRole);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Forgets the keys of passwords. Connections in progress end by their signals. */
  close(): void {
    this.#settings.scramKeys.close();
  }

  async #resolve(
    target: Target,
    options: Pick<ResolveOptions, 'fresh'> & { signal: AbortSignal },
  ): Promise<readonly Endpoint[]> {
    const { recent } = this.#settings;
    const happening = { event: 'resolve', target: target.externalName } as const;
    const resolved = recent.begin(happening);
    try {
      const found = await this.#dialer.endpoints(target, options);
      // Each connection keeps the one that it was opened to, so equal ones are one object.
      const endpoints = found.map((each) => this.#endpoints.find((known) => isSame(known, each)) ?? each);
      this.#endpoints = endpoints;
      recent.record({ ...happening, addresses: endpoints.map(({ address }) => address), millis: resolved() });
      return endpoints;
    } catch (error) {
      const millis = resolved();
      if (!options.signal.aborted) recent.record({ ...happening, error, millis });
      throw error;
    }
  }

  async #dial(endpoints: readonly Endpoint[], signal: AbortSignal) {
    const { attemptTimeoutMillis, clock } = this.#settings;
    return await withDeadline((inner) => this.#dialer.race(endpoints, dialTcp, inner), {
      signal,
      clock,
      timeoutMillis: attemptTimeoutMillis,
      onTimeout: () => new ConnectTimeoutError(describeEndpoints(endpoints), attemptTimeoutMillis),
    });
  }

  async #start(
    client: pg.Client,
    socket: net.Socket,
    endpoint: Endpoint,
    signal: AbortSignal,
    wanted = this.#settings.wanted,
  ): Promise<OpenConnection> {
    const { attemptTimeoutMillis, clock } = this.#settings;
    const where = whereIs(endpoint);
    if (socket.destroyed) throw new ConnectionLostError(where);
    const missing = missingToAim(client);
    if (missing !== undefined) {
      throw new InvalidArgumentError(
        'Client',
        `must be a subclass of pg.Client, and its instances have no \`${missing}\`: write \`class extends pg.Client\`, or leave Client out`,
      );
    }
    aim(client, endpoint, socket, this.#dialer.tls(endpoint.target, client));
    guardAuthentication(client, this.#settings.demands(client, where));
    searchPasswordFileFor(client, [this.#settings.name, endpoint.target.externalName]);
    answerScramFrom(client, this.#settings.scramKeys);
    const roles = new RoleReports();
    roles.track(client);
    try {
      await withDeadline((inner) => connectClient(client, inner), {
        signal,
        clock,
        timeoutMillis: attemptTimeoutMillis,
        onTimeout: () => new ConnectTimeoutError(where, attemptTimeoutMillis),
      });
    } catch (error) {
      if (lacksPassword(client, error)) {
        throw new PasswordRequiredError(where, client.user ?? '', this.#settings.name, { cause: error });
      }
      throw explainCertificateFailure(
        endpoint.target,
        error,
        clock.date(),
        'ssl.ca (or in the file that PGSSLROOTCERT names)',
      );
    }
    try {
      const accept = wanted === this.#settings.wanted ? this.#settings.accept : undefined;
      const check = async () => {
        await checkRole(client, roles, where, wanted);
        await accept?.({ client, endpoint, roles });
      };
      await withDeadline(check, {
        signal,
        clock,
        timeoutMillis: attemptTimeoutMillis,
        onTimeout: () => new ConnectTimeoutError(where, attemptTimeoutMillis),
      });
    } catch (error) {
      closeClient(client, clock);
      throw error;
    }
    return { client, endpoint, roles };
  }
}

function isSame(one: Endpoint, other: Endpoint): boolean {
  return one.target === other.target && one.address === other.address && one.port === other.port;
}

/** What messages call an endpoint. One text for all connections to it, because each keeps it. */
function whereIs(endpoint: Endpoint): string {
  const where = wheres.get(endpoint) ?? describeEndpoint(endpoint);
  wheres.set(endpoint, where);
  return where;
}

const wheres = new WeakMap<Endpoint, string>();

// The words of `pg`, and ours where we answer in its place.
function lacksPassword(client: pg.Client, error: unknown): boolean {
  return !passwordOf(client) && error instanceof Error && /^SASL: .*client password must be a/.test(error.message);
}

const anyRole: WantedRole = { targetSessionAttrs: 'any', takesOwnReadOnly: false };

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

function dialTcp(endpoint: Endpoint, signal: AbortSignal): Promise<net.Socket> {
  return dial({ host: endpoint.address, port: endpoint.port, noDelay: true }, signal);
}

// The addresses of which none accepted TCP in time.
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
