import {
  type Clock,
  type Endpoint,
  isExternalNameError,
  type Random,
  systemClock,
  systemRandom,
  type Target,
} from '@externalname/core';
import { abortable, sleep, withDeadline } from '@externalname/core/internal';
import { createPool, type Pool as SlotPool } from 'generic-pool';
// As a namespace, for this name stands in the public types: users without esModuleInterop have no default import of pg.
import * as pg from 'pg';
import { controlClientOf } from '../client/pool-client.ts';
import { type Connection, closeQuietly, describeEndpoint, destroySocket } from '../connect/connector.ts';
import { judgeReadOnlyAnswer } from '../connect/read-only-answer.ts';
import { describeRole, roleFits } from '../connect/session-role.ts';
import { placeOf, requestCancel } from '../driver/cancel-request.ts';
import {
  breakConnection,
  countUse,
  hasWork,
  isInTransaction,
  isQuiet,
  isUsable,
  onEnd,
  onTransactionEnd,
  processIdOf,
  silence,
  whenQuiet,
  whileOpen,
} from '../driver/client-internals.ts';
import { callbackAmong, isSubmitted, nullQueryError, refuseQuery, replyByCallback } from '../driver/query-forms.ts';
import { watchQueryTimeouts } from '../driver/query-timeout.ts';
import { mayCommitWithin } from '../driver/statement.ts';
import { recordStatementOutcomes, sendNothingMore } from '../driver/statement-outcome.ts';
import {
  ConnectTimeoutError,
  FailoverTimeoutError,
  ServerRoleError,
  TargetRetiredError,
  TooManyWaitingError,
} from '../errors.ts';
import { moved, retried, switched } from '../events.ts';
import { PlainSupply } from '../failover/host-connections.ts';
import {
  type ConnectionSupply,
  FollowingSupply,
  type Supplied,
  type SupplyRequest,
} from '../failover/service-connections.ts';
import { createRoute } from '../failover/service-dialer.ts';
import { classifyFailure, isDatabaseError, recordOutcome } from '../failures/classify.ts';
import { mayRetry, retryNotExecuted } from '../failures/retry.ts';
import type { Liveness } from '../liveness/liveness.ts';
import { postgresLiveness, watchedClient } from '../liveness/monitored-client.ts';
import {
  clientOptions,
  demandsOf,
  hideSecrets,
  type PoolOptions,
  type PoolSettings,
  poolSettings,
} from '../options.ts';
import { attachRecentEvents } from '../recent-events.ts';
import {
  runTransaction,
  type Transaction,
  type TransactionHost,
  type TransactionOptions,
} from '../transaction/transaction.ts';
import { ArrivalOrder, type Place } from './arrival-order.ts';
import { Epochs } from './connections.ts';
import {
  Listening,
  type ListeningHost,
  type ListenOptions,
  type Notification,
  type Subscription,
} from './listening.ts';

/** What {@link Pool.status} tells. Holds no secret. */
export interface PoolStatus {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** Where it points now; `undefined` before the first connection, and for a plain host. */
  readonly target: Target | undefined;
  /** A target that the source names and the pool has not moved to. */
  readonly candidate: Target | undefined;
  /** Why the candidate, or the last target that was refused, is not followed. */
  readonly refusal: { readonly target: string; readonly error: unknown } | undefined;
  /** How often the pool has moved. */
  readonly epoch: number;
  /** Whether the current target served when it was last used. */
  readonly serving: boolean;
  /** Connections to the current target. */
  readonly total: number;
  readonly idle: number;
  /** Callers without a connection. */
  readonly waiting: number;
  /** Connections to earlier targets that are still in use. */
  readonly draining: number;
}

/** What a test may own. */
export interface PoolDependencies {
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
}

/**
 * A `pg.Pool` that connects through a Kubernetes ExternalName Service and follows it.
 *
 * Its surface is that of `pg.Pool`, and it is one (`instanceof`). What differs on purpose is listed in
 * `docs/guides/pool.md`.
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
   * The class for clients beside the pool, as `new pool.Client(pool.options)`: the option `Client` where that was given, and
   * `pg`'s own for a plain host.
   *
   * For a Service it is {@link Client}, and it sends what signals a process of this pool by its number
   * (`select pg_cancel_backend(123)`) to the server that has it, wherever the Service points now. Where the pool has no such
   * process it is refused ({@link UnknownBackendError}).
   */
  declare readonly Client: new (
    config?: string | pg.ClientConfig,
  ) => pg.Client;
  readonly #settings: PoolSettings;
  /** Makes the pool's own clients. */
  readonly #MemberClient: PoolInternals['Client'];
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #supply: ConnectionSupply;
  readonly #epochs: Epochs<Member>;
  readonly #liveness: Liveness | undefined;
  // Slots, not clients: a factory that connects would spin while no server is there, and hide why.
  readonly #slots: SlotPool<Slot>;
  /** Slots that nobody uses and nobody waits for, kept at hand: a round through the queue costs more than a small query. */
  readonly #freeSlots: Slot[] = [];
  #slotsTaken = 0;
  /** Callers without a slot. */
  #queued = 0;
  /** Those of them who queue for one, in the order in which they came. */
  readonly #waiting = new ArrivalOrder<Checkout>();
  /** Slots that were asked for on their behalf, `max` at most. One that comes when nobody waits any longer is kept at hand. */
  #slotsAskedFor = 0;
  /** Callers with a slot whose connection is being made or proved. */
  #providing = 0;
  /** Those of them whose connection is being made. */
  #obtaining = 0;
  readonly #checkouts = new ArrivalOrder<Checkout>();
  // One for them all, and not a closure for each.
  readonly #checkoutSettled = (checkout: Checkout): void => {
    if (checkout.place !== undefined) this.#checkouts.leave(checkout.place);
    if (!checkout.hasSlot) {
      if (checkout.turn !== undefined) this.#waiting.leave(checkout.turn);
      this.#queued -= 1;
    }
    if (this.ending) this.#checkEnd();
  };
  /** Every member whose connection is not over: `end()` waits for all of them. */
  readonly #open = new Set<Member>();
  /** Set by `query()` for the `connect()` that it makes, which reads it in the same turn of the event loop. */
  #origin: Origin | undefined;
  #switchedAt: number | undefined;
  /** The preparation of the connection that the current epoch began with: nobody makes another one meanwhile. */
  #first: Promise<void> | undefined;
  /** The errors of queries whose client is about to be idle again. */
  readonly #settling = new WeakMap<Error, Promise<void>>();
  /** Those that say that a server is read-only, until it is known whether it is. */
  readonly #judging = new WeakMap<Error, Promise<void>>();
  #listening: Listening | undefined;
  readonly #movedWaiters = new Set<() => void>();
  #end: { readonly resolve: () => void; readonly timer: NodeJS.Timeout | undefined } | undefined;
  /** Fires when the end is not waited for any longer. */
  readonly #cutting = new AbortController();

  constructor(options: PoolOptions = {}, dependencies: PoolDependencies = {}) {
    const settings = poolSettings(options);
    const { clock = systemClock, random = systemRandom } = dependencies;
    // Before the superclass, so that a mistake is told before anything exists.
    const route = settings.follows ? createRoute(settings, { clock, random }) : undefined;
    super(clientOptions(options, settings));
    hideSecrets(internals(this).options);
    this.#settings = settings;
    this.#MemberClient = internals(this).Client;
    if (settings.follows && (options as { Client?: unknown }).Client === undefined) {
      internals(this).Client = controlClientOf({
        settings,
        endpointsOf: (processId) => this.#endpointsOf(processId),
        aside: (endpoint, signal, createClient) => this.#supply.aside(endpoint, signal, createClient),
      });
    }
    this.#clock = clock;
    this.#random = random;
    const host = {
      createClient: () => this.#createClient(),
      demands: (client: pg.Client, where: string) => demandsOf(settings, client, where),
    };
    this.#supply =
      route === undefined
        ? new PlainSupply(settings, host, clock)
        : new FollowingSupply(
            settings,
            route,
            {
              ...host,
              hasIdle: () => this.#epochs.idleCount > 0 || this.#first !== undefined,
              moved: (target, previous, first) => this.#move(target, previous, first),
              settled: () => this.#checkMoved(),
            },
            { clock, random },
          );
    this.#liveness =
      settings.liveness &&
      postgresLiveness(settings.liveness, clock, (endpoint, signal) => this.#supply.aside(endpoint, signal));
    const { max } = internals(this).options;
    this.#epochs = new Epochs(max);
    this.#slots = createPool<Slot>(
      { create: async () => ({}), destroy: async () => undefined },
      { max, min: 0, testOnBorrow: false, evictionRunIntervalMillis: 0 },
    );
  }

  static {
    // Getters, as in pg-pool, whose types call them properties. They answer on any object, because instrumentations ask
    // the bare prototype.
    const count = (name: string, of: (pool: Pool) => number) =>
      Object.defineProperty(Pool.prototype, name, {
        configurable: true,
        get(this: object) {
          return #epochs in this ? of(this as Pool) : 0;
        },
      });
    count('totalCount', (pool) => pool.#countTotal());
    count('idleCount', (pool) => pool.#epochs.idleCount);
    count('waitingCount', (pool) => Math.max(0, pool.#queued - pool.#spareSlots()));
    count('expiredCount', (pool) => pool.#epochs.all().filter((member) => member.expired).length);
  }

  /** Where the pool points and how it does, for a health endpoint. Asks nobody. */
  status(): PoolStatus {
    const { target, candidate, refusal, epoch, serving } = this.#supply;
    return {
      name: this.#settings.name,
      target,
      candidate,
      refusal,
      epoch,
      serving,
      total: this.totalCount,
      idle: this.idleCount,
      waiting: this.#checkouts.size,
      draining: this.#epochs.drainingCount,
    };
  }

  /**
   * Resolves when nothing is left on an earlier target: at once where no switch is under way.
   *
   * @throws the reason of `signal` when that fires
   */
  moved(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      if (this.#isSettled()) {
        resolve();
        return;
      }
      const abort = () => {
        this.#movedWaiters.delete(check);
        reject(signal?.reason);
      };
      const check = () => {
        if (!this.#isSettled()) return;
        this.#movedWaiters.delete(check);
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      this.#movedWaiters.add(check);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /**
   * As in `pg.Pool`. While no usable server is known, the call waits for up to `failoverTimeoutMillis`; what was surely
   * not executed is done again within that time. `idempotent: true` in a query's config says that doing it twice does no
   * harm, and lets the pool also repeat what may have been executed.
   */
  // biome-ignore-start lint/suspicious/noExplicitAny: the forms are those of pg's types, so that code typed for them compiles unchanged
  override query<T extends pg.Submittable>(query: T): T;
  override query<R extends any[] = any[], I = any[]>(
    config: pg.QueryArrayConfig<I> & Repeatable,
    values?: pg.QueryConfigValues<I>,
  ): Promise<pg.QueryArrayResult<R>>;
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    config: pg.QueryConfig<I> & Repeatable,
  ): Promise<pg.QueryResult<R>>;
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    textOrConfig: string | (pg.QueryConfig<I> & Repeatable),
    values?: pg.QueryConfigValues<I>,
  ): Promise<pg.QueryResult<R>>;
  override query<R extends any[] = any[], I = any[]>(
    config: pg.QueryArrayConfig<I> & Repeatable,
    callback: (error: Error, result: pg.QueryArrayResult<R>) => void,
  ): void;
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    textOrConfig: string | (pg.QueryConfig<I> & Repeatable),
    callback: (error: Error, result: pg.QueryResult<R>) => void,
  ): void;
  override query<R extends pg.QueryResultRow = any, I = any[]>(
    text: string,
    values: pg.QueryConfigValues<I>,
    callback: (error: Error, result: pg.QueryResult<R>) => void,
  ): void;
  // biome-ignore-end lint/suspicious/noExplicitAny: as above
  override query(text: unknown, values?: unknown, callback?: unknown): unknown {
    // In the words of `pg`, which would take a connection first and leave a listener of its own on it.
    if (text === null || text === undefined) return refuseQuery([text, values, callback], nullQueryError());
    // A submittable may have been read from already, so it is never sent twice.
    if (typeof text === 'function' || isSubmitted(text)) return this.#queryOnce(text, values, callback, firstAttempt);
    // A callback in a config is overridden by pg-pool's own.
    const done = callbackAmong(values, callback);
    const parameters = typeof values === 'function' ? undefined : values;
    const startedAt = this.#clock.now();
    // Little is made here, as most queries succeed and every object costs them all.
    const result = (this.#queryOnce(text, parameters, undefined, firstAttempt) as Promise<unknown>).catch(
      (error: unknown) => this.#queryAgain(error, text, parameters, startedAt),
    );
    return done === undefined ? result : replyByCallback(done, result, undefined);
  }

  #queryOnce(text: unknown, values: unknown, callback: unknown, origin: Origin): unknown {
    const run = super.query as unknown as QueryOnce;
    this.#origin = origin;
    try {
      return run.call(this, text, values, callback);
    } finally {
      this.#origin = undefined;
    }
  }

  async #queryAgain(error: unknown, text: unknown, values: unknown, startedAt: number): Promise<unknown> {
    const { name, failoverTimeoutMillis } = this.#settings;
    const judge = (cause: unknown) => {
      // What the server says of the statement that failed is not true of what was committed before it.
      if (isDatabaseError(cause) && mayCommitWithin(text)) recordOutcome(cause, 'unknown');
    };
    judge(error);
    await this.#settled(error);
    await this.#judged(error);
    const idempotent = isIdempotent(text);
    const failure = classifyFailure(error, 'connected');
    recordOutcome(error, failure.outcome);
    const final = failoverTimeoutMillis === 0 || this.ending || isFinal(error);
    if (final || !mayRetry(failure, idempotent)) throw error;
    const again = (budgetMillis: number) =>
      (this.#queryOnce(text, values, undefined, { budgetMillis }) as Promise<unknown>).catch(async (cause: unknown) => {
        judge(cause);
        await this.#judged(cause);
        throw cause;
      });
    return await retryNotExecuted(error, again, {
      name,
      deadlineAt: startedAt + failoverTimeoutMillis,
      timeoutMillis: failoverTimeoutMillis,
      clock: this.#clock,
      random: this.#random,
      idempotent,
      isFinal: (cause) => this.ending || isFinal(cause),
      recentEvents: () => this.#supply.recentEvents,
      onRepeat: (cause, attempt) => retried.publish(() => ({ name, attempt, error: cause })),
    });
  }

  /**
   * Runs `work` between BEGIN and COMMIT, on one connection. Resolves with what `work` returns, once the server has said,
   * or it is proven, that the transaction is committed; rolls back where `work` rejects, and rejects with the same.
   *
   * What was surely rolled back is done again as a whole, `work` included: after a conflict (40001, 40P01), and after the
   * loss of the server before COMMIT, within `failoverTimeoutMillis`. See `docs/guides/transactions.md`.
   *
   * @throws CommitOutcomeUnknownError `ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN` where COMMIT got no answer and no proof
   * @throws TransactionRolledBackError `ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK` where it was rolled back all the same
   * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT` where no server was found in time
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
    const { name, failoverTimeoutMillis } = this.#settings;
    const connect: TransactionHost['connect'] = (wanted) => {
      if (wanted.signal?.aborted) return Promise.reject(wanted.signal.reason);
      this.#origin = { ...wanted, kind: 'transaction' };
      try {
        return this.connect();
      } finally {
        this.#origin = undefined;
      }
    };
    const abandon: TransactionHost['abandon'] = (client, error) => {
      const member = [...this.#open].find((each) => each.client === client);
      if (member === undefined) breakConnection(client, error);
      else this.#abandon(member, error);
    };
    const host = { name, failoverTimeoutMillis, clock: this.#clock, random: this.#random, connect, abandon };
    return runTransaction({ ...host, recentEvents: () => this.#supply.recentEvents }, work, options);
  }

  /**
   * Calls `handler` for every NOTIFY on the channel. Resolves when the server listens.
   *
   * All channels of a pool share one connection, which does not count towards `max`. When it is lost, or the Service is
   * pointed elsewhere, it is made again, for as long as it takes; what is sent meanwhile is lost, so `onReconnect` tells when
   * to catch up. Ends with `close()`, the signal, or the pool. See `docs/guides/listen.md`.
   *
   * @param channel as in NOTIFY with quotes: case matters. At most 63 bytes.
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   * @throws FailoverTimeoutError `ERR_EXTERNALNAME_FAILOVER_TIMEOUT` where there is no connection in time
   *
   * @example
   * ```ts
   * const subscription = await pool.listen('jobs', ({ payload }) => run(payload), { onReconnect: () => runAllDue() });
   * await subscription.close();
   * ```
   */
  listen(
    channel: string,
    handler: (notification: Notification) => void,
    options?: ListenOptions,
  ): Promise<Subscription> {
    if (this.ending) return Promise.reject(poolEndedError());
    this.#listening ??= new Listening(this.#listeningHost(), {
      clock: this.#clock,
      random: this.#random,
      heartbeatMillis: this.#settings.listenHeartbeatMillis,
    });
    return this.#listening.listen(channel, handler, options);
  }

  #listeningHost(): ListeningHost {
    const { name, connectionTimeoutMillis, failoverTimeoutMillis, targetSessionAttrs } = this.#settings;
    return {
      name,
      timeoutMillis: connectionTimeoutMillis || failoverTimeoutMillis,
      connect: async (request) => {
        const own = Object.assign(request, { createClient: () => this.#createClient() });
        const supplied = await this.#supply.obtain(own);
        if (supplied === 'idle') throw new Error('an idle connection is of no use for LISTEN');
        return supplied.connection;
      },
      fits: ({ roles }) => roleFits(targetSessionAttrs, roles.role) !== false,
      suspect: (reason) => this.#supply.suspect(reason),
      recentEvents: () => this.#supply.recentEvents,
    };
  }

  /**
   * As in `pg.Pool`, and over within `endTimeoutMillis`: connections that are still in use then are cut. Resolves when
   * every socket is closed.
   */
  override end(): Promise<void>;
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | undefined {
    if (this.ending) {
      const error = new Error('Called end on pool more than once');
      if (callback === undefined) return Promise.reject(error);
      (callback as (error: Error) => void)(error);
      return undefined;
    }
    // Tracers take their leave of a pool in pg's own end(), which sets `ending`. When all is over is for us to say.
    super.end(noop);
    internals(this).ended = false;
    const ended = new Promise<void>((resolve) => {
      const { endTimeoutMillis } = this.#settings;
      const timer = Number.isFinite(endTimeoutMillis) ? setTimeout(() => this.#cutAll(), endTimeoutMillis) : undefined;
      timer?.unref();
      this.#end = { resolve, timer };
    });
    // Whoever came before the end is served as in `pg`, unless there is nobody to serve from.
    if (this.#supply.inOutage) this.#failAll();
    const over = Promise.all([ended, this.#listening?.close()])
      .then(() => Promise.all([this.#liveness?.close(), this.#supply.close()]))
      .then(() => {
        internals(this).ended = true;
      });
    this.#checkEnd();
    if (callback === undefined) return over;
    over.then(
      () => process.nextTick(callback),
      () => process.nextTick(callback),
    );
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ending) await this.end();
  }

  // ---- The seam of pg-pool: its connect() asks these two, and leaves the rest to us.

  /** @internal */
  _isFull(): boolean {
    return false;
  }

  /** @internal */
  newClient(item: PendingItem): void {
    const origin = this.#origin;
    this.#origin = undefined;
    const { maxWaiting, connectionTimeoutMillis, failoverTimeoutMillis } = this.#settings;
    if (this.#queued + 1 - this.#spareSlots() > maxWaiting) {
      process.nextTick(() => item.callback(new TooManyWaitingError(maxWaiting), undefined, noop));
      return;
    }
    const usedBy = origin === undefined ? 'application' : (origin.kind ?? 'query');
    const checkout = new Checkout(item, usedBy, this.#checkoutSettled);
    checkout.place = this.#checkouts.add(checkout);
    if (origin?.signal !== undefined) checkout.abandonOn(origin.signal);
    const limitMillis = connectionTimeoutMillis || failoverTimeoutMillis;
    const timeoutMillis = Math.min(
      limitMillis || Number.POSITIVE_INFINITY,
      origin?.budgetMillis ?? Number.POSITIVE_INFINITY,
    );
    this.#queued += 1;
    if (this.#freeSlots.length === 0 || this.#epochs.idleCount === 0) {
      this.#queue(checkout, timeoutMillis);
      return;
    }
    // As in pg-pool: an idle client is handed out in the next tick, and the call needs neither a queue nor a timer.
    process.nextTick(() => {
      if (!this.#serveIdle(checkout)) this.#queue(checkout, timeoutMillis);
    });
  }

  #serveIdle(checkout: Checkout): boolean {
    if (checkout.settled) return true;
    const member = this.#freeSlots.length > 0 ? this.#borrowProven() : undefined;
    if (member === undefined) return false;
    member.slot = this.#freeSlots.pop();
    this.#slotsTaken += 1;
    this.#queued -= 1;
    checkout.hasSlot = true;
    this.#handOut(member, checkout, false);
    return true;
  }

  #queue(checkout: Checkout, timeoutMillis: number): void {
    if (Number.isFinite(timeoutMillis)) {
      checkout.expireAfter(timeoutMillis, () => this.#timeoutError(checkout, timeoutMillis));
    }
    checkout.turn = this.#waiting.add(checkout);
    this.#askForSlot();
  }

  // Whoever waits is either given a client that another caller gives back, or a slot to have one made for: what comes first.
  #askForSlot(): void {
    if (this.#slotsAskedFor >= Math.min(this.#waiting.size, internals(this).options.max)) return;
    this.#slotsAskedFor += 1;
    const free = this.#freeSlots.pop();
    const acquired = free === undefined ? this.#slots.acquire() : Promise.resolve(free);
    acquired.then(
      (slot) => {
        this.#slotsAskedFor -= 1;
        this.#slotsTaken += 1;
        const checkout = this.#nextWaiting();
        if (checkout === undefined) {
          this.#freeSlot(slot);
          return;
        }
        this.#askForSlot();
        this.#serve(checkout, slot);
      },
      (error: unknown) => {
        this.#slotsAskedFor -= 1;
        this.#waiting.first?.fail(error);
      },
    );
  }

  // The one who came first. It has a slot from now on.
  #nextWaiting(): Checkout | undefined {
    const checkout = this.#waiting.first;
    if (checkout?.turn === undefined) return undefined;
    this.#waiting.leave(checkout.turn);
    this.#queued -= 1;
    checkout.hasSlot = true;
    return checkout;
  }

  #spareSlots(): number {
    return internals(this).options.max - this.#slotsTaken;
  }

  // Those included that are being made, and those that callers who have just come will need.
  #countTotal(): number {
    const starting = Math.max(0, Math.min(this.#queued, this.#spareSlots()) - this.#epochs.idleCount);
    return this.#epochs.total + this.#obtaining + starting;
  }

  // ---- Handing out

  #serve(checkout: Checkout, slot: Slot): void {
    const member = this.#borrowProven();
    if (member !== undefined) {
      member.slot = slot;
      this.#handOut(member, checkout, false);
      return;
    }
    this.#providing += 1;
    this.#provide(checkout).then(
      ({ member: provided, isNew }) => {
        this.#providing -= 1;
        // In the moment in between it may have ended, or the Service have come to point elsewhere.
        if (!this.#epochs.isCurrent(provided)) {
          this.#remove(provided);
          this.#serve(checkout, slot);
          return;
        }
        provided.slot = slot;
        this.#handOut(provided, checkout, isNew);
      },
      (error: unknown) => {
        this.#providing -= 1;
        this.#freeSlot(slot);
        if (isExternalNameError(error)) attachRecentEvents(error, this.#supply.recentEvents);
        checkout.fail(error);
        this.#checkEnd();
      },
    );
  }

  // The quick way: an idle client that nothing speaks against.
  #borrowProven(): Member | undefined {
    const next = this.#epochs.idle().at(-1);
    return next === undefined || this.#mustProve(next) ? undefined : this.#borrow();
  }

  #borrow(): Member | undefined {
    const member = this.#epochs.borrow();
    if (member === undefined) return undefined;
    // While it is idle, `allowExitOnIdle` lets the process end; while it is used it must not.
    if (internals(this).options.allowExitOnIdle) (member.client as unknown as { ref?(): void }).ref?.();
    return member;
  }

  #mustProve(member: Member): boolean {
    return member.provenAt < this.#supply.suspectedAt;
  }

  async #provide(checkout: Checkout): Promise<{ member: Member; isNew: boolean }> {
    for (;;) {
      for (let idle = this.#borrow(); idle !== undefined; idle = this.#borrow()) {
        if (!this.#mustProve(idle) || (await this.#prove(idle))) return { member: idle, isNew: false };
      }
      if (this.#first !== undefined) {
        await abortable(this.#first, checkout.request.signal);
        continue;
      }
      const supplied = await this.#obtain(checkout);
      if (supplied === 'idle') continue;
      const member = this.#adopt(supplied.connection);
      if (!this.#epochs.admit(member, supplied.epoch)) {
        this.#close(member);
        continue;
      }
      const lost = await this.#runConnectHook(member);
      if (this.#epochs.isCurrent(member)) return { member, isNew: true };
      this.#remove(member);
      if (lost !== undefined && supplied.epoch === this.#epochs.number) {
        checkout.request.lastError = lost.error;
        this.#supply.suspect(lost.error);
        await sleep(lostHookPauseMillis, { signal: checkout.request.signal, clock: this.#clock });
      }
    }
  }

  async #obtain(checkout: Checkout): Promise<Supplied | 'idle'> {
    this.#obtaining += 1;
    try {
      return await this.#supply.obtain(checkout.request);
    } finally {
      this.#obtaining -= 1;
    }
  }

  // One empty statement: it comes back from a server that lives, with its role where that has changed.
  async #prove(member: Member): Promise<boolean> {
    try {
      await withDeadline(() => member.client.query(''), {
        timeoutMillis: proofTimeoutMillis,
        onTimeout: () => new ConnectTimeoutError(this.#settings.name, proofTimeoutMillis),
        clock: this.#clock,
      });
    } catch {
      this.#remove(member, 'broken');
      return false;
    }
    if (!this.#roleFits(member) || !this.#epochs.isCurrent(member)) {
      this.#remove(member);
      return false;
    }
    member.provenAt = this.#clock.now();
    this.#supply.confirmed();
    return true;
  }

  #createClient(): pg.Client {
    this.#log('connecting new client');
    return new this.#MemberClient(internals(this).options);
  }

  #endpointsOf(processId: number): readonly Endpoint[] {
    const members = [...this.#open].filter(({ client, closing }) => !closing && processIdOf(client) === processId);
    const distinct = (among: readonly Member[]) => {
      const endpoints = among.flatMap(({ connection: { endpoint } }) => endpoint ?? []);
      return [...new Map(endpoints.map((endpoint) => [`${endpoint.address} ${endpoint.port}`, endpoint])).values()];
    };
    const all = distinct(members);
    // Two servers may have given the same id. What is idle nobody signals.
    return all.length > 1 ? distinct(members.filter(({ checkedOut }) => checkedOut)) : all;
  }

  // The words are those of pg-pool, which applications may look for.
  #log(message: string): void {
    internals(this).log(message);
  }

  #adopt(connection: Connection): Member {
    const { client } = connection;
    const member: Member = {
      client,
      connection,
      slot: undefined,
      fromQuery: false,
      checkedOut: false,
      delivering: false,
      verified: false,
      lost: false,
      abandoned: undefined,
      announced: true,
      expired: false,
      provenAt: this.#clock.now(),
      idleTimer: undefined,
      lifetimeTimer: undefined,
      drainTimer: undefined,
      stopWatching: undefined,
      stopLiveness: undefined,
      idleListener: (error) => this.#onIdleError(member, error),
    };
    this.#open.add(member);
    internals(this)._clients.push(client);
    // Without a listener of its own, the death of a server would be an uncaught exception of the process.
    client.on('error', (error) => this.#onClientError(error));
    onEnd(client, () => this.#onConnectionEnd(member));
    recordStatementOutcomes(client);
    if (this.#settings.follows) watchQueryTimeouts(client, () => this.#abandon(member));
    this.#watch(member);
    return member;
  }

  #watch(member: Member): void {
    const { client, connection } = member;
    const { endpoint } = connection;
    if (endpoint === undefined) return;
    member.stopLiveness = this.#liveness?.watch(watchedClient(client, endpoint));
  }

  // Says where the server was lost meanwhile: for a Service that is an outage, and no failure of the hook's.
  async #runConnectHook(member: Member): Promise<{ readonly error: unknown } | undefined> {
    const { onConnect, maxLifetimeSeconds } = internals(this).options;
    const { follows, failoverTimeoutMillis } = this.#settings;
    try {
      if (onConnect !== undefined) await whileOpen(member.client, async () => onConnect(member.client));
    } catch (error) {
      // It was never announced by a `connect` event, so no `remove` event is due.
      member.announced = false;
      const lost =
        (!isUsable(member.client) && member.abandoned === undefined) ||
        (isDatabaseError(error) && classifyFailure(error, 'connected').kind === 'server-lost');
      this.#remove(member);
      if (lost && follows && failoverTimeoutMillis > 0 && !this.ending) return { error };
      throw error;
    }
    if (maxLifetimeSeconds > 0) {
      member.lifetimeTimer = setTimeout(() => this.#expire(member), maxLifetimeSeconds * 1_000);
      member.lifetimeTimer.unref();
    }
    return undefined;
  }

  #handOut(member: Member, checkout: Checkout, isNew: boolean): void {
    const { client } = member;
    const { verify } = internals(this).options;
    if (isNew) throwLater(() => this.emit('connect', client as pg.PoolClient));
    throwLater(() => this.emit('acquire', client as pg.PoolClient));
    member.checkedOut = true;
    member.fromQuery = checkout.usedBy === 'query';
    client.removeListener('error', member.idleListener);
    const release = this.#releaseOnce(member, checkout.usedBy);
    (client as pg.PoolClient).release = release;
    if (member.verified || verify === undefined) {
      this.#deliver(member, checkout, release);
      return;
    }
    let judged = false;
    const judge = (error?: Error) => {
      judged = true;
      if (error) {
        // Whatever the error looks like, this connection is not to be used.
        member.fromQuery = false;
        throwLater(() => release(error));
        checkout.fail(error);
        return;
      }
      member.verified = true;
      this.#deliver(member, checkout, release);
    };
    try {
      verify(client, judge);
    } catch (error) {
      if (!judged) judge(error instanceof Error ? error : new Error(String(error)));
      else
        throwLater(() => {
          throw error;
        });
    }
  }

  #deliver(member: Member, checkout: Checkout, release: (error?: Error | boolean) => void): void {
    // The caller's time was up while the connection was being made: the pool keeps it.
    if (checkout.settled) {
      throwLater(release);
      return;
    }
    member.delivering = true;
    checkout.deliver(member.client as pg.PoolClient, release);
    member.delivering = false;
  }

  // ---- Taking back

  // As in `pg`, what a listener throws is thrown out of the application's own release(). Where the pool itself gives a client
  // back, it must not come between its caller and the answer.
  #releaseOnce(member: Member, usedBy: Checkout['usedBy']): (error?: Error | boolean) => void {
    let released = false;
    return (error) => {
      if (released) throw new Error('Release called on client which has already been released to the pool.');
      released = true;
      if (usedBy === 'application') this.#release(member, error);
      else throwLater(() => this.#release(member, error));
    };
  }

  #release(member: Member, error: Error | boolean | undefined): void {
    const { client } = member;
    member.checkedOut = false;
    // An error before the client was even handed over: `pg` threw on the statement, and may have sent half of it.
    const halfSent = member.fromQuery && member.delivering && error instanceof Error;
    if (halfSent) {
      removeLastErrorListener(client);
      // For the same reason: `pg` answers the statement a second time when the connection ends.
      (client as pg.PoolClient).release = noop;
    }
    client.on('error', member.idleListener);
    const uses = countUse(client);
    try {
      this.emit('release', error as Error, client as pg.PoolClient);
    } finally {
      this.#takeBack(member, error, { uses, halfSent });
    }
  }

  #takeBack(
    member: Member,
    error: Error | boolean | undefined,
    { uses, halfSent }: { uses: number; halfSent: boolean },
  ): void {
    const { client } = member;
    const { maxUses } = internals(this).options;
    const failure = error instanceof Error ? classifyFailure(error, 'connected') : undefined;
    if (error instanceof Error && failure?.kind === 'read-only' && this.#mayJudge(member)) {
      this.#judgeReadOnly(member, error, uses);
      return;
    }
    if (failure?.condemnsServer) this.#supply.suspect(error);
    // An ordinary SQL error costs `pg.Pool` the connection; here it does so only where the application asks for it.
    const unwanted = Boolean(error) && !(member.fromQuery && failure?.keepConnection && !halfSent);
    if (uses >= maxUses) this.#log('remove expended client');
    if (member.expired) this.#log('remove expired client');
    if (unwanted || this.#isClosing() || member.lost || !isUsable(client) || uses >= maxUses || member.expired) {
      this.#remove(member);
    } else if (!this.#epochs.isCurrent(member)) {
      this.#finishDraining(member);
    } else if (isQuiet(client)) {
      this.#makeIdle(member);
    } else {
      const settled = new Promise<void>((resolve) => {
        whenQuiet(client, () => {
          if (isUsable(client) && this.#epochs.isCurrent(member) && !this.#isClosing()) this.#makeIdle(member);
          else if (this.#open.has(member)) this.#remove(member);
          resolve();
        });
      });
      if (error instanceof Error) this.#settling.set(error, settled);
    }
  }

  // For a plain host without a wish for a role, any such answer costs the connection, as in `pg`: the next one may lead elsewhere.
  #mayJudge(member: Member): boolean {
    const { follows, targetSessionAttrs } = this.#settings;
    const asked = follows || targetSessionAttrs === 'read-write' || targetSessionAttrs === 'primary';
    return asked && member.fromQuery && !member.lost && !this.#isClosing() && isUsable(member.client);
  }

  // Whose doing a read-only answer is is known once the statement is over. Until then the client is nobody's.
  #judgeReadOnly(member: Member, error: Error, uses: number): void {
    const { client, connection } = member;
    const verdict = judgeReadOnlyAnswer(client, connection.roles, this.#settings.targetSessionAttrs, {
      clock: this.#clock,
      timeoutMillis: proofTimeoutMillis,
    }).then((answerOf) => {
      if (answerOf === 'caller') {
        finalErrors.add(error);
        this.#takeBack(member, undefined, { uses, halfSent: false });
      } else {
        this.#supply.suspect(error);
        this.#remove(member);
      }
    });
    this.#judging.set(error, verdict);
  }

  #judged(error: unknown): Promise<void> | undefined {
    return error instanceof Error ? this.#judging.get(error) : undefined;
  }

  // The server reports an error one message before it says that it is ready again. Whoever asks for the next statement
  // in between would be given a new connection for want of this one.
  async #settled(error: unknown): Promise<void> {
    const settled = error instanceof Error ? this.#settling.get(error) : undefined;
    if (settled === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      settled,
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, settlingMillis);
      }),
    ]);
    clearTimeout(timer);
  }

  #makeIdle(member: Member): void {
    const { client } = member;
    const { idleTimeoutMillis, allowExitOnIdle, min } = internals(this).options;
    if (!this.#roleFits(member)) {
      this.#supply.suspect(this.#roleError(member));
      this.#remove(member);
      return;
    }
    // The next borrower must not find itself in somebody else's transaction.
    if (isInTransaction(client)) {
      this.#remove(member);
      return;
    }
    member.provenAt = this.#clock.now();
    this.#supply.confirmed();
    // As in pg-pool, straight to whoever has waited longest: it costs neither a round through the slots nor a timer.
    if (member.slot !== undefined && this.#epochs.isCurrent(member)) {
      const waiting = this.#nextWaiting();
      if (waiting !== undefined) {
        this.#handOut(member, waiting, false);
        return;
      }
    }
    if (idleTimeoutMillis > 0 && this.#epochs.total > min) this.#idleFor(member, idleTimeoutMillis);
    else stopIdling(member);
    if (allowExitOnIdle) (client as unknown as { unref(): void }).unref();
    if (!this.#epochs.giveBack(member)) {
      this.#remove(member);
      return;
    }
    this.#freeSlotOf(member);
  }

  // One timer for the whole life of a client, set back each time that it comes to be idle: a new one for each query costs more.
  #idleFor(member: Member, millis: number): void {
    if (member.idleTimer !== undefined) {
      member.idleTimer.refresh();
      return;
    }
    member.idleTimer = setTimeout(() => {
      if (this.#epochs.total <= internals(this).options.min || !this.#epochs.idle().includes(member)) return;
      this.#log('remove idle client');
      this.#remove(member);
    }, millis);
    if (internals(this).options.allowExitOnIdle) member.idleTimer.unref();
  }

  #roleFits(member: Member): boolean {
    return roleFits(this.#settings.targetSessionAttrs, member.connection.roles.role) !== false;
  }

  #roleError({ connection }: Member): ServerRoleError {
    const { endpoint, roles } = connection;
    const { targetSessionAttrs, name } = this.#settings;
    const where = endpoint === undefined ? name : describeEndpoint(endpoint);
    return new ServerRoleError(where, targetSessionAttrs, describeRole(roles.role));
  }

  #expire(member: Member): void {
    this.#log('ending client due to expired lifetime');
    member.expired = true;
    if (!this.#epochs.borrowThis(member)) return;
    stopIdling(member);
    // As in `pg.Pool`, where an idle client that expired is taken out and put back to be removed.
    throwLater(() => this.emit('acquire', member.client as pg.PoolClient));
    member.client.removeListener('error', member.idleListener);
    this.#release(member, undefined);
  }

  // ---- Ending connections

  #remove(member: Member, how: 'polite' | 'broken' = 'polite'): void {
    const wasDraining = this.#epochs.drop(member) === 'draining';
    if (how === 'broken') destroySocket(member.client);
    this.#close(member);
    if (wasDraining) this.#checkMoved();
  }

  #close(member: Member): void {
    const { client } = member;
    stopIdling(member);
    clearTimeout(member.lifetimeTimer);
    clearTimeout(member.drainTimer);
    member.stopWatching?.();
    member.stopLiveness?.();
    const pool = internals(this);
    pool._clients = pool._clients.filter((other) => other !== client);
    if (!this.#open.has(member) || member.closing) return;
    member.closing = true;
    const close = () =>
      closeQuietly(client, () => {
        this.#open.delete(member);
        if (member.announced) throwLater(() => this.emit('remove', client as pg.PoolClient));
        this.#freeSlotOf(member);
        this.#checkEnd();
      });
    // A pooler in between knows the session by its connection, and takes no request for one that is gone.
    if (member.abandoned === undefined) close();
    else member.abandoned.then(close, close);
  }

  /**
   * Gives up a connection with the statement that runs on it, which ends on the server too. Its place is free at once.
   *
   * @param error what the statement fails with, where its caller has not been told yet
   */
  #abandon(member: Member, error?: Error): void {
    const { client } = member;
    if (member.abandoned !== undefined || member.closing) return;
    const wasCurrent = this.#epochs.isCurrent(member);
    member.abandoned = this.#cancelStatement(member, wasCurrent);
    silence(client, error);
    member.lost = true;
    member.stopLiveness?.();
    this.#freeSlotOf(member);
    this.#remove(member);
  }

  // Never rejects. A server that does not take the request in time is in doubt.
  async #cancelStatement({ client, connection }: Member, wasCurrent: boolean): Promise<void> {
    const epoch = this.#epochs.number;
    const { signal } = this.#cutting;
    try {
      await requestCancel(client, connection.endpoint ?? placeOf(client), { signal });
    } catch (error) {
      const inDoubt = this.#settings.follows && wasCurrent && epoch === this.#epochs.number && !signal.aborted;
      if (inDoubt) this.#supply.suspect(error);
    }
    destroySocket(client);
  }

  #freeSlotOf(member: Member): void {
    const { slot } = member;
    member.slot = undefined;
    if (slot !== undefined) this.#freeSlot(slot);
  }

  #freeSlot(slot: Slot): void {
    this.#slotsTaken -= 1;
    if (this.#slots.pending === 0) {
      this.#freeSlots.push(slot);
      return;
    }
    // Rejects only for a slot that is not out, and each is given back once.
    this.#slots.release(slot).catch(noop);
  }

  #onIdleError(member: Member, error: Error): void {
    if (!this.#open.has(member) || member.closing) return;
    (error as Error & { client?: unknown }).client = member.client;
    Object.defineProperty(error, 'client', { enumerable: false });
    member.client.removeListener('error', member.idleListener);
    this.#remove(member);
    if (this.listenerCount('error') > 0) this.emit('error', error, member.client as pg.PoolClient);
  }

  #onClientError(error: Error): void {
    if (classifyFailure(error, 'connected').condemnsServer) this.#supply.suspect(error);
  }

  // A connection that ends in its user's hands has no need of its place any more, and its user may never give it back: some
  // libraries forget a client whose ROLLBACK fails. Nor may `end()` wait for it.
  #onConnectionEnd(member: Member): void {
    if (member.closing) return;
    member.lost = true;
    stopIdling(member);
    member.stopLiveness?.();
    // For a plain host it stays its user's to give back, as in `pg`.
    if (member.checkedOut && !this.#settings.follows) return;
    this.#remove(member);
  }

  // ---- Moving

  #move(target: Target, previous: Target | undefined, first: Connection | undefined): void {
    if (previous === undefined) return;
    const { idle, draining, cut } = this.#epochs.advance();
    this.#switchedAt = this.#clock.now();
    this.#first = undefined;
    switched.publish(() => ({
      name: this.#settings.name,
      from: previous.externalName,
      to: target.externalName,
      source: target.source,
      epoch: this.#epochs.number,
      idle: idle.length,
      draining: draining.length,
    }));
    if (first !== undefined) this.#admitFirst(first);
    for (const member of idle) this.#close(member);
    for (const member of draining) this.#retire(member, previous);
    for (const member of cut) this.#cut(member, previous);
    this.#listening?.move();
    this.#checkMoved();
  }

  // The connection that showed that the new target serves is the first that is handed out.
  #admitFirst(connection: Connection): void {
    const { attemptTimeoutMillis, name } = this.#settings;
    const member = this.#adopt(connection);
    this.#epochs.admit(member, this.#epochs.number);
    member.client.on('error', member.idleListener);
    const first = withDeadline(() => this.#runConnectHook(member), {
      timeoutMillis: attemptTimeoutMillis,
      onTimeout: () => new ConnectTimeoutError(name, attemptTimeoutMillis),
      clock: this.#clock,
    }).then(
      () => {
        if (this.#first === first) this.#first = undefined;
        if (!this.#epochs.isCurrent(member) || this.#isClosing()) {
          this.#remove(member);
          return;
        }
        throwLater(() => this.emit('connect', member.client as pg.PoolClient));
        this.#makeIdle(member);
      },
      (error: Error) => {
        if (this.#first === first) this.#first = undefined;
        this.#remove(member, 'broken');
        this.#onClientError(error);
      },
    );
    this.#first = first;
  }

  #retire(member: Member, target: Target): void {
    const { client } = member;
    const { drainTimeoutMillis } = this.#settings;
    // It does not count any more, so whoever waits may connect to the new target at once.
    this.#freeSlotOf(member);
    member.drainTimer = setTimeout(() => this.#cut(member, target), drainTimeoutMillis);
    if (member.fromQuery || !member.checkedOut) return; // Its one statement ends in a release.
    const retire = () => {
      if (member.closing || member.lost) return;
      this.#tellRetired(member, new TargetRetiredError(target.externalName, 'not-executed'));
      this.#remove(member);
    };
    if (isQuiet(client) && !isInTransaction(client)) {
      retire();
      return;
    }
    member.stopWatching = onTransactionEnd(client, () => {
      // A callback may ask for the next statement while it takes the answer of this one.
      sendNothingMore(client, () => new TargetRetiredError(target.externalName, 'not-executed'));
      // After the answer has reached its caller.
      process.nextTick(retire);
    });
  }

  #finishDraining(member: Member): void {
    if (isQuiet(member.client)) {
      this.#remove(member);
    } else {
      whenQuiet(member.client, () => {
        if (this.#open.has(member)) this.#remove(member);
      });
    }
  }

  #cut(member: Member, target: Target): void {
    const { client } = member;
    this.#freeSlotOf(member);
    const error = new TargetRetiredError(target.externalName, hasWork(client) ? 'unknown' : 'not-executed');
    breakConnection(client, error);
    this.#remove(member, 'broken');
  }

  // Whoever holds the client for long (a LISTEN, a cursor) must hear that it is over.
  #tellRetired(member: Member, error: TargetRetiredError): void {
    member.client.emit('error', error);
  }

  #isSettled(): boolean {
    return this.#epochs.drainingCount === 0 && this.#supply.candidate === undefined;
  }

  #checkMoved(): void {
    if (!this.#isSettled()) return;
    const { target, epoch } = this.#supply;
    if (this.#switchedAt !== undefined && target !== undefined) {
      const durationMillis = this.#clock.now() - this.#switchedAt;
      this.#switchedAt = undefined;
      moved.publish(() => ({ name: this.#settings.name, to: target.externalName, epoch, durationMillis }));
    }
    for (const check of [...this.#movedWaiters]) check();
  }

  // ---- The end

  // Nobody is left to use what comes free.
  #isClosing(): boolean {
    return this.ending && this.#checkouts.size === 0;
  }

  #checkEnd(): void {
    if (this.#end === undefined || !this.#isClosing()) return;
    // Those that were given back with a statement under way, too: as in `pg`, nobody waits for its answer.
    for (const member of [...this.#open]) if (!member.checkedOut) this.#remove(member);
    // A connection that is being made, against a server that keeps silent for instance, is of use to nobody any more.
    if (this.#providing > 0) this.#supply.close().catch(noop);
    // A connection that has ended already is over at once, and may have brought us here a second time.
    if (this.#end === undefined || this.#open.size > 0 || this.#providing > 0) return;
    const { resolve, timer } = this.#end;
    this.#end = undefined;
    clearTimeout(timer);
    resolve();
  }

  #failAll(): void {
    for (const checkout of this.#checkouts) checkout.fail(poolEndedError());
  }

  #cutAll(): void {
    this.#failAll();
    this.#cutting.abort(poolEndedError());
    // Connections that are being made end with the supply, which is closed once nothing is open.
    this.#supply.close().catch(noop);
    for (const member of [...this.#open]) {
      breakConnection(member.client, poolEndedError());
      this.#remove(member, 'broken');
    }
  }

  #timeoutError(checkout: Checkout, timeoutMillis: number): Error {
    const { connectionTimeoutMillis, name } = this.#settings;
    const cause = checkout.request.lastError;
    const { recentEvents } = this.#supply;
    if (checkout.hasSlot && cause !== undefined && connectionTimeoutMillis === 0) {
      return new FailoverTimeoutError(name, timeoutMillis, { cause, recentEvents });
    }
    const text = checkout.hasSlot
      ? 'Connection terminated due to connection timeout'
      : 'timeout exceeded when trying to connect';
    const error = new Error(text, cause === undefined ? undefined : { cause });
    recordOutcome(error, 'not-executed');
    if (this.#settings.follows) attachRecentEvents(error, recentEvents);
    return error;
  }
}

/** A client in the pool, with what the pool knows of it. */
interface Member {
  readonly client: pg.Client;
  readonly connection: Connection;
  /** The right to count towards `max`; held while the client is out. */
  slot: Slot | undefined;
  /** Whether `pool.query()` has it, and not the application. */
  fromQuery: boolean;
  checkedOut: boolean;
  /** Whether it is being handed over right now. */
  delivering: boolean;
  /** Whether the application's `verify` has let it pass. */
  verified: boolean;
  /** Whether the connection ended while it was out. */
  lost: boolean;
  /** Set when it was given up with a statement under way; over when the server was asked to end that, or cannot be. */
  abandoned: Promise<void> | undefined;
  /** Whether the application was told of it, or would have been, had it not ended first. */
  announced: boolean;
  expired: boolean;
  closing?: boolean;
  /** When the server was last heard from on it, in `now()` milliseconds. */
  provenAt: number;
  idleTimer: NodeJS.Timeout | undefined;
  lifetimeTimer: NodeJS.Timeout | undefined;
  drainTimer: NodeJS.Timeout | undefined;
  stopWatching: (() => void) | undefined;
  stopLiveness: (() => void) | undefined;
  readonly idleListener: (error: Error) => void;
}

/** One call of `connect()`, from the question to the answer. The answer is given once. */
class Checkout {
  readonly usedBy: 'query' | 'transaction' | 'application';
  hasSlot = false;
  /** Among all that are not answered. */
  place: Place<Checkout> | undefined;
  /** Among those who queue for a slot. */
  turn: Place<Checkout> | undefined;
  readonly #item: PendingItem;
  readonly #onSettled: (checkout: Checkout) => void;
  #settled = false;
  #timer: NodeJS.Timeout | undefined;
  #request: (SupplyRequest & { readonly controller: AbortController }) | undefined;
  #stopAbandoning: (() => void) | undefined;

  constructor(item: PendingItem, usedBy: Checkout['usedBy'], onSettled: (checkout: Checkout) => void) {
    this.#item = item;
    this.usedBy = usedBy;
    this.#onSettled = onSettled;
  }

  get settled(): boolean {
    return this.#settled;
  }

  // Made only for those who need a new connection: most are served from what is idle.
  get request(): SupplyRequest {
    if (this.#request === undefined) {
      const controller = new AbortController();
      this.#request = { controller, signal: controller.signal, lastError: undefined };
      if (this.#settled) controller.abort(poolEndedError());
    }
    return this.#request;
  }

  abandonOn(signal: AbortSignal): void {
    const abandon = () => this.fail(signal.reason);
    signal.addEventListener('abort', abandon, { once: true });
    this.#stopAbandoning = () => signal.removeEventListener('abort', abandon);
  }

  expireAfter(millis: number, makeError: () => Error): void {
    this.#timer = setTimeout(() => this.fail(makeError()), millis);
  }

  deliver(client: pg.PoolClient, release: (error?: Error | boolean) => void): void {
    if (!this.#settle()) return;
    throwLater(() => this.#item.callback(undefined, client, release));
  }

  fail(error: unknown): void {
    if (!this.#settle()) return;
    recordOutcome(error, 'not-executed');
    if (error instanceof Error) finalErrors.add(error);
    this.#request?.controller.abort(error);
    throwLater(() => this.#item.callback(error, undefined, noop));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#stopAbandoning?.();
    this.#onSettled(this);
    return true;
  }
}

/** What `pool.query()` takes in a query's config beside what `pg` does. */
export interface Repeatable {
  /**
   * Whether executing it twice does no harm. The pool then also repeats it when its outcome is unknown.
   * @defaultValue false
   */
  idempotent?: boolean | undefined;
}

type Slot = object;

/** How `query()` and `transaction()` mark the `connect()` that they make. */
interface Origin {
  readonly kind?: 'transaction';
  /** Ends the wait for a connection. */
  readonly signal?: AbortSignal | undefined;
  /** What is left of the whole call's time; `undefined` for the first attempt. */
  readonly budgetMillis: number | undefined;
}

// What `pg-pool` hands to `newClient()`.
interface PendingItem {
  readonly callback: (
    error: unknown,
    client: pg.PoolClient | undefined,
    release: (error?: Error | boolean) => void,
  ) => void;
}

const firstAttempt: Origin = Object.freeze({ budgetMillis: undefined });

type QueryOnce = (this: Pool, text: unknown, values: unknown, callback: unknown) => unknown;

// What `pg-pool` has and its types do not show.
interface PoolInternals {
  Client: new (options: object) => pg.Client;
  readonly log: (message: string) => void;
  readonly options: {
    readonly max: number;
    readonly min: number;
    readonly maxUses: number;
    readonly maxLifetimeSeconds: number;
    readonly idleTimeoutMillis: number;
    readonly allowExitOnIdle: boolean;
    readonly onConnect?: (client: pg.Client) => void | Promise<void>;
    readonly verify?: (client: pg.Client, done: (error?: Error) => void) => void;
  };
  ending: boolean;
  ended: boolean;
  _clients: pg.Client[];
}

function internals(pool: Pool): PoolInternals {
  return pool as unknown as PoolInternals;
}

// `pg-pool` has just put it there, and leaves it behind when `pg` throws: it would give the client back a second time.
function removeLastErrorListener(client: pg.Client): void {
  const last = client.listeners('error').at(-1);
  if (last !== undefined) client.removeListener('error', last as (error: Error) => void);
}

function stopIdling(member: Member): void {
  clearTimeout(member.idleTimer);
  member.idleTimer = undefined;
}

// Errors of a caller that no connection could be had for, as every attempt that can help was made by then, and answers that
// are the caller's own doing.
const finalErrors = new WeakSet<Error>();

function isFinal(error: unknown): boolean {
  return error instanceof Error && finalErrors.has(error);
}

function isIdempotent(query: unknown): boolean {
  return typeof query === 'object' && (query as { idempotent?: unknown }).idempotent === true;
}

function poolEndedError(): Error {
  return new Error('Cannot use a pool after calling end on the pool');
}

// What the application's own code throws is the application's: it must not become a rejection of ours, nor cost a place.
function throwLater(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

function noop(): void {}

// A message that follows at once; a server that falls silent in between must not hold the error back.
const settlingMillis = 50;

// A server that loses its connections as fast as it takes them must not be asked faster than one that takes none.
const lostHookPauseMillis = 334;

// Several times a round trip between regions; a server that takes longer is as good as gone.
const proofTimeoutMillis = 1_000;
