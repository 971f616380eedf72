import type { Clock } from '@externalname/core';
import type * as pg from 'pg';
import { type AuthenticationDemands, guardAuthentication } from '../connect/authentication.ts';
import { type Connection, closeQuietly, connectClient, destroySocket } from '../connect/connector.ts';
import { checkRole, RoleReports } from '../connect/session-role.ts';
import type { PoolSettings } from '../options.ts';
import { type RecentEvent, RecentEvents } from '../recent-events.ts';
import type { ConnectionSupply, Supplied, SupplyRequest } from './service-connections.ts';

/**
 * The supply of a pool for a plain host: `pg` dials as it always does, once, and its error is the caller's.
 */
export class PlainSupply implements ConnectionSupply {
  readonly epoch = 0;
  readonly inOutage = false;
  readonly target = undefined;
  readonly candidate = undefined;
  readonly refusal = undefined;
  readonly #settings: PoolSettings;
  readonly #createClient: () => pg.Client;
  readonly #demands: (client: pg.Client, where: string) => AuthenticationDemands;
  readonly #clock: Clock;
  readonly #connecting = new Set<pg.Client>();
  readonly #recent: RecentEvents;
  #serving = false;
  #suspectedAt = Number.NEGATIVE_INFINITY;

  constructor(
    settings: PoolSettings,
    host: {
      createClient: () => pg.Client;
      demands: (client: pg.Client, where: string) => AuthenticationDemands;
    },
    clock: Clock,
  ) {
    this.#settings = settings;
    this.#createClient = host.createClient;
    this.#demands = host.demands;
    this.#clock = clock;
    this.#recent = new RecentEvents(clock, settings.secrets);
  }

  get serving(): boolean {
    return this.#serving;
  }

  get recentEvents(): readonly RecentEvent[] {
    return this.#recent.list();
  }

  get suspectedAt(): number {
    return this.#suspectedAt;
  }

  async obtain(request: SupplyRequest): Promise<Supplied> {
    const { targetSessionAttrs, name } = this.#settings;
    const client = this.#createClient();
    guardAuthentication(client, this.#demands(client, name));
    const roles = new RoleReports();
    roles.follow(client);
    this.#connecting.add(client);
    const happening = { event: 'connect', target: name } as const;
    const connected = this.#recent.begin(happening);
    try {
      await connectClient(client, request.signal);
      await checkRole(client, roles, name, targetSessionAttrs).catch((error: unknown) => {
        closeQuietly(client);
        throw error;
      });
      this.#recent.record({ ...happening, millis: connected() });
    } catch (error) {
      const { password } = client as unknown as { password: unknown };
      this.#recent.record({ ...happening, millis: connected(), error, secrets: [password] });
      throw error;
    } finally {
      this.#connecting.delete(client);
    }
    this.#serving = true;
    return { connection: { client, endpoint: undefined, roles }, epoch: 0 };
  }

  aside(): Promise<Connection> {
    return Promise.reject(new TypeError('a plain host has no endpoints'));
  }

  suspect(): void {
    this.#serving = false;
    this.#suspectedAt = this.#clock.now();
  }

  confirmed(): void {
    this.#serving = true;
  }

  async close(): Promise<void> {
    for (const client of this.#connecting) destroySocket(client);
  }
}
