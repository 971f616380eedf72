import { type Dependencies, isExternalNameError } from '@externalname/core';
import {
  aSignal,
  Connections,
  checkOptions,
  dependenciesOf,
  endpointsOf,
  type Pause,
  readerRoute,
} from '@externalname/core/internal';
import type { PauseOptions } from '@externalname/core/targets';
// As a namespace, for this name stands in the public types: users without esModuleInterop have no default import of pg.
import * as pg from 'pg';
import { controlClientOf } from '../client/pool-client.ts';
import { clientOptions, demandsOf, hideSecrets } from '../client-options.ts';
import { positionOf } from '../connect/wal-position.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import { HostConnections } from '../failover/host-connections.ts';
import { ServiceConnections, type SwitchedTarget } from '../failover/service-connections.ts';
import { serviceDialer } from '../failover/service-dialer.ts';
import { postgresLiveness } from '../liveness/monitored-client.ts';
import { type PoolOptions, type PoolSettings, poolSettings } from '../options.ts';
import { SlowShare } from '../pipeline/slow-share.ts';
import { readerLinkOf } from '../reader/reader-link.ts';
import { Reading } from '../reader/reading.ts';
import { attachRecentEvents } from '../recent-events.ts';
import type { TransactionHost } from '../transaction/rollback.ts';
import type { Transaction } from '../transaction/scope.ts';
import type { TransactionOptions } from '../transaction/settings.ts';
import { runTransaction } from '../transaction/transaction.ts';
import { addressRetirement } from './address-retirement.ts';
import { type AdoptionParts, adoptIdle } from './adoption.ts';
import type { Checkout } from './checkout.ts';
import { CheckoutQueue, type Permit } from './checkout-queue.ts';
import { checkoutTimeout } from './checkout-timeout.ts';
import { connectionHost } from './connection-host.ts';
import { Ending } from './ending.ts';
import { Entrance, firstAttempt } from './entrance.ts';
import { FailedAnswers } from './failed-answers.ts';
import { Lending } from './lending.ts';
import {
  Listening,
  type ListenNotification,
  type ListenOptions,
  listeningHostOf,
  type Subscription,
} from './listening.ts';
import type { Member, Origin, QueryOnce } from './member.ts';
import { pauseOf } from './pause.ts';
import { type PendingItem, pgPoolOf, poolEndedError } from './pg-pool.ts';
import { type PoolStatus, poolStatus } from './pool-status.ts';
import type { PooledConnection } from './pooled-connection.ts';
import { Preparation } from './preparation.ts';
import { endpointsOfProcess } from './process-endpoints.ts';
import { Queries, type Repeatable } from './query.ts';
import { type Sharing, sharingOf } from './sharing.ts';
import { spreadOf } from './spread.ts';
import { Switching } from './switching.ts';
import { abandonOwn, type TransactionHostParts, transactionHost } from './transaction-host.ts';

/**
 * A `pg.Pool` that connects through a Kubernetes ExternalName Service and follows it.
 *
 * It has the surface of `pg.Pool`, and is one (`instanceof`). `docs/guides/pool.md` lists the intended differences.
 *
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` for a Service without `allowedTargets`
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for an option that cannot be used
 *
 * @example
 * ```ts
 * const pool = new Pool({
 *   service: 'webscaler-db',
 *   allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
 *   database: 'app',
 *   user: 'app',
 *   password: process.env.PGPASSWORD,
 *   ssl: { ca },
 * });
 * await pool.query('select now()');
 * ```
 */
export class Pool extends pg.Pool {
  /**
   * The class for clients outside the pool, as `new pool.Client(pool.options)`: the option `Client` if it was given, and
   * `pg`'s own for a plain host.
   *
   * For a Service it is {@link Client}. A statement that signals a process of this pool by its number
   * (`select pg_cancel_backend(123)`) is sent to the server that has the process, wherever the Service points now. If the pool has
   * no such process, the statement is refused ({@link UnknownBackendError}).
   */
  declare readonly Client: new (
    config?: string | pg.ClientConfig,
  ) => pg.Client;
  readonly #settings: PoolSettings;
  readonly #parts: Omit<TransactionHostParts, 'connect'>;
  readonly #factory: ConnectionFactory;
  readonly #connections: Connections<PooledConnection>;
  readonly #queue: CheckoutQueue;
  readonly #preparation: Preparation;
  readonly #lending: Lending;
  readonly #switching: Switching;
  readonly #queries: Queries;
  readonly #ending: Ending;
  readonly #pause: Pause;
  readonly #entrance: Entrance;
  /** Set if queries share connections, or are prepared by the pool. */
  readonly #sharing: Sharing | undefined;
  readonly #reading: Reading<PoolStatus, Pool>;
  #listening: Listening | undefined;

  constructor(options: PoolOptions = {}, dependencies: Dependencies = {}) {
    const settings = poolSettings(options);
    const { clock, random } = dependenciesOf(dependencies);
    // Before the superclass, so that a mistake is reported before anything exists.
    const link = readerLinkOf(options);
    const ownDialer = settings.follows ? serviceDialer(settings, { clock, random }) : undefined;
    const dialer = ownDialer && link ? readerRoute(ownDialer, link.primaryEndpoints, clock) : ownDialer;
    super(clientOptions(options, settings));
    const pool = pgPoolOf(this);
    hideSecrets(pool.options);
    this.#settings = settings;
    // Before `pool.Client` becomes one of ours.
    const PooledClient = pool.Client;
    const createClient = () => {
      pool.log('connecting new client');
      return new PooledClient(pool.options);
    };
    const reading = new Reading<PoolStatus, Pool>({
      options,
      settings,
      clock,
      link,
      passedOver: ownDialer?.passedOver,
      endpoints: dialer && ((signal) => endpointsOf(dialer, this.#factory.target, signal)),
      connect: (wait) => this.#connectAs(wait),
      query: (config) => this.query(config),
      make: (given) => new Pool(given, dependencies),
    });
    this.#reading = reading;
    const { replicas } = reading;
    const factoryHost = {
      createClient,
      demands: (client: pg.Client, where: string) => demandsOf(settings, client, where),
    };
    const service =
      dialer &&
      new ServiceConnections(
        settings,
        dialer,
        {
          ...factoryHost,
          accept: replicas && ((connection) => replicas.accept(connection)),
          follows: (target) => addresses?.follow(target),
          switched: (to) => this.#switched(to),
          candidateDropped: () => this.#switching.check(),
          planned: (plan): number => (this.#pause.planned(plan) ? this.#connections.total : 0),
          addressLost: (endpoint) => spread?.lost(endpoint),
        },
        { clock, random },
      );
    const factory = service ?? new HostConnections(settings, factoryHost, { clock, random });
    this.#factory = factory;
    const { liveness: limits, name } = settings;
    const liveness =
      service && limits && postgresLiveness(limits, clock, (...at) => service.connectMonitor(...at), name);
    if (service !== undefined && (options as { Client?: unknown }).Client === undefined) {
      pool.Client = controlClientOf({
        settings,
        clock,
        endpointsOf: (processId) => endpointsOfProcess(processId, this.#connections.open()),
        connectMonitor: (endpoint, signal, create) => service.connectMonitor(endpoint, signal, create),
      });
    }
    const { max } = pool.options;
    const slowShare = new SlowShare(max);
    const queue = new CheckoutQueue(max, (checkout, permit) => this.#serve(checkout, permit), slowShare);
    const spread = spreadOf({
      ...{ settings, clock, dialer: ownDialer, service, queue, max },
      connections: () => this.#connections,
      making: () => this.#preparation.making,
      adopt: (made) => adoptIdle(adoption, made),
    });
    const connections = new Connections(max, factory.epoch, spread?.choice);
    const addresses = addressRetirement({ settings, dialer, connections, listening: () => this.#listening });
    const answers = new FailedAnswers(clock);
    const parts = { pool, settings, clock, random, factory, connections, queue, answers, spread };
    this.#parts = parts;
    const preparation = new Preparation({
      ...parts,
      liveness,
      host: connectionHost({
        ...parts,
        cutting: () => this.#ending.cutting,
        drained: () => {
          this.#switching.check();
          this.#pause.check();
        },
        closed: () => {
          this.#pause.check();
          this.#checkEnd();
        },
      }),
      replicas,
      first: () => this.#switching.first,
      expire: (connection) => this.#lending.expire(connection),
    });
    const lending = new Lending({ ...parts, preparation, sharing: () => this.#sharing });
    this.#connections = connections;
    this.#queue = queue;
    this.#preparation = preparation;
    this.#lending = lending;
    const adoption: AdoptionParts = { ...parts, preparation, lending };
    this.#switching = new Switching({ ...adoption, factory });
    this.#ending = new Ending({ ...parts, lending, liveness });
    this.#pause = pauseOf(parts);
    const entrance = new Entrance({
      ...{ settings, queue, connections, lending },
      calledAt: () => this.#queries.calledAt,
      sharing: () => this.#sharing,
      host: {
        name: settings.name,
        clock,
        answered: (checkout) => {
          queue.leave(checkout);
          if (pool.ending) this.#checkEnd();
        },
        timeoutError: (checkout, timeoutMillis) => checkoutTimeout(checkout, timeoutMillis, settings, factory),
      },
    });
    this.#entrance = entrance;
    const sharing = sharingOf({
      ...{ ...parts, preparation, lending, slowShare },
      cutting: () => this.#ending.cutting,
      enter: (entry, fail, wait) => entrance.enterLane(entry, fail, wait),
    });
    this.#sharing = sharing;
    this.#queries = new Queries({
      ...parts,
      once: (text, values, callback, attempt) => {
        const shared = sharing?.query(text, values, attempt);
        if (shared !== undefined) return shared;
        entrance.mark(attempt === undefined ? firstAttempt : { borrower: 'query', ...attempt });
        try {
          // Looked up at each call, because tracers patch it.
          return (super.query as unknown as QueryOnce).call(this, text, values, callback);
        } finally {
          entrance.mark(undefined);
        }
      },
      onceAfter: (token, text, values, attempt) =>
        reading.after.query(token, text, values, { borrower: 'query', budgetMillis: attempt?.budgetMillis }),
      answeredAt: () => lending.releasedAt,
      isReader: link !== undefined,
      isSharing: sharing !== undefined,
    });
  }

  static {
    // Bundlers rename the class.
    Object.defineProperty(Pool, 'name', { value: 'Pool' });
    // Getters, as in pg-pool, whose types call them properties. They work on any object, because instrumentations read
    // them from the bare prototype.
    const count = (name: string, of: (pool: Pool) => number) =>
      Object.defineProperty(Pool.prototype, name, {
        configurable: true,
        get(this: object) {
          return #entrance in this ? of(this as Pool) : 0;
        },
      });
    count('totalCount', (pool) => pool.#countTotal());
    count('idleCount', (pool) => pool.#connections.idleCount);
    count('waitingCount', (pool) => Math.max(0, pool.#queue.withoutPermit - pool.#queue.spare));
    count(
      'expiredCount',
      (pool) => [...pool.#connections.open()].filter((each) => each.isExpired && !each.isOver).length,
    );
  }

  /** Where the pool points and how it is doing, for a health endpoint. Makes no request, and contains no secrets. */
  status(): PoolStatus {
    const status = poolStatus(pgPoolOf(this), this.#parts, this.#preparation.making);
    const sharing = this.#sharing?.status();
    return { ...status, waiting: this.#queue.size, sharing, pause: this.#pause.status, ...this.#reading.status() };
  }

  /**
   * Resolves when the pool can serve: the target is found, allowed and verified, and its server has answered within the last second.
   * Opens a connection if there is none. For the readiness check of a pod, and to warm up before the first request.
   *
   * Waits for a server like any caller of `query()`, and rejects like it. Concurrent calls share one statement.
   *
   * @throws the reason of `signal` when that fires
   */
  ready(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptions(options, { signal: aSignal });
    return this.#queries.ready(options.signal);
  }

  /**
   * Resolves when no connection to an earlier target is left: at once if no switch is under way.
   *
   * @throws the reason of `signal` when that fires
   */
  async drained(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptions(options, { signal: aSignal });
    return this.#switching.drained(options.signal);
  }

  /**
   * Holds callers, and resolves when no work is in progress (PgBouncer's PAUSE): no connection is in use. Callers wait in the queue, within
   * their own deadlines and `maxWaiting`, until `resume()`. Transactions that have begun finish; a caller that holds a client and asks for a second
   * one waits, too. `listen()` goes on: its connection runs no statements of callers. Idle connections stay open.
   *
   * If work does not finish in time, or the signal fires, callers are served again, and the promise rejects. `end()` ends a pause.
   *
   * @throws PauseEndedError `ERR_EXTERNALNAME_PAUSE_ENDED` if work in progress took too long, or `resume()` was called; or the reason of `signal`
   *
   * @example
   * ```ts
   * await pool.pause({ timeoutMillis: 5_000 });
   * try {
   *   // Restart the database.
   * } finally {
   *   pool.resume();
   * }
   * ```
   */
  async pause(options: PauseOptions = {}): Promise<void> {
    if (this.ending) throw poolEndedError();
    return this.#pause.pause(options);
  }

  /** Serves held callers in the order in which they arrived, also those that are held for a planned switch. Does nothing if none are held. */
  resume(): void {
    this.#pause.resume();
  }

  /**
   * As in `pg.Pool`. While no usable server is known, the call waits for up to `failoverTimeoutMillis`; a statement that
   * certainly did not run is retried within that time. `idempotent: true` in a query's config says that running it twice does
   * no harm, and lets the pool also retry a statement that may have run.
   */
  // biome-ignore-start lint/suspicious/noExplicitAny: the forms are those of pg's types, so that code typed for them compiles unchanged
  override query<T extends pg.Submittable>(query: T): T;
  /** Rows as arrays. */
  override query<R extends any[] = any[], I = any[]>(
    config: pg.QueryArrayConfig<I> & Repeatable,
    values?: pg.QueryConfigValues<I>,
  ): Promise<pg.QueryArrayResult<R>>;
  /** With everything in one object. */
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    config: pg.QueryConfig<I> & Repeatable,
  ): Promise<pg.QueryResult<R>>;
  /** With its values. */
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    textOrConfig: string | (pg.QueryConfig<I> & Repeatable),
    values?: pg.QueryConfigValues<I>,
  ): Promise<pg.QueryResult<R>>;
  /** Rows as arrays, with a callback. */
  override query<R extends any[] = any[], I = any[]>(
    config: pg.QueryArrayConfig<I> & Repeatable,
    callback: (error: Error, result: pg.QueryArrayResult<R>) => void,
  ): void;
  /** With a callback. */
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    textOrConfig: string | (pg.QueryConfig<I> & Repeatable),
    callback: (error: Error, result: pg.QueryResult<R>) => void,
  ): void;
  /** With its values and a callback. */
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    text: string,
    values: pg.QueryConfigValues<I>,
    callback: (error: Error, result: pg.QueryResult<R>) => void,
  ): void;
  // biome-ignore-end lint/suspicious/noExplicitAny: as above
  override query(text: unknown, values?: unknown, callback?: unknown): unknown {
    return this.#queries.query(text, values, callback);
  }

  /**
   * Runs `work` between BEGIN and COMMIT, on one connection. Resolves with the result of `work` once the server has said, or it
   * is proven, that the transaction is committed. If `work` rejects, the transaction is rolled back and the promise rejects too.
   *
   * A transaction that was certainly rolled back is retried as a whole, `work` included: after a conflict (40001, 40P01), and
   * if the server was lost before COMMIT, within `failoverTimeoutMillis`. See `docs/guides/transactions.md`.
   *
   * @throws CommitOutcomeUnknownError `ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN` if COMMIT got no answer and no proof
   * @throws TransactionRolledBackError `ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK` if it was rolled back although `work` resolved
   * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT` if no usable server was found in time
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if `work` leaves a cursor, a stream or a COPY open
   *
   * @example
   * ```ts
   * const order = await pool.transaction(async (tx) => {
   *   const { rows } = await tx.query('insert into orders (customer) values ($1) returning id', [customer]);
   *   await tx.query('update customers set orders = orders + 1 where id = $1', [customer]);
   *   return rows[0].id;
   * });
   * ```
   */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    const connect: TransactionHost['connect'] = async (wait) => {
      wait.signal?.throwIfAborted();
      const as = { borrower: 'transaction', ...wait } as const;
      if (options?.after === undefined) return this.#connectAs(as);
      return (await this.#reading.after.connect(positionOf(options.after), as)).client;
    };
    const chosen = this.#reading.isReader ? { ...options, readOnly: true } : options;
    return runTransaction(transactionHost({ ...this.#parts, connect }), work, chosen);
  }

  /**
   * A pool for reads, made at first use: standbys by preference, the primary while there are none (the option `reader`). It has its own
   * connections, its sessions write nothing, and it retries what failed, because a read may run twice. `end()` ends it, too.
   *
   * A standby may be behind: give a read the token of the write that it must see.
   *
   * @example
   * ```ts
   * await pool.query('insert into orders (customer) values ($1)', [customer]);
   * const after = await pool.currentToken();
   * const { rows } = await pool.reader.query({ text: 'select * from orders where customer = $1', values: [customer], after });
   * ```
   */
  get reader(): Pool {
    if (this.#reading.isReader) return this;
    if (this.ending && !this.#reading.hasReader) throw poolEndedError();
    return this.#reading.reader;
  }

  /**
   * A token for everything that was committed before this call: the position of the primary in its write-ahead log. A read with
   * `after: token`, on `pool.reader` or in another process, runs on a server that has replayed it. Costs one round trip.
   *
   * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT`, as `query()` does
   */
  currentToken(): Promise<string> {
    return this.#reading.currentToken();
  }

  /**
   * Calls `handler` for every NOTIFY on the channel. Resolves when the server listens.
   *
   * All channels of a pool share one connection, which does not count towards `max`. If it is lost, or the Service is
   * pointed elsewhere, the pool reconnects, for as long as that takes. Notifications sent meanwhile are lost, so `onReconnect`
   * says when to catch up. Ends with `close()`, the signal, or the pool. See `docs/guides/listen.md`.
   *
   * @param channel as in NOTIFY with quotes: the case matters. At most 63 bytes.
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT` if there is no connection in time
   *
   * @example
   * ```ts
   * const subscription = await pool.listen('jobs', ({ payload }) => run(payload), { onReconnect: () => runAllDue() });
   * await subscription.close();
   * ```
   */
  listen(
    channel: string,
    handler: (notification: ListenNotification) => void,
    options?: ListenOptions,
  ): Promise<Subscription> {
    if (this.ending) return Promise.reject(poolEndedError());
    this.#listening ??= new Listening(listeningHostOf(this.#settings, this.#factory), {
      clock: this.#parts.clock,
      random: this.#parts.random,
      heartbeatMillis: this.#settings.listenHeartbeatMillis,
    });
    return this.#listening.listen(channel, handler, options);
  }

  /**
   * As in `pg.Pool`, but within `endTimeoutMillis`: connections that are still in use then are closed. Resolves when
   * every socket is closed.
   */
  override end(): Promise<void>;
  /** The same, with a callback. */
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | undefined {
    if (this.ending) {
      const error = new Error('Called end on pool more than once');
      if (callback === undefined) return Promise.reject(error);
      (callback as (error: Error) => void)(error);
      return undefined;
    }
    const over = this.#endWithin(this.#settings.endTimeoutMillis);
    if (callback === undefined) return over;
    over.then(
      () => process.nextTick(callback),
      () => process.nextTick(callback),
    );
    return undefined;
  }

  /** Calls `end()`, at the end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ending) await this.end();
  }

  // ---- The seam of pg-pool: its connect() asks these two, and leaves the rest to us.

  /** Never: the queue has a bound of its own. @internal */
  _isFull(): boolean {
    return false;
  }

  /** What a `BalancedPool` needs of its members. @internal */
  _asMember(): Member {
    const { endTimeoutMillis } = this.#settings;
    return {
      ...{ factory: this.#factory, queue: this.#queue, sharing: this.#sharing, endTimeoutMillis },
      abandon: (client, error) => abandonOwn(this.#connections, client, error),
      enter: (item, origin) => this.newClient(item, origin),
      end: (spentMillis) => this.#ending.over ?? this.#endWithin(Math.max(0, endTimeoutMillis - spentMillis)),
    };
  }

  /** Queues a caller of `connect()`. @internal */
  newClient(item: PendingItem, origin?: Origin | undefined): void {
    this.#entrance.enter(item, origin);
  }

  // ---- Between the parts

  #connectAs(origin: Origin): Promise<pg.PoolClient> {
    this.#entrance.mark(origin);
    try {
      return this.connect();
    } finally {
      this.#entrance.mark(undefined);
    }
  }

  // A checkout got a permit.
  #serve(checkout: Checkout, permit: Permit): void {
    const proven = this.#preparation.borrowProven();
    if (proven !== undefined) {
      this.#lending.handOut(proven, checkout, permit, false);
      return;
    }
    this.#preparation.provide(checkout).then(
      ({ connection, isNew }) => {
        // In the meantime it may have ended, or the Service may point elsewhere.
        if (this.#connections.isCurrent(connection)) {
          this.#lending.handOut(connection, checkout, permit, isNew);
          return;
        }
        connection.close();
        this.#serve(checkout, permit);
      },
      (error: unknown) => {
        this.#queue.release(permit);
        if (isExternalNameError(error)) attachRecentEvents(error, this.#factory.recentEvents);
        checkout.fail(error);
        this.#checkEnd();
      },
    );
  }

  #switched(to: SwitchedTarget): void {
    this.#switching.switchTo(to);
    this.#listening?.switched();
    this.#switching.check();
    this.#pause.moved();
  }

  #endWithin(timeoutMillis: number): Promise<void> {
    const pool = pgPoolOf(this);
    // Tracers hook pg's own end(), which sets `ending`. Only we know when everything is over.
    super.end(() => undefined);
    pool.ended = false;
    this.#pause.close();
    const ended = this.#ending.begin(timeoutMillis);
    const over = Promise.all([ended, this.#listening?.close(), this.#reading.close()])
      .then(() => this.#ending.close())
      .then(() => {
        pool.ended = true;
      });
    this.#ending.over = over;
    this.#checkEnd();
    return over;
  }

  #checkEnd(): void {
    this.#ending.check(this.#preparation.providing);
  }

  // Includes connections that are being opened, and those that callers who have just arrived will need.
  #countTotal(): number {
    const { withoutPermit, spare } = this.#queue;
    const starting = Math.max(0, Math.min(withoutPermit, spare) - this.#connections.idleCount);
    return this.#connections.total + this.#preparation.making + starting;
  }
}
