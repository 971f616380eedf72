import { type Clock, type Random, systemClock, systemRandom, type Target } from '@externalname/core';
import type * as pg from 'pg';
import { type Connection, closeQuietly } from '../connect/connector.ts';
import { switched } from '../events.ts';
import type { Liveness } from '../liveness/liveness.ts';
import { postgresLiveness } from '../liveness/monitored-client.ts';
import type { WatchedConnection } from '../liveness/silence.ts';
import { demandsOf, type PoolSettings } from '../options.ts';
import type { RecentEvent } from '../recent-events.ts';
import { FollowingSupply, type SupplyRequest } from './service-connections.ts';
import { createRoute } from './service-dialer.ts';

/** A client that shares its supply with others. */
export interface SharingClient {
  /** Makes a client of the same options, to look at a target with. */
  createScout(): pg.Client;
  /** The Service points elsewhere now. */
  retire(target: Target): 'idle' | 'draining' | undefined;
}

/**
 * One supply for all clients of the same options: fifty clients of one ORM's pool are one watcher of their Service, and
 * together make no more attempts in an outage than one pool would. Begins with the first client and ends with the last.
 */
export class SharedSupply {
  readonly #key: string;
  readonly #name: string;
  readonly #supply: FollowingSupply;
  readonly #liveness: Liveness | undefined;
  readonly #clients = new Set<SharingClient>();

  private constructor(key: string, settings: PoolSettings, { clock, random }: { clock: Clock; random: Random }) {
    this.#key = key;
    this.#name = settings.name;
    const route = createRoute(settings, { clock, random });
    this.#supply = new FollowingSupply(
      settings,
      route,
      {
        createClient: () => this.#createScout(),
        demands: (client, where) => demandsOf(settings, client, where),
        hasIdle: () => false,
        moved: (target, previous, first) => {
          // It has shown that the target serves; a client of the application's own it is not.
          if (first !== undefined) closeQuietly(first.client);
          if (previous !== undefined) this.#move(target, previous);
        },
      },
      { clock, random },
    );
    this.#liveness =
      settings.liveness &&
      postgresLiveness(settings.liveness, clock, (endpoint, signal) => this.#supply.aside(endpoint, signal));
  }

  /**
   * Joins the supply of these settings.
   *
   * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`
   */
  static join(settings: PoolSettings, client: SharingClient): SharedSupply {
    const key = keyOf(settings);
    let shared = supplies.get(key);
    if (shared === undefined) {
      shared = new SharedSupply(key, settings, { clock: systemClock, random: systemRandom });
      supplies.set(key, shared);
    }
    shared.#clients.add(client);
    return shared;
  }

  /** How many are open in this process. For tests. @internal */
  static get openCount(): number {
    return supplies.size;
  }

  /** Resolves when what was shared is closed, where this client was the last. */
  async leave(client: SharingClient): Promise<void> {
    if (!this.#clients.delete(client) || this.#clients.size > 0) return;
    if (supplies.get(this.#key) === this) supplies.delete(this.#key);
    await Promise.all([this.#liveness?.close(), this.#supply.close()]);
  }

  /** Makes a connection, by the request's own client. */
  async obtain(request: SupplyRequest): Promise<Connection> {
    const supplied = await this.#supply.obtain(request);
    if (supplied === 'idle') throw new Error('nothing is idle here');
    return supplied.connection;
  }

  get target(): Target | undefined {
    return this.#supply.target;
  }

  /** The server of a client is in doubt: look where the Service points. */
  suspect(reason: unknown): void {
    this.#supply.suspect(reason);
  }

  /** What was done and met last on the way to a server. */
  get recentEvents(): readonly RecentEvent[] {
    return this.#supply.recentEvents;
  }

  /** Ends the connection when its server is found to be gone. Returns the function that ends the watch. */
  watch(connection: WatchedConnection): (() => void) | undefined {
    return this.#liveness?.watch(connection);
  }

  #move(target: Target, previous: Target): void {
    const retired = [...this.#clients].map((client) => client.retire(target));
    switched.publish(() => ({
      name: this.#name,
      from: previous.externalName,
      to: target.externalName,
      source: target.source,
      epoch: this.#supply.epoch,
      idle: retired.filter((how) => how === 'idle').length,
      draining: retired.filter((how) => how === 'draining').length,
    }));
  }

  #createScout(): pg.Client {
    const [client] = this.#clients;
    if (client === undefined) throw new Error('no client is left');
    return client.createScout();
  }
}

const supplies = new Map<string, SharedSupply>();

// Everything that decides where connections lead and which of them do. Secrets are no part of it.
function keyOf(settings: PoolSettings): string {
  const { source, dns, ...plain } = settings;
  return JSON.stringify({ ...plain, source: identityOf(source), dns: isPlain(dns) ? dns : identityOf(dns) });
}

function isPlain(value: unknown): boolean {
  return value === undefined || (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype);
}

function identityOf(object: object | undefined): number | undefined {
  if (object === undefined) return undefined;
  const known = identities.get(object);
  if (known !== undefined) return known;
  lastIdentity += 1;
  identities.set(object, lastIdentity);
  return lastIdentity;
}

const identities = new WeakMap<object, number>();
let lastIdentity = 0;
