import type { Clock, Random } from '@externalname/core';
import {
  abortable,
  type Connections,
  describeEndpoint,
  type Replicas,
  type Spread,
  sleep,
  withDeadline,
} from '@externalname/core/internal';
import type { OpenConnection } from '../connect/connector.ts';
import { describeRole, roleFits } from '../connect/session-role.ts';
import { keepProcess, whileOpen } from '../driver/client-internals.ts';
import { noteWriting } from '../driver/pipelining.ts';
import { recoverPreparedStatements } from '../driver/prepared-statements.ts';
import { endTimersOfObjects, queryTimeoutWatch } from '../driver/query-timeout.ts';
import { recordStatementOutcomes } from '../driver/statement-outcome.ts';
import { ConnectTimeoutError, ServerRoleError } from '../errors.ts';
import { type ConnectionFactory, type MadeConnection, proofTimeoutMillis } from '../failover/connection-factory.ts';
import { classifyFailure, isDatabaseError } from '../failures/classify.ts';
import type { Liveness } from '../liveness/liveness.ts';
import { MonitoredClient } from '../liveness/monitored-client.ts';
import type { PoolSettings } from '../options.ts';
import type { Checkout } from './checkout.ts';
import type { PgPool } from './pg-pool.ts';
import { type ConnectionHost, PooledConnection } from './pooled-connection.ts';

/** What {@link Preparation} needs. */
export interface PreparationParts {
  readonly pool: PgPool;
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly factory: ConnectionFactory;
  readonly connections: Connections<PooledConnection>;
  readonly liveness: Liveness | undefined;
  readonly host: ConnectionHost;
  readonly spread: Spread<PooledConnection> | undefined;
  /** Checks the connections of a reader. */
  readonly replicas: Replicas<OpenConnection> | undefined;
  /** The preparation of the first connection of the current epoch: no other one is opened meanwhile, but ready sessions are taken. */
  first(): Promise<void> | undefined;
  /** The lifetime of an announced connection is over. */
  expire(connection: PooledConnection): void;
}

/** A connection that is ready to be lent. */
export interface Provided {
  readonly connection: PooledConnection;
  readonly isNew: boolean;
}

/** Makes connections ready to be lent: an idle one that was checked, or a new one on which the application's hook has run. */
export class Preparation {
  readonly #parts: PreparationParts;
  /** Connections that are being opened. */
  #making = 0;
  /** Checkouts for which a connection is being opened or checked. */
  #providing = 0;
  // One for all requests, instead of a closure for each.
  readonly #needed = (): boolean => this.#parts.connections.idleCount === 0 && this.#parts.first() === undefined;

  constructor(parts: PreparationParts) {
    this.#parts = parts;
  }

  /** Connections that are being opened. */
  get making(): number {
    return this.#making;
  }

  /** Checkouts with a permit whose connection is being opened or checked. */
  get providing(): number {
    return this.#providing;
  }

  /** The quick path: an idle connection that nothing speaks against. */
  borrowProven(): PooledConnection | undefined {
    const { nextIdle } = this.#parts.connections;
    return nextIdle === undefined || this.#mustProve(nextIdle) ? undefined : this.#borrow(nextIdle);
  }

  /**
   * The other paths, for as long as they take.
   *
   * @throws why no connection can be had, what the application's hook throws, or the reason of the checkout's signal
   */
  async provide(checkout: Checkout): Promise<Provided> {
    this.#providing += 1;
    try {
      return await this.#provide(checkout);
    } finally {
      this.#providing -= 1;
    }
  }

  async #provide(checkout: Checkout): Promise<Provided> {
    const { factory, connections, clock, first } = this.#parts;
    let mayTakeReady = true;
    for (;;) {
      const idle = await this.#borrowLiving();
      if (idle !== undefined) return { connection: idle, isNew: false };
      const beginning = first();
      if (beginning !== undefined && !(mayTakeReady && this.#hasReady())) {
        await abortable(beginning, checkout.request.signal);
        continue;
      }
      // One that cannot be used is not asked again and again while the first connection is prepared.
      mayTakeReady = false;
      const made = await this.#make(checkout);
      if (made === undefined) continue;
      const connection = this.adopt(made);
      if (!connections.add(connection)) {
        connection.close();
        continue;
      }
      const lost = await this.runHook(connection);
      if (connections.isCurrent(connection)) return { connection, isNew: true };
      connection.close();
      if (lost !== undefined && made.epoch === connections.epoch) {
        checkout.request.lastError = lost.error;
        factory.suspect(lost.error, connection.endpoint);
        await sleep(lostHookPauseMillis, { signal: checkout.request.signal, clock });
      }
    }
  }

  /** Adds a connection to the pool. */
  adopt(made: MadeConnection): PooledConnection {
    const { pool, settings, liveness, host, spread } = this.#parts;
    const connection = new PooledConnection(made, host);
    const { client, endpoint } = connection;
    pool._clients.push(client);
    spread?.added(connection);
    connection.listen();
    recordStatementOutcomes(client);
    recoverPreparedStatements(client);
    if (settings.follows) watchQueryTimeouts(client);
    if (settings.pipelining > 1) endTimersOfObjects(client);
    if (settings.pipelining > 1 || settings.statementCache > 0) noteWriting(client);
    if (endpoint !== undefined) connection.stopLiveness = liveness?.watch(new MonitoredClient(client, endpoint));
    return connection;
  }

  /**
   * Runs `onConnect`. Says if the server was lost meanwhile: for a Service that is an outage, not a failure of the hook.
   *
   * @throws what the hook throws
   */
  async runHook(connection: PooledConnection): Promise<{ readonly error: unknown } | undefined> {
    const { pool, settings, random, expire } = this.#parts;
    const { onConnect, maxLifetimeSeconds } = pool.options;
    const { client } = connection;
    try {
      if (onConnect) await whileOpen(client, async () => onConnect(client));
    } catch (error) {
      const lost =
        (!connection.isUsable && !connection.isAbandoned) ||
        (isDatabaseError(error) && classifyFailure(error, 'connected').kind === 'server-lost');
      // It was never announced by a `connect` event, so no `remove` event follows.
      connection.close('politely', false);
      if (lost && settings.follows && settings.failoverTimeoutMillis > 0 && !pool.ending) return { error };
      throw error;
    }
    if (maxLifetimeSeconds > 0) {
      // Connections that were opened together, as after a switch, must not all end together.
      const share = settings.follows ? 1 - longestJitter * random() : 1;
      connection.expireAfter(maxLifetimeSeconds * 1_000 * share, () => expire(connection));
    }
    return undefined;
  }

  /** Whether a reader must check its server before it is handed out again. */
  isDue(connection: PooledConnection): boolean {
    return this.#parts.replicas?.isDue(connection) === true;
  }

  /** Whether its server still has the wanted role, as far as it has said. */
  roleFits({ roles }: PooledConnection): boolean {
    return roleFits(this.#parts.settings.targetSessionAttrs, roles.role) !== false;
  }

  roleError({ endpoint, roles }: PooledConnection): ServerRoleError {
    const { targetSessionAttrs, name } = this.#parts.settings;
    const where = endpoint === undefined ? name : describeEndpoint(endpoint);
    return new ServerRoleError(where, targetSessionAttrs, describeRole(roles.role));
  }

  async #borrowLiving(): Promise<PooledConnection | undefined> {
    let forgotten = false;
    for (let idle = this.#borrow(); idle !== undefined; idle = this.#borrow()) {
      const wasLongIdle = this.#wasLongIdle(idle);
      // The next one was idle for even longer. What has forgotten this one has forgotten that one too, and each costs a wait.
      if (wasLongIdle && forgotten) idle.close('broken');
      else if (!this.#mustProve(idle) || (await this.#prove(idle))) return idle;
      else forgotten ||= wasLongIdle;
    }
    return undefined;
  }

  #borrow(chosen?: PooledConnection): PooledConnection | undefined {
    const connection = this.#parts.connections.borrow(chosen);
    if (connection === undefined) return undefined;
    connection.take();
    // While it is idle, `allowExitOnIdle` lets the process end; while it is used, it must not.
    if (this.#parts.pool.options.allowExitOnIdle) keepProcess(connection.client, true);
    return connection;
  }

  #mustProve(connection: PooledConnection): boolean {
    return (
      connection.provenAt < this.#parts.factory.suspectedAt || this.#wasLongIdle(connection) || this.isDue(connection)
    );
  }

  #wasLongIdle(connection: PooledConnection): boolean {
    const { clock, settings } = this.#parts;
    return clock.now() - connection.provenAt > settings.idleCheckMillis;
  }

  // One empty statement: a live server answers it, with its role if that has changed.
  async #prove(connection: PooledConnection): Promise<boolean> {
    const { factory, connections, clock, settings, replicas } = this.#parts;
    let isPreferred = true;
    const ask = async () => {
      if (replicas === undefined) await connection.client.query('');
      else isPreferred = await replicas.check(connection);
    };
    try {
      await withDeadline(ask, {
        timeoutMillis: proofTimeoutMillis,
        onTimeout: () => new ConnectTimeoutError(settings.name, proofTimeoutMillis),
        clock,
      });
    } catch {
      connection.close('broken');
      return false;
    }
    if (!isPreferred || !this.roleFits(connection) || !connections.isCurrent(connection)) {
      connection.close();
      return false;
    }
    connection.provenAt = clock.now();
    factory.confirmed();
    return true;
  }

  // While the hook runs on the first connection, it can run on others, too. Without a hook, the first one is prepared at once.
  #hasReady(): boolean {
    const { factory, connections, pool } = this.#parts;
    const { onConnect, max } = pool.options;
    return onConnect !== undefined && factory.hasReadySession && connections.total + this.#making < max;
  }

  async #make(checkout: Checkout): Promise<MadeConnection | undefined> {
    this.#making += 1;
    try {
      return await this.#parts.factory.connectIfNeeded(checkout.request, this.#needed);
    } finally {
      this.#making -= 1;
    }
  }
}

const watchQueryTimeouts = queryTimeoutWatch((client) => PooledConnection.of(client)?.abandon());

const longestJitter = 0.1;

// A server that loses its connections as fast as it accepts them must not be asked faster than one that accepts none.
const lostHookPauseMillis = 334;
