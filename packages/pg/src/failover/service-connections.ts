import { setMaxListeners } from 'node:events';
import {
  type Clock,
  ClosedError,
  type Endpoint,
  type Random,
  ResolutionError,
  type Target,
  type Timer,
} from '@externalname/core';
import type * as pg from 'pg';
import type { AuthenticationDemands } from '../connect/authentication.ts';
import { type Connection, Connector, closeQuietly, describeEndpoint } from '../connect/connector.ts';
import { ScramKeyCache } from '../connect/scram-key-cache.ts';
import { connected, targetNotFollowed } from '../events.ts';
import { classifyFailure, type Failure } from '../failures/classify.ts';
import type { PoolSettings } from '../options.ts';
import { type RecentEvent, RecentEvents } from '../recent-events.ts';
import { ConnectionPacing } from './reconnect-pacing.ts';
import type { Route } from './service-dialer.ts';
import { TargetFollower } from './target-follower.ts';

/** What the supply asks of the pool. */
export interface SupplyHost {
  createClient(): pg.Client;
  demands(client: pg.Client, where: string): AuthenticationDemands;
  /** Whether a caller could be served without a new connection. */
  hasIdle(): boolean;
  /** The pool points at another target from now on; `first` is a connection to it, where one was made already. */
  moved(target: Target, previous: Target | undefined, first: Connection | undefined): void;
  /** A target that the pool was about to move to is off. */
  settled?(): void;
}

/** A new connection, and the epoch of the supply that it was made in. */
export interface Supplied {
  readonly connection: Connection;
  readonly epoch: number;
}

/** Who asks for a connection. */
export interface SupplyRequest {
  /** Fires when the caller does not wait any longer. A connection that is being made is finished all the same. */
  readonly signal: AbortSignal;
  /** Makes the client of each attempt, where that is not the host's business. */
  readonly createClient?: () => pg.Client;
  /** The last thing that went wrong on the caller's behalf, for the error that it gets when its time is up. */
  lastError: unknown;
}

/** Where a pool's connections come from. */
export interface ConnectionSupply {
  /**
   * Makes a connection. `'idle'` where the pool has one to hand out meanwhile.
   *
   * @throws why no connection can be had, or the reason of the request's signal
   */
  obtain(request: SupplyRequest): Promise<Supplied | 'idle'>;
  /** Something went wrong that puts the server in doubt: nothing idle is to be trusted. `reason` is the error that says so. */
  suspect(reason?: unknown): void;
  /** The server was heard from, and is what was asked for. */
  confirmed(): void;
  /** Opens a session beside the pool, to look at a server from the side. */
  aside(endpoint: Endpoint, signal: AbortSignal, createClient?: () => pg.Client): Promise<Connection>;
  /** Ends everything under way. Idempotent. */
  close(): Promise<void>;
  /** When the server was last suspected, in `now()` milliseconds: what was idle before must prove itself. */
  readonly suspectedAt: number;
  readonly epoch: number;
  readonly serving: boolean;
  /** Whether the last attempt to connect failed and none has succeeded since. */
  readonly inOutage: boolean;
  readonly target: Target | undefined;
  readonly candidate: Target | undefined;
  readonly refusal: { readonly target: string; readonly error: unknown } | undefined;
  /** What was done and met last on the way to a server. */
  readonly recentEvents: readonly RecentEvent[];
}

/**
 * The supply of a pool that follows a Service: it follows the target, paces the attempts, and goes on trying on a caller's
 * behalf while failures say that another attempt may help.
 */
export class FollowingSupply implements ConnectionSupply {
  readonly #settings: PoolSettings;
  readonly #host: SupplyHost;
  readonly #clock: Clock;
  readonly #pacing: ConnectionPacing;
  readonly #connector: Connector;
  readonly #scramKeys = new ScramKeyCache();
  readonly #recent: RecentEvents;
  readonly #follower: TargetFollower;
  readonly #route: Route;
  #epoch = 0;
  /** Fires when the current epoch is over: connections being made for it are pointless then. */
  #epochOver = newEpochSignal();
  /** Whether a connection was ever made. Before that, a name that does not resolve is an error and no outage. */
  #everServed = false;
  #serving = false;
  #suspectedAt = Number.NEGATIVE_INFINITY;
  #vetted: Connection | undefined;
  #refusal: { readonly target: string; readonly error: unknown } | undefined;
  #closed = false;
  /** Callers for whom a connection is being made. */
  #obtaining = 0;
  #lookTimer: Timer | undefined;

  constructor(settings: PoolSettings, route: Route, host: SupplyHost, dependencies: { clock: Clock; random: Random }) {
    this.#settings = settings;
    this.#host = host;
    this.#clock = dependencies.clock;
    this.#route = route;
    this.#recent = new RecentEvents(dependencies.clock, settings.secrets);
    this.#pacing = new ConnectionPacing(
      {
        spreadMillis: settings.reconnectSpreadMillis,
        outageIntervalMillis: outageIntervalMillis,
        longestOutageIntervalMillis: longestOutageIntervalMillis,
      },
      dependencies,
    );
    this.#connector = new Connector(
      {
        createClient: () => host.createClient(),
        targetSessionAttrs: settings.targetSessionAttrs,
        attemptTimeoutMillis: settings.attemptTimeoutMillis,
        demands: (client, where) => host.demands(client, where),
        scramKeys: this.#scramKeys,
        recent: this.#recent,
      },
      route,
    );
    this.#follower = new TargetFollower(
      { source: route.source, policy: route.policy, vetIntervalMillis: outageIntervalMillis },
      {
        vet: (target, signal) => this.#vet(target, signal),
        move: (target, previous) => this.#move(target, previous),
        currentServes: () => this.#serving,
        refused: (target, error) => this.#refused(target, error),
        settled: () => host.settled?.(),
        looked: (answer) => this.#recent.record({ event: 'source', ...answer }),
      },
      dependencies.clock,
    );
  }

  get target(): Target | undefined {
    return this.#follower.target;
  }

  get candidate(): Target | undefined {
    return this.#follower.candidate;
  }

  get refusal(): { readonly target: string; readonly error: unknown } | undefined {
    return this.#refusal;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get serving(): boolean {
    return this.#serving;
  }

  get inOutage(): boolean {
    return this.#pacing.inOutage;
  }

  get suspectedAt(): number {
    return this.#suspectedAt;
  }

  get recentEvents(): readonly RecentEvent[] {
    return this.#recent.list();
  }

  async obtain(request: SupplyRequest): Promise<Supplied | 'idle'> {
    this.#obtaining += 1;
    try {
      return await this.#obtain(request);
    } finally {
      this.#obtaining -= 1;
    }
  }

  // Tries again for as long as the request's signal allows and failures say that it may help.
  async #obtain(request: SupplyRequest): Promise<Supplied | 'idle'> {
    for (;;) {
      let hasTurn = false;
      try {
        const known = await this.#follower.current(request.signal);
        await this.#pacing.turn(request.signal);
        hasTurn = true;
        // While the caller waited for its turn the Service may have come to point elsewhere.
        const supplied = await this.#attempt(this.#follower.target ?? known, request.createClient);
        if (supplied !== undefined) return supplied;
      } catch (error) {
        const another = this.#worthAnother(error, classifyFailure(error, 'connecting'));
        // A turn is given back whatever became of the caller, or nobody would ever have the next one.
        if (hasTurn && !another) this.#pacing.passed();
        if (hasTurn && another) this.#pacing.failed();
        if (request.signal.aborted) throw request.signal.reason;
        // What an attempt met is recorded where it was made.
        if (!hasTurn) this.#recent.record({ event: 'source', error });
        request.lastError = error;
        if (!another) throw error;
        if (!hasTurn) this.#pacing.failed();
        this.suspect();
      }
    }
  }

  /** Looks where the Service points, past every cache. */
  suspect(reason?: unknown): void {
    if (this.#closed) return;
    if (reason !== undefined) {
      this.#recent.record({ event: 'lost', ...(this.target && { target: this.target.externalName }), error: reason });
    }
    this.#serving = false;
    this.#suspectedAt = this.#clock.now();
    this.#pacing.suspected();
    this.#follower.currentLost();
    this.#lookAgain();
  }

  aside(endpoint: Endpoint, signal: AbortSignal, createClient?: () => pg.Client): Promise<Connection> {
    return this.#connector.connectAside(endpoint, signal, createClient);
  }

  confirmed(): void {
    this.#serving = true;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#lookTimer?.cancel();
    this.#follower.close();
    this.#epochOver.abort(new ClosedError('the pool'));
    this.#dropVetted();
    this.#scramKeys.close();
    await this.#route.close();
  }

  // Callers wait for the Service to point at a server that serves. Its name is asked for more often than connections are
  // tried: a question to the cluster's DNS is cheap, and its answer ends the outage.
  #lookAgain(): void {
    // Never rejects, and nobody waits for it: a new target arrives by itself.
    this.#follower.refresh().catch(() => undefined);
    if (this.#lookTimer !== undefined) return;
    this.#lookTimer = this.#clock.schedule(
      () => {
        this.#lookTimer = undefined;
        if (!this.#closed && !this.#serving && this.#obtaining > 0) this.#lookAgain();
      },
      outageLookMillis,
      { background: true },
    );
  }

  async #attempt(target: Target, createClient?: () => pg.Client): Promise<Supplied | 'idle' | undefined> {
    if (createClient === undefined && this.#host.hasIdle()) {
      this.#pacing.passed();
      return 'idle';
    }
    const epoch = this.#epoch;
    const { signal } = this.#epochOver;
    try {
      const connection = await this.#connect(target, signal, createClient);
      if (signal.aborted) {
        closeQuietly(connection.client);
      } else {
        this.#everServed = true;
        this.#serving = true;
        this.#pacing.succeeded();
        return { connection, epoch };
      }
    } catch (error) {
      if (!signal.aborted || this.#closed) throw error;
    }
    this.#pacing.passed();
    return undefined; // The Service points elsewhere now: begin again.
  }

  async #connect(target: Target, signal: AbortSignal, createClient?: () => pg.Client): Promise<Connection> {
    const startedAt = this.#clock.now();
    const report = (outcome: { address?: string; error?: unknown }) =>
      connected.publish(() => ({
        name: this.#settings.name,
        target: target.externalName,
        durationMillis: this.#clock.now() - startedAt,
        ...outcome,
      }));
    try {
      const fresh = this.#pacing.inOutage;
      const connection = await this.#connector.connect(target, { signal, fresh, createClient });
      report(connection.endpoint === undefined ? {} : { address: describeEndpoint(connection.endpoint) });
      return connection;
    } catch (error) {
      report({ error });
      throw error;
    }
  }

  #worthAnother(error: unknown, failure: Failure): boolean {
    if (this.#closed || this.#settings.failoverTimeoutMillis === 0 || !failure.retryable) return false;
    if (failure.kind !== 'name' || this.#everServed) return true;
    // At the start, "no such host" is a mistake to report; "nobody answers" may pass.
    return !(error instanceof ResolutionError) || error.failure === 'unavailable';
  }

  async #vet(target: Target, signal: AbortSignal): Promise<void> {
    this.#dropVetted();
    const connection = await this.#connect(target, signal);
    if (signal.aborted) {
      closeQuietly(connection.client);
      throw signal.reason;
    }
    this.#vetted = connection;
  }

  #move(target: Target, previous: Target | undefined): void {
    const first = this.#vetted;
    this.#vetted = undefined;
    this.#refusal = undefined;
    const { externalName, source } = target;
    if (previous === undefined) {
      this.#recent.record({ event: 'source', target: externalName, source });
      this.#host.moved(target, undefined, undefined);
      return;
    }
    this.#recent.record({ event: 'switch', target: externalName, source, from: previous.externalName });
    this.#epoch += 1;
    const over = this.#epochOver;
    this.#epochOver = newEpochSignal();
    this.#serving = first !== undefined;
    this.#suspectedAt = Number.NEGATIVE_INFINITY;
    this.#host.moved(target, previous, first);
    over.abort(new Error(`the Service points at ${target.externalName} now`));
    if (first !== undefined) this.#pacing.switched();
    else this.#pacing.hurry();
  }

  #refused(target: Target, error: unknown): void {
    this.#refusal = { target: target.externalName, error };
    const stays = this.target?.externalName;
    const from = stays === undefined ? undefined : { from: stays };
    this.#recent.record({ event: 'refuse', target: target.externalName, ...from, error });
    targetNotFollowed.publish(() => ({ name: this.#settings.name, target: target.externalName, stays, error }));
  }

  #dropVetted(): void {
    const vetted = this.#vetted;
    this.#vetted = undefined;
    if (vetted !== undefined) closeQuietly(vetted.client);
  }
}

// Every connection that is being made listens to it, and a pool may make many at once.
function newEpochSignal(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

// With the jitter that pacing adds, three attempts a second at the most.
const outageIntervalMillis = 334;
const longestOutageIntervalMillis = 1_000;

// How often cluster DNS is asked while callers wait. A thousand pods make two thousand questions a second of it.
const outageLookMillis = 500;
