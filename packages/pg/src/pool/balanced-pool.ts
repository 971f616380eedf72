import { setMaxListeners } from 'node:events';
import { type Clock, type Dependencies, InvalidArgumentError, type Random, ServiceBalancer } from '@externalname/core';
import {
  aSignal,
  backoffMillis,
  checkOptions,
  dependenciesOf,
  inBackground,
  recordOutcome,
  withDeadline,
} from '@externalname/core/internal';
import type { BalancedServiceStatus } from '@externalname/core/targets';
import * as pg from 'pg';
import { ConnectTimeoutError, FailoverTimeoutError, TooManyWaitingError } from '../errors.ts';
import { serviceEjected } from '../events.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import { classifyFailure } from '../failures/classify.ts';
import { statementPauses } from '../failures/retry.ts';
import type { RecentEvent } from '../recent-events.ts';
import type { Transaction } from '../transaction/scope.ts';
import type { TransactionOptions } from '../transaction/settings.ts';
import { runTransaction } from '../transaction/transaction.ts';
import { type BalancedPoolOptions, balancedSettings, type PooledService } from './balanced-settings.ts';
import { FailedAnswers, markFinal } from './failed-answers.ts';
import type { Origin, Member as PoolMember, QueryOnce } from './member.ts';
import { type PendingItem, pgPoolOf, poolEndedError, type Release, throwLater } from './pg-pool.ts';
import { Pool } from './pool.ts';
import type { PoolStatus } from './pool-status.ts';
import { Queries } from './query.ts';

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
  readonly #services: ServiceBalancer;
  readonly #members: ReadonlyMap<string, BalancedMember>;
  readonly #queries: Queries;
  /** Fires when a Service is set aside. */
  readonly #leaving = new Map<string, AbortController>();
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
    this.#services = servicesOf(settings, members, { clock, random });
    this.#services.subscribe((service, ejected) =>
      serviceEjected.publish(() => ({ name: this.#name, service, ejected })),
    );
    for (const { pool: member } of members.values()) this.#repeatEvents(member);
    const name = this.#name;
    const factories = () => this.#factories();
    const recentEvents = () => this.#recentEvents();
    this.#queries = new Queries({
      pool,
      settings: { name, failoverTimeoutMillis: settings.failoverTimeoutMillis },
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
      onceAfter: async () => {
        throw new InvalidArgumentError(
          'after',
          'needs the log of one primary: use the `reader` of `service(name)`, or a Pool',
        );
      },
      once: (text, values, callback, attempt) => {
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
    const services = this.#services.status().map((each) => ({ ...each, pool: this.#member(each.name).pool.status() }));
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
    this.#services.succeeded(name);
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
        failoverTimeoutMillis: this.#settings.failoverTimeoutMillis,
        clock: this.#clock,
        random: this.#random,
        connect: ({ budgetMillis, signal }) =>
          signal?.aborted
            ? Promise.reject(signal.reason)
            : this.#as({ borrower: 'transaction', budgetMillis, signal }, () => this.connect()),
        abandon: (client, error) => {
          for (const member of this.#members.values()) member.abandon(client, error);
        },
        target: () => undefined,
        recentEvents: () => this.#recentEvents(),
      },
      work,
      options,
    );
  }

  /** Ends the pools of all Services; see {@link Pool.end}. */
  override end(): Promise<void>;
  /** The same, with a callback. */
  override end(callback: () => void): void;
  override end(callback?: () => void): Promise<void> | undefined {
    const over = this.ending
      ? Promise.reject(new Error('Called end on pool more than once'))
      : Promise.all([super.end(), ...[...this.#members.values()].map(({ pool }) => pool.end())]).then(() => undefined);
    if (callback === undefined) return over;
    over.then(callback, callback);
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
    const { failoverTimeoutMillis, shared } = this.#settings;
    const origin = this.#origin ?? { borrower: 'application', budgetMillis: undefined };
    this.#origin = undefined;
    const { budgetMillis = Number(shared.connectionTimeoutMillis || failoverTimeoutMillis) || undefined } = origin;
    const deadlineAt = budgetMillis === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() + budgetMillis;
    this.#probe();
    this.#route({ item, origin, deadlineAt, budgetMillis, tried: new Set(), rounds: 0, isWorthWaiting: false });
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

  // To the first choice; if that has no connection to give in time, to the next one.
  #route(call: Call): void {
    const { origin, deadlineAt, tried } = call;
    const isOver = this.ending || origin.signal?.aborted;
    const name = isOver ? undefined : this.#choose(tried);
    if (name === undefined) {
      if (isOver) refuse(call, this.ending ? poolEndedError() : origin.signal?.reason);
      else this.#routeLater(call);
      return;
    }
    tried.add(name);
    const patienceMillis = this.#members.size > 1 ? this.#settings.tryNextAfterMillis * 2 ** call.rounds : deadlineAt;
    const budgetMillis = Math.min(deadlineAt - this.#clock.now(), patienceMillis);
    const next: PendingItem = {
      callback: (error, client, release) => {
        if (client === undefined) this.#failed(call, name, error);
        else this.#deliver(call, name, client, release);
      },
    };
    const { signal: leaving } = this.#leavingOf(name);
    this.#member(name).enter(next, {
      ...origin,
      signal: origin.signal === undefined ? leaving : AbortSignal.any([origin.signal, leaving]),
      budgetMillis: Number.isFinite(budgetMillis) ? budgetMillis : undefined,
    });
  }

  // What the balancer says; of those set aside, one that serves, as far as it knows.
  #choose(tried: ReadonlySet<string>): string | undefined {
    const byHand = this.#settings.failbackAfterMillis === 'by-hand';
    const names = this.#services.order().filter((name) => {
      return !tried.has(name) && !this.#member(name).pool.ending && !(byHand && this.#services.isSetAside(name));
    });
    return names.find((name) => !this.#services.isSetAside(name) || this.#member(name).factory.serving) ?? names[0];
  }

  #failed(call: Call, name: string, error: unknown): void {
    const { retryable, kind } = classifyFailure(error, 'connecting');
    const { pool, factory } = this.#member(name);
    const isBusy =
      error instanceof TooManyWaitingError || (kind === 'deadline' && factory.serving && pool.waitingCount > 0);
    const isLeft = error instanceof ServiceLeft;
    const isOutage = retryable || kind === 'deadline';
    if (isOutage && !isBusy && !isLeft && !call.origin.signal?.aborted) this.#setAside(name, error);
    call.isWorthWaiting ||= isOutage || isBusy || isLeft;
    call.lastError = isLeft ? error.cause : error;
    this.#route(call);
  }

  #setAside(name: string, cause: unknown): void {
    const byHand = this.#settings.failbackAfterMillis === 'by-hand';
    const others = [...this.#members.keys()].filter((other) => other !== name && !this.#services.isSetAside(other));
    // By hand, the last one stays: nothing else may be used instead.
    if (byHand && others.length === 0) return;
    this.#services.failed(name);
    // Callers that wait there go on to the next one.
    const leaving = this.#leavingOf(name);
    this.#leaving.delete(name);
    leaving.abort(new ServiceLeft(name, { cause }));
  }

  // All were tried.
  #routeLater(call: Call): void {
    const { budgetMillis, deadlineAt, lastError: cause } = call;
    const { failoverTimeoutMillis } = this.#settings;
    call.rounds += 1;
    const pauseMillis = backoffMillis(call.rounds, statementPauses, this.#random);
    if (!call.isWorthWaiting || failoverTimeoutMillis === 0) {
      refuse(call, cause ?? poolEndedError());
    } else if (this.#clock.now() + pauseMillis >= deadlineAt) {
      const recentEvents = this.#recentEvents();
      refuse(call, new FailoverTimeoutError(this.#name, budgetMillis ?? 0, { cause, recentEvents }));
    } else {
      call.tried.clear();
      call.isWorthWaiting = false;
      this.#clock.schedule(() => this.#route(call), pauseMillis);
    }
  }

  #deliver({ item, origin }: Call, name: string, client: pg.PoolClient, release: Release): void {
    if (this.#services.isSetAside(name)) this.#services.probed(name);
    const end = this.#services.requested(name);
    // How long the application holds a client says nothing about the server.
    const answered = origin.borrower === 'query' ? 'answered' : 'unjudged';
    const counted: Release = (error) => {
      end(error instanceof Error && classifyFailure(error, 'connected').condemnsServer ? 'failed' : answered);
      release(error);
    };
    client.release = counted;
    item.callback(undefined, client, counted);
  }

  // Tries the Services that failed, for no caller.
  #probe(): void {
    for (const name of this.#services.toProbe()) {
      const { pool } = this.#member(name);
      const proof = () =>
        withDeadline((signal) => pool.ready({ signal }), {
          timeoutMillis: probeTimeoutMillis,
          onTimeout: () => new ConnectTimeoutError(name, probeTimeoutMillis),
          clock: this.#clock,
          background: true,
        });
      inBackground(proof).then(
        () => this.#services.probed(name),
        () => this.#services.failed(name),
      );
    }
  }

  #factories(): readonly ConnectionFactory[] {
    return [...this.#members.values()].map(({ factory }) => factory);
  }

  #recentEvents(): readonly RecentEvent[] {
    return this.#factories().flatMap(({ recentEvents }) => recentEvents);
  }

  #leavingOf(name: string): AbortController {
    let leaving = this.#leaving.get(name);
    if (leaving === undefined) {
      leaving = new AbortController();
      // Each caller listens to it while it waits.
      setMaxListeners(0, leaving.signal);
      this.#leaving.set(name, leaving);
    }
    return leaving;
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

/** Why a caller does not wait for that Service any longer. */
class ServiceLeft extends Error {}

/** A call of `connect()` on its way to a member. */
interface Call {
  readonly item: PendingItem;
  readonly origin: Origin;
  readonly deadlineAt: number;
  readonly budgetMillis: number | undefined;
  /** The members that were tried in this round. */
  readonly tried: Set<string>;
  rounds: number;
  /** Whether a failure of this round may pass. */
  isWorthWaiting: boolean;
  lastError?: unknown;
}

function refuse({ item }: Call, error: unknown): void {
  recordOutcome(error, 'not-executed');
  markFinal(error);
  throwLater(() => item.callback(error, undefined, () => undefined));
}

type BalancedSettings = ReturnType<typeof balancedSettings>;
type TimeAndChance = { readonly clock: Clock; readonly random: Random };
type BalancedMember = PoolMember & { readonly pool: Pool };

// The pool above them waits and retries: a member says at once that it has no server.
function membersOf(
  { services, shared }: BalancedSettings,
  dependencies: TimeAndChance,
): ReadonlyMap<string, BalancedMember> {
  const members = new Map<string, BalancedMember>();
  try {
    for (const [index, { name, weight: _, priority: __, ...own }] of services.entries()) {
      const member = memberOf({ ...shared, ...own, failoverTimeoutMillis: 0 }, `services[${index}]`, own, dependencies);
      const key = name ?? member.pool.status().name;
      if (members.has(key))
        throw new InvalidArgumentError(`services[${index}].name`, `${key} is used twice: give each its own`);
      members.set(key, member);
    }
  } catch (error) {
    for (const { pool } of members.values()) pool.end(() => undefined);
    throw error;
  }
  return members;
}

function memberOf(options: object, place: string, own: object, dependencies: TimeAndChance): BalancedMember {
  try {
    const pool = new Pool(options, dependencies);
    return { ...pool._asMember(), pool };
  } catch (error) {
    if (!(error instanceof InvalidArgumentError) || !Object.hasOwn(own, error.argument.replace(/\W.*/, '')))
      throw error;
    const message = error.message.slice(`${error.argument}: `.length);
    throw new InvalidArgumentError(`${place}.${error.argument}`, message, { cause: error });
  }
}

function servicesOf(
  { services, shared, failbackAfterMillis }: BalancedSettings,
  members: ReadonlyMap<string, BalancedMember>,
  dependencies: TimeAndChance,
): ServiceBalancer {
  const names = [...members.keys()];
  const { balancing = 'round-robin', slowStartMillis = 10_000, outlierDetection = {} } = shared;
  const byHand = failbackAfterMillis === 'by-hand';
  const rows = services.map(({ weight, priority }: PooledService, index) => ({
    name: names[index] ?? '',
    weight,
    priority,
  }));
  const options = {
    balancing,
    slowStartMillis,
    outlierDetection,
    stableMillis: byHand ? 1 : Math.max(1, failbackAfterMillis),
  };
  const comeBack = byHand
    ? ({ comeBackAfterMillis: 'by-hand' } as const)
    : { comeBackAfterMillis: 1_000, longestComeBackMillis: 30_000 };
  return new ServiceBalancer(rows, { ...options, ...comeBack }, dependencies);
}

const probeTimeoutMillis = 1_000;
