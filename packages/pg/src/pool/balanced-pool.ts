import { type Clock, type Dependencies, InvalidArgumentError, type Random, type Timer } from '@externalname/core';
import {
  aSignal,
  checkOptions,
  dependenciesOf,
  membersByName,
  type RoutedCall,
  type RoutedMember,
  recordOutcome,
  ServiceRouter,
} from '@externalname/core/internal';
import type { BalancedServiceStatus } from '@externalname/core/targets';
import * as pg from 'pg';
import { destroyClient } from '../driver/closing.ts';
import { FailoverTimeoutError, TooManyWaitingError } from '../errors.ts';
import { serviceEjected } from '../events.ts';
import { classifyFailure } from '../failures/classify.ts';
import { statementPauses } from '../failures/retry.ts';
import type { RecentEvent } from '../recent-events.ts';
import type { Transaction } from '../transaction/scope.ts';
import type { TransactionOptions } from '../transaction/settings.ts';
import { runTransaction } from '../transaction/transaction.ts';
import { type BalancedPoolOptions, type BalancedSettings, balancedSettings } from './balanced-settings.ts';
import { isCrowdedOut } from './checkout-timeout.ts';
import { FailedAnswers, markFinal } from './failed-answers.ts';
import type { Origin, Member as PoolMember, QueryOnce } from './member.ts';
import { type PendingItem, pgPoolOf, poolEndedError, type Release, throwLater } from './pg-pool.ts';
import { Pool } from './pool.ts';
import type { PoolStatus } from './pool-status.ts';
import { type Attempt, Queries } from './query.ts';

/** What `status()` of a {@link BalancedPool} returns. Contains no secrets. */
export interface BalancedPoolStatus {
  /** The option `name`. */
  readonly name: string;
  /** Whether at least one Service serves. */
  readonly serving: boolean;
  /** Each Service, with its share and what its pool says. */
  readonly services: readonly (BalancedServiceStatus & { readonly pool: PoolStatus })[];
  /** Connections of all. */
  readonly total: number;
  /** Idle connections of all. */
  readonly idle: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
}

/**
 * A `pg.Pool` over several Services (or sources, or hosts) that do the same work: replicas in several regions or clouds, or a primary
 * with a fallback. It has a {@link Pool} for each, and chooses one for each call: by priority, and by weight among equals.
 *
 * A Service that fails is left at once for the next one. It gets work again after a stable time, or by hand. What is retried elsewhere is
 * what a `Pool` retries: a statement that certainly did not run, or that was marked `idempotent`. See `docs/guides/balancing.md`.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for an option that cannot be used
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` for a Service without `allowedTargets`
 *
 * @example
 * ```ts
 * const pool = new BalancedPool({
 *   services: [{ service: 'reads-eu', weight: 3 }, { service: 'reads-us' }, { service: 'webscaler-db', priority: 1 }],
 *   allowedTargets: ['*.db.example.com'],
 *   targetSessionAttrs: 'any',
 *   database: 'app', user: 'app', password: process.env.PGPASSWORD, ssl: { ca },
 * });
 * await pool.query('select now()');
 * ```
 */
export class BalancedPool extends pg.Pool {
  /** As that of {@link Pool}, at one of the Services. */
  override readonly query: Pool['query'];
  readonly #name: string;
  readonly #settings: BalancedSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #router: ServiceRouter<Delivery>;
  readonly #members: ReadonlyMap<string, BalancedMember>;
  readonly #queries: Queries;
  /** Whether queries share the connections of every Service, or are prepared there by the pool. */
  readonly #isSharing: boolean;
  /** Set by `query()` and `transaction()` for their `connect()`, which reads it in the same turn of the event loop. */
  #origin: Origin | undefined;

  constructor(options: BalancedPoolOptions, dependencies: Dependencies = {}) {
    const settings = balancedSettings(options);
    const { clock, random } = dependenciesOf(dependencies);
    const members = membersOf(settings, { clock, random });
    const [first] = members.values();
    super(first?.pool.options);
    const pool = pgPoolOf(this);
    if (first !== undefined) pool.Client = pgPoolOf(first.pool).Client;
    this.#name = settings.name ?? [...members.keys()].join(', ');
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.#members = members;
    this.#router = this.#routerOver([...members.keys()]);
    this.#isSharing = [...members.values()].every(({ sharing }) => sharing !== undefined);
    for (const { pool: member } of members.values()) this.#repeatEvents(member);
    const name = this.#name;
    const factories = () => this.#factories();
    const recentEvents = () => this.#recentEvents();
    this.#queries = new Queries({
      pool,
      settings: { name, failoverTimeoutMillis: settings.routing.failoverTimeoutMillis },
      clock,
      random,
      factory: {
        target: undefined,
        get serving() {
          return factories().some(({ serving }) => serving);
        },
        get servedAt() {
          return Math.max(...factories().map(({ servedAt = Number.NEGATIVE_INFINITY }) => servedAt));
        },
        get recentEvents() {
          return recentEvents();
        },
      },
      answers: new FailedAnswers(clock),
      isReader: false,
      isSharing: this.#isSharing,
      onceAfter: async () => {
        throw new InvalidArgumentError(
          'after',
          'needs the log of one primary: use the `reader` of `service(name)`, or a Pool',
        );
      },
      once: (text, values, callback, attempt) => {
        const shared = this.#share(text, values, attempt);
        if (shared !== undefined) return shared;
        const { query } = pg.Pool.prototype as unknown as { query: QueryOnce };
        return this.#as({ borrower: 'query', budgetMillis: undefined, ...attempt }, () =>
          query.call(this, text, values, callback),
        );
      },
    });
    this.query = ((text: unknown, values: unknown, callback: unknown) =>
      this.#queries.query(text, values, callback)) as Pool['query'];
  }

  static {
    Object.defineProperty(BalancedPool, 'name', { value: 'BalancedPool' });
    for (const count of ['totalCount', 'idleCount', 'waitingCount', 'expiredCount'] as const) {
      Object.defineProperty(BalancedPool.prototype, count, {
        configurable: true,
        get(this: object) {
          if (!(#members in this)) return 0;
          return [...this.#members.values()].reduce((sum, { pool }) => sum + pool[count], 0);
        },
      });
    }
  }

  /** How the Services are doing, for a health endpoint. Makes no request, and contains no secrets. */
  status(): BalancedPoolStatus {
    const services = this.#router.status().map((each) => ({ ...each, pool: this.#member(each.name).pool.status() }));
    return {
      name: this.#name,
      serving: services.some(({ pool }) => pool.serving) && !this.ending,
      services,
      total: this.totalCount,
      idle: this.idleCount,
      waiting: this.waitingCount,
    };
  }

  /** The pool of one Service, by its name: to drain it, to pause it, or to ask it alone. `undefined` if there is no such Service. */
  service(name: string): Pool | undefined {
    return this.#members.get(name)?.pool;
  }

  /**
   * Gives a Service that failed its work back at once.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if there is no such Service
   */
  failback(name: string): void {
    this.#router.failback(name);
  }

  /** Resolves when a Service can serve; see {@link Pool.ready}. */
  ready(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptions(options, { signal: aSignal });
    return this.#queries.ready(options.signal);
  }

  /** As {@link Pool.transaction}, at one of the Services; an attempt that was certainly rolled back may be retried at another. */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    return runTransaction(
      {
        name: this.#name,
        failoverTimeoutMillis: this.#settings.routing.failoverTimeoutMillis,
        clock: this.#clock,
        random: this.#random,
        connect: ({ budgetMillis, signal }) =>
          signal?.aborted
            ? Promise.reject(signal.reason)
            : this.#as({ borrower: 'transaction', budgetMillis, signal }, () => this.connect()),
        abandon: (client, error) => {
          const isOurs = [...this.#members.values()].some((member) => member.abandon(client, error));
          if (!isOurs) destroyClient(client, error);
        },
        target: () => undefined,
        recentEvents: () => this.#recentEvents(),
      },
      work,
      options,
    );
  }

  /**
   * Refuses: a notification reaches the sessions of one server. Listen to that one, as `service(name)?.listen(...)`.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   */
  listen(): Promise<never> {
    const error = new InvalidArgumentError('listen', 'notifications come from one server: use service(name).listen()');
    return Promise.reject(error);
  }

  /** Ends the pools of all Services, after the calls that came before; see {@link Pool.end}. */
  override end(): Promise<void>;
  /** The same, with a callback. */
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | undefined {
    const over = this.ending ? Promise.reject(new Error('Called end on pool more than once')) : this.#end();
    if (callback === undefined) return over;
    const done = () => process.nextTick(callback);
    over.then(done, done);
    return undefined;
  }

  /** Calls `end()`, at the end of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ending) await this.end();
  }

  /** Never: each member has a queue of its own. @internal */
  _isFull(): boolean {
    return false;
  }

  /** Passes a caller of `connect()` to one of the members. @internal */
  newClient(item: PendingItem): void {
    const origin = this.#origin ?? { borrower: 'application', budgetMillis: undefined };
    this.#origin = undefined;
    this.#router.route(callOf(item, { ...origin, budgetMillis: origin.budgetMillis ?? this.#limitMillis }));
  }

  /** Runs a query once, on a connection of one of the members that others may use, too. `undefined` if it needs one of its own. */
  #share(text: unknown, values: unknown, attempt: Attempt | undefined): Promise<unknown> | undefined {
    const [first] = this.#members.values();
    if (!this.#isSharing || this.ending || attempt?.delivered !== undefined) return undefined;
    // A member may not share what has a name of the caller, and that is not known before it is asked.
    if ((text as { name?: unknown } | null)?.name) return undefined;
    if (first?.sharing?.mayShare(text, values) !== true) return undefined;
    // As it is now: it may wait for a Service.
    const asked = typeof text === 'string' ? text : { ...(text as object) };
    const budgetMillis = attempt?.budgetMillis ?? this.#limitMillis;
    return new Promise((resolve, reject) => {
      this.#router.route(queryOf(asked, values, budgetMillis, { resolve, reject }));
    });
  }

  #end(): Promise<void> {
    const pool = pgPoolOf(this);
    // As in a Pool: only we know when everything is over.
    super.end(() => undefined);
    pool.ended = false;
    // A call that waits at one may still go on to another. One that is paused serves those who wait there when it ends.
    const answered = this.#router.end(poolEndedError());
    const ended = [...this.#members.values()].map((member) =>
      answered === undefined || member.queue.isHeld ? member.end(0) : this.#endAfter(answered, member),
    );
    return Promise.all(ended).then(() => {
      pool.ended = true;
    });
  }

  async #endAfter(answered: Promise<void>, { end, endTimeoutMillis }: BalancedMember): Promise<void> {
    const clock = this.#clock;
    const startedAt = clock.now();
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      if (Number.isFinite(endTimeoutMillis)) timer = clock.schedule(resolve, endTimeoutMillis, { background: true });
    });
    await Promise.race([answered, late]);
    timer?.cancel();
    await end(clock.now() - startedAt);
  }

  get #limitMillis(): number | undefined {
    const { routing, shared } = this.#settings;
    return Number(shared.connectionTimeoutMillis || routing.failoverTimeoutMillis) || undefined;
  }

  // Runs a `connect()` that is marked.
  #as<T>(origin: Origin, connect: () => T): T {
    this.#origin = origin;
    try {
      return connect();
    } finally {
      this.#origin = undefined;
    }
  }

  #routerOver(names: readonly string[]): ServiceRouter<Delivery> {
    const { services, routing } = this.#settings;
    const rows = names.map((name, index) => ({
      name,
      weight: services[index]?.weight,
      priority: services[index]?.priority,
    }));
    return new ServiceRouter<Delivery>(
      { ...routing, services: rows },
      {
        clock: this.#clock,
        random: this.#random,
        pauses: statementPauses,
        member: (name) => this.#member(name).routed,
        ask: (name, call, wait, answer) => (call as Call).ask(this.#member(name), wait, answer),
        judge: (name, error) => {
          const { retryable, kind } = classifyFailure(error, 'connecting');
          if (error instanceof TooManyWaitingError) return 'full';
          if (isCrowdedOut(error) && this.#member(name).factory.serving) return 'busy';
          return retryable || kind === 'deadline' ? 'outage' : 'caller';
        },
        timedOut: (budgetMillis, cause) =>
          new FailoverTimeoutError(this.#name, budgetMillis ?? 0, { cause, recentEvents: this.#recentEvents() }),
        ended: () => ([...this.#members.values()].every(({ pool }) => pool.ending) ? poolEndedError() : undefined),
        changed: (service, ejected) => serviceEjected.publish(() => ({ name: this.#name, service, ejected })),
      },
    );
  }

  #factories(): readonly PoolMember['factory'][] {
    return [...this.#members.values()].map(({ factory }) => factory);
  }

  #recentEvents(): readonly RecentEvent[] {
    return this.#factories().flatMap(({ recentEvents }) => recentEvents);
  }

  #member(name: string): BalancedMember {
    const member = this.#members.get(name);
    if (member === undefined) throw new InvalidArgumentError('name', 'must be one of the services');
    return member;
  }

  #repeatEvents(member: Pool): void {
    for (const event of ['connect', 'acquire', 'release', 'remove', 'error']) {
      pgPoolOf(member).on(event, (...args: unknown[]) => {
        if (event !== 'error' || this.listenerCount('error') > 0) pgPoolOf(this).emit(event, ...args);
      });
    }
  }
}

/** Hands over what a member has given. `endOf` as in {@link RoutedCall}. */
type Delivery = (endOf: EndOf) => void;
type EndOf = Parameters<RoutedCall<Delivery>['deliver']>[1];

/** A call on its way to a member, which it asks in its own way. */
interface Call extends RoutedCall<Delivery> {
  ask(member: BalancedMember, wait: MemberWait, answer: (error: unknown, delivery?: Delivery) => void): void;
}

/** How long to wait for a member. */
type MemberWait = Required<Pick<Origin, 'budgetMillis' | 'signal'>>;

/** A call of `connect()`. */
function callOf(item: PendingItem, origin: Origin): Call {
  return {
    budgetMillis: origin.budgetMillis,
    signal: origin.signal,
    ask: ({ enter }, wait, answer) => {
      const callback: PendingItem['callback'] = (error, client, release) =>
        answer(error, client && ((endOf) => lend(item, origin, { client, release }, endOf)));
      enter({ callback }, { ...origin, ...wait });
    },
    deliver: (delivery, endOf) => delivery(endOf),
    refuse: (error) => throwLater(() => item.callback(unsent(error), undefined, () => undefined)),
  };
}

/** A call of `query()` that may share a connection. */
function queryOf(
  text: unknown,
  values: unknown,
  budgetMillis: number | undefined,
  { resolve, reject }: { resolve(result: unknown): void; reject(error: unknown): void },
): Call {
  return {
    budgetMillis,
    ask: ({ sharing }, wait, answer) => {
      let ends: EndOf | undefined;
      // It may be sent more than once, but has come to its Service the first time.
      const sent = () => {
        if (ends === undefined) {
          answer(undefined, (endOf) => {
            ends = endOf;
          });
        }
        return ends?.(true);
      };
      const answered =
        sharing?.query(text, values, { ...wait, sent, isShareable: true }) ?? Promise.reject(poolEndedError());
      answered.then(resolve, (error: unknown) => (ends === undefined ? answer(error) : reject(error)));
    },
    deliver: (delivery, endOf) => delivery(endOf),
    refuse: (error) => reject(unsent(error)),
  };
}

function unsent(error: unknown): unknown {
  recordOutcome(error, 'not-executed');
  markFinal(error);
  return error;
}

function lend(item: PendingItem, { borrower }: Origin, { client, release }: Lent, endOf: EndOf): void {
  // How long the application holds a client says nothing about the server.
  const isStatement = borrower === 'query';
  const end = endOf(isStatement);
  const counted: Release = (error) => {
    const isFailed = error instanceof Error && classifyFailure(error, 'connected').condemnsServer;
    const answered = isStatement ? 'answered' : 'unjudged';
    end(isFailed ? 'failed' : answered);
    release(error);
  };
  client.release = counted;
  item.callback(undefined, client, counted);
}

/** A client of a member. */
interface Lent {
  readonly client: pg.PoolClient;
  readonly release: Release;
}

type TimeAndChance = { readonly clock: Clock; readonly random: Random };
type BalancedMember = PoolMember & { readonly pool: Pool; readonly routed: RoutedMember };

// Made once: each call asks for every member.
function routedAs(pool: Pool, { factory, queue }: PoolMember): RoutedMember {
  return {
    get serving() {
      return factory.serving;
    },
    get ending() {
      return pool.ending;
    },
    get held() {
      return queue.isHeld;
    },
    prove: (signal) => pool.ready({ signal }),
  };
}

// The pool above them waits and retries: a member says at once that it has no server.
function membersOf(
  { services, shared }: BalancedSettings,
  dependencies: TimeAndChance,
): ReadonlyMap<string, BalancedMember> {
  return membersByName(services, {
    make: ({ name: _, weight: __, priority: ___, ...own }) => {
      const pool = new Pool({ ...shared, ...own, failoverTimeoutMillis: 0 }, dependencies);
      const member = pool._asMember();
      return { ...member, pool, routed: routedAs(pool, member) };
    },
    nameOf: ({ pool }) => pool.status().name,
    close: ({ pool }) => pool.end(() => undefined),
  });
}
