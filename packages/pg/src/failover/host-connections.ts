import type { Clock, Random } from '@externalname/core';
import { type Epoch, ServerHealth } from '@externalname/core/internal';
import type * as pg from 'pg';
import { answerScramFrom, guardAuthentication } from '../connect/authentication.ts';
import { ScramKeyCache } from '../connect/scram-key-cache.ts';
import { checkRole, RoleReports } from '../connect/session-role.ts';
import { passwordOf } from '../driver/client-internals.ts';
import { closeClient, destroyClient } from '../driver/closing.ts';
import { connectClient } from '../driver/connecting.ts';
import type { PoolSettings } from '../options.ts';
import { type RecentEvent, RecentEvents } from '../recent-events.ts';
import {
  beginAttempt,
  type ConnectionFactory,
  type ConnectionRequest,
  type FactoryHost,
  type MadeConnection,
} from './connection-factory.ts';
import { UnfollowedService } from './unfollowed-service.ts';

/**
 * Makes the connections of a pool for a plain host: `pg` connects as it always does, once, and its error goes to the caller. There is
 * one epoch.
 */
export class HostConnections implements ConnectionFactory {
  readonly epoch: Epoch = { number: 0, over: new AbortController().signal };
  readonly inOutage = false;
  readonly hasReadySession = false;
  readonly target = undefined;
  readonly candidate = undefined;
  readonly targetSince = undefined;
  readonly confirmedMillisAgo = undefined;
  readonly refusal = undefined;
  readonly addresses = [];
  readonly readySessions = {};
  readonly #settings: PoolSettings;
  readonly #host: FactoryHost;
  readonly #clock: Clock;
  readonly #connecting = new Set<pg.Client>();
  readonly #scramKeys = new ScramKeyCache();
  readonly #recent: RecentEvents;
  readonly #health: ServerHealth;

  readonly #unfollowed: UnfollowedService;

  constructor(settings: PoolSettings, host: FactoryHost, dependencies: { clock: Clock; random: Random }) {
    const { clock } = dependencies;
    this.#unfollowed = new UnfollowedService(settings, dependencies);
    this.#settings = settings;
    this.#host = host;
    this.#clock = clock;
    this.#recent = new RecentEvents(settings.name, clock, settings.secrets);
    this.#health = new ServerHealth(clock);
  }

  get serving(): boolean {
    return this.#health.seemsToServe;
  }

  get servedAt(): number | undefined {
    return this.#health.servedAt;
  }

  get recentEvents(): readonly RecentEvent[] {
    return this.#recent.list();
  }

  get suspectedAt(): number {
    return this.#health.suspectedAt;
  }

  async connect(request: ConnectionRequest): Promise<MadeConnection> {
    const { name } = this.#settings;
    await this.#unfollowed.beforeConnecting();
    const client = this.#host.createClient();
    guardAuthentication(client, this.#host.demands(client, name));
    // What a channel is bound to is determined in one place, here as for a Service.
    if (this.#settings.channelBinding !== 'disable') answerScramFrom(client, this.#scramKeys);
    const roles = new RoleReports();
    roles.track(client);
    this.#connecting.add(client);
    const happening = { event: 'connect', target: name } as const;
    const connecting = this.#recent.begin(happening);
    const report = beginAttempt(name, name, this.#clock);
    try {
      await connectClient(client, request.signal);
      await checkRole(client, roles, name, this.#settings).catch((error: unknown) => {
        closeClient(client, this.#clock);
        throw error;
      });
      this.#recent.record({ ...happening, millis: connecting() });
    } catch (error) {
      this.#health.failed();
      report({ error });
      this.#recent.record({ ...happening, millis: connecting(), error, secrets: [passwordOf(client)] });
      throw error;
    } finally {
      this.#connecting.delete(client);
    }
    this.#health.reached();
    report({ made: { client, endpoint: undefined, roles } });
    return { client, endpoint: undefined, roles, epoch: this.epoch };
  }

  connectIfNeeded(request: ConnectionRequest): Promise<MadeConnection> {
    return this.connect(request);
  }

  suspect(): void {
    this.#health.suspect();
  }

  confirmed(at?: number): void {
    this.#health.confirmed(at);
  }

  async close(): Promise<void> {
    for (const client of this.#connecting) destroyClient(client);
    this.#scramKeys.close();
  }
}
