import { type Clock, type Endpoint, type Random, systemClock, systemRandom, type Target } from '@externalname/core';
import { numberOf, TargetAddresses, type WatchedConnection } from '@externalname/core/internal';
import type * as pg from 'pg';
import { demandsOf } from '../client-options.ts';
import type { OpenConnection } from '../connect/connector.ts';
import { closeClient } from '../driver/closing.ts';
import { addressesLeft } from '../events.ts';
import type { Liveness } from '../liveness/liveness.ts';
import { postgresLiveness } from '../liveness/monitored-client.ts';
import type { PoolSettings } from '../options.ts';
import type { RecentEvent } from '../recent-events.ts';
import type { ConnectionRequest } from './connection-factory.ts';
import { ServiceConnections, type SwitchedTarget, tellSwitched } from './service-connections.ts';
import { type ServiceDialer, serviceDialer } from './service-dialer.ts';

/** A client that shares a connection factory with others. */
export interface SharingClient {
  /** Makes a client with the same options, to check a target with. */
  createScout(): pg.Client;
  /** Its user and database. */
  readonly login: { readonly user: string | undefined; readonly database: string | undefined };
  /** The Service points elsewhere now. */
  retire(target: Target): 'no work' | 'work' | undefined;
  /** Where it is connected; `undefined` while it is not. */
  endpoint(): Endpoint | undefined;
  /** Its address has left the target's name. */
  leave(): 'no work' | 'work' | undefined;
}

/**
 * One factory for all clients with the same options, user and database: fifty clients of one ORM's pool share one watcher of their
 * Service, and in an outage make no more attempts together than one pool. It begins with the first client and ends with the last.
 *
 * A new target is checked with the credentials of one of the clients, so clients of another user or database have a separate
 * factory: if the new server refuses one tenant, the other tenants still leave the old one.
 */
export class SharedConnections {
  readonly #key: string;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #service: ServiceConnections;
  readonly #liveness: Liveness | undefined;
  readonly #addresses: TargetAddresses | undefined;
  readonly #clients = new Set<SharingClient>();

  private constructor(key: string, settings: PoolSettings, { clock, random }: { clock: Clock; random: Random }) {
    this.#key = key;
    this.#name = settings.name;
    const dialer = serviceDialer(settings, { clock, random });
    this.#clock = clock;
    this.#addresses = settings.retireOnAddressChange === false ? undefined : this.#watchAddresses(dialer);
    this.#service = new ServiceConnections(
      settings,
      dialer,
      {
        createClient: () => this.#createScout(),
        demands: (client, where) => demandsOf(settings, client, where),
        follows: (target) => this.#addresses?.follow(target),
        switched: (to) => this.#switchTo(to),
      },
      { clock, random },
    );
    this.#liveness =
      settings.liveness &&
      postgresLiveness(
        settings.liveness,
        clock,
        (endpoint, signal) => this.#service.connectMonitor(endpoint, signal),
        settings.name,
      );
  }

  /**
   * Joins the clients with these settings.
   *
   * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`
   */
  static join(settings: PoolSettings, client: SharingClient): SharedConnections {
    const key = sharingKeyOf(settings, client);
    let shared = allShared.get(key);
    if (shared === undefined) {
      shared = new SharedConnections(key, settings, { clock: systemClock, random: systemRandom });
      allShared.set(key, shared);
    }
    shared.#clients.add(client);
    return shared;
  }

  /** Resolves when the shared parts are closed, if this client was the last. */
  async leave(client: SharingClient): Promise<void> {
    if (!this.#clients.delete(client) || this.#clients.size > 0) return;
    if (allShared.get(this.#key) === this) allShared.delete(this.#key);
    await Promise.all([this.#liveness?.close(), this.#service.close()]);
  }

  /** Makes a connection, with the request's own client. */
  connect(request: ConnectionRequest): Promise<OpenConnection> {
    return this.#service.connect(request);
  }

  get target(): Target | undefined {
    return this.#service.target;
  }

  /** The server of a client is suspect: look up where the Service points. */
  suspect(reason: unknown): void {
    this.#service.suspect(reason);
  }

  /** What was done and met last on the way to a server. */
  get recentEvents(): readonly RecentEvent[] {
    return this.#service.recentEvents;
  }

  /** Ends the connection if its server is found to be gone. Returns the function that ends the watch. */
  watch(connection: WatchedConnection): (() => void) | undefined {
    return this.#liveness?.watch(connection);
  }

  #switchTo(to: SwitchedTarget): void {
    // It has proved the target, but is not a client of the application.
    if (to.first !== undefined) closeClient(to.first.client, this.#clock);
    const retired = [...this.#clients].map((client) => client.retire(to.target));
    const [idle = 0, draining = 0] = countsOf(retired);
    tellSwitched(this.#name, to, idle, draining);
  }

  #watchAddresses(dialer: ServiceDialer): TargetAddresses {
    const clients = this.#clients;
    return new TargetAddresses(dialer, {
      *endpoints() {
        for (const client of clients) yield client.endpoint();
      },
      left: ({ target, addresses, has }) => {
        const retired = [...clients].filter((client) => has(client.endpoint())).map((client) => client.leave());
        const [idle = 0, inUse = 0] = countsOf(retired);
        if (idle + inUse === 0) return;
        const name = this.#name;
        addressesLeft.publish(() => {
          return { name, target: target.externalName, addresses: [...addresses], idle, inUse };
        });
      },
    });
  }

  #createScout(): pg.Client {
    const [client] = this.#clients;
    if (client === undefined) throw new Error('no client is left');
    return client.createScout();
  }
}

function countsOf(retired: readonly ReturnType<SharingClient['retire']>[]): readonly number[] {
  return ['no work', 'work'].map((what) => retired.filter((had) => had === what).length);
}

/** What is open in this process, by the settings that decide where connections lead. */
export const allShared: Map<string, SharedConnections> = new Map();

// Everything that decides where connections lead, and which of them. Secrets are not part of it.
function sharingKeyOf(settings: PoolSettings, { login }: SharingClient): string {
  const { source, dns, ...plain } = settings;
  const isResolver = dns !== undefined && Object.getPrototypeOf(dns) !== Object.prototype;
  return JSON.stringify({
    login,
    ...plain,
    source: source && numberOf(source),
    dns: isResolver ? numberOf(dns) : dns,
  });
}
