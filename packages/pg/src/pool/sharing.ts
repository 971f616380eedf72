import { AsyncResource } from 'node:async_hooks';
import type { Clock } from '@externalname/core';
import { type Connections, recordOutcome, type Spread } from '@externalname/core/internal';
import { countUse } from '../driver/client-internals.ts';
import { isWritingValues } from '../driver/pipelining.ts';
import { isForgotten } from '../driver/prepared-statements.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import { classifyFailure, type Failure } from '../failures/classify.ts';
import type { PoolSettings } from '../options.ts';
import { KnownTexts, NamesOfCallers } from '../pipeline/known-texts.ts';
import { Lane, type LaneHost } from '../pipeline/lane.ts';
import { LaneQuery, type QueryLane } from '../pipeline/lane-query.ts';
import { Lanes } from '../pipeline/lanes.ts';
import { sharedConfigOf } from '../pipeline/shareable.ts';
import type { SlowShare } from '../pipeline/slow-share.ts';
import type { Checkout } from './checkout.ts';
import type { CheckoutQueue } from './checkout-queue.ts';
import { type CancelParts, requestCancelOf } from './connection-host.ts';
import { type FailedAnswers, isFinal, markFinal } from './failed-answers.ts';
import type { Lending } from './lending.ts';
import type { PgPool } from './pg-pool.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { Preparation } from './preparation.ts';
import type { SharedAttempt } from './query.ts';

/** What {@link Sharing} needs. */
export interface SharingParts extends CancelParts {
  readonly pool: PgPool;
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly factory: ConnectionFactory;
  readonly connections: Connections<PooledConnection>;
  readonly queue: CheckoutQueue;
  readonly preparation: Preparation;
  readonly lending: Lending;
  readonly slowShare: SlowShare;
  readonly answers: FailedAnswers;
  readonly spread: Spread<PooledConnection> | undefined;
  /** Queues a query that cannot be sent at once. */
  enter(
    entry: NonNullable<Checkout['laneEntry']>,
    fail: (error: unknown) => void,
    wait: SharedAttempt | undefined,
  ): void;
}

/** How the queries of a pool share its connections, and what is prepared on these: part of `pool.status()`. */
export interface SharingStatus {
  /** Connections that carry queries of `pool.query()` now. */
  readonly lanes: number;
  /** Queries that are in flight on them. */
  readonly inFlight: number;
  /** How many queries were sent behind another one's, since the pool was made. */
  readonly shared: number;
  /** Statements that are prepared on open connections under names of the pool (`statementCache`). */
  readonly prepared: number;
  /** How many queries were sent under such a name. */
  readonly named: number;
  /** How many names were given up for others. */
  readonly closed: number;
  /** Connections on which a pooler answers, so that nothing is prepared there. */
  readonly pooled: number;
}

/**
 * `pool.query()` on lanes: several queries on one connection at once (`pipelining`), under names of the pool (`statementCache`). What is not
 * a single plain statement goes the way of `pg-pool`, on a connection of its own.
 */
export class Sharing {
  readonly #parts: SharingParts;
  readonly #texts: KnownTexts;
  readonly #names = new NamesOfCallers(knownTexts);
  readonly #lanes: Lanes<PooledConnection>;
  readonly #host: LaneHost<PooledConnection>;
  readonly #counts = { shared: 0, named: 0, closed: 0 };
  /** Read-only answers on lanes that are not empty yet, to be judged then. */
  readonly #unjudged = new WeakMap<Lane<PooledConnection>, Unjudged>();

  constructor(parts: SharingParts) {
    this.#parts = parts;
    const { clock, settings, spread, pool, factory } = parts;
    const { pipelining, statementCache, queryTimeoutMillis } = settings;
    this.#texts = new KnownTexts(Math.max(knownTexts, 4 * statementCache));
    this.#lanes = new Lanes({
      clock,
      fits: (lane) => this.#fits(lane),
      choice: spread?.choice,
      heard: ({ connection, heardAt }) => {
        connection.provenAt = heardAt;
        factory.confirmed(heardAt);
      },
      looked: () => {
        if (parts.slowShare.look()) parts.queue.reconsider();
      },
    });
    const { maxUses } = pool.options;
    this.#host = {
      now: () => clock.now(),
      depth: Math.max(1, pipelining),
      mostNames: statementCache,
      counts: this.#counts,
      isBusy: () => this.#lanes.all().length > 1,
      queryTimeoutMillis,
      mayUseAgain: ({ client }) => countUse(client) + 1 < maxUses,
      requested: (connection, query) => together(spread?.requested(connection, true), query.sent?.()),
      answered: (lane, query, error, result) => this.#answered(lane, query, error, result),
      timedOut: (lane, query) => this.#timedOut(lane, query),
      schedule: (callback, millis) => clock.schedule(callback, millis),
    };
  }

  status(): SharingStatus {
    const lanes = this.#lanes.all();
    const all = [...this.#parts.connections.open()].flatMap(({ lane }) => lane ?? []);
    return {
      lanes: lanes.length,
      inFlight: lanes.reduce((sum, { size }) => sum + size, 0),
      prepared: all.reduce((sum, { names }) => sum + names, 0),
      pooled: all.filter(({ isPooled }) => isPooled).length,
      ...this.#counts,
    };
  }

  /** Whether a query may be sent on a lane, if nothing is in the way of its name. */
  mayShare(given: unknown, values: unknown): boolean {
    return this.#read(given, values) !== undefined;
  }

  /** Runs a query once, on a lane. `undefined` if it needs a connection of its own. */
  query(given: unknown, values: unknown, attempt: SharedAttempt | undefined): Promise<unknown> | undefined {
    const found = attempt?.delivered === undefined ? this.#read(given, values, attempt?.isShareable) : undefined;
    if (found === undefined || this.#parts.pool.ending) return undefined;
    const { text } = found;
    // As it is now: it may wait, and a text that its caller writes into it meanwhile was not read.
    const asked = typeof found.asked === 'string' ? found.asked : { ...found.asked };
    // With two texts in flight under one name, and a session that has lost it, the values of one may come to the other. Alone, `pg` tells them apart.
    if (typeof asked !== 'string' && asked.name && !this.#names.isOf(asked.name, asked.text)) return undefined;
    text.uses += 1;
    return new Promise((resolve, reject) => {
      const query = new LaneQuery(asked, values, text, resolve, reject, attempt?.sent);
      if (isWritingValues()) process.nextTick(() => this.#dispatch(query, attempt));
      else this.#dispatch(query, attempt);
    });
  }

  /** Begins a lane on a connection that was lent for a checkout. Others that wait get on it, too, unless that overtakes who needs it alone. */
  begin(connection: PooledConnection, checkout: Checkout): void {
    const { mayShare = false, isSlow = false } = checkout.laneEntry ?? {};
    checkout.deliverLane(this.#open(connection, mayShare, isSlow));
    this.#reserve();
    this.#admit();
  }

  /** A checkout waits. */
  waits({ laneEntry }: Checkout): void {
    if (laneEntry?.mayShare !== true) this.#reserve();
    // While a connection can be opened, one is, and the lanes are not yet asked.
    else if (this.#parts.queue.spare === 0) this.#admit();
  }

  // ---- The way to a lane

  #read(given: unknown, values: unknown, isShareable?: boolean): Pick<LaneQuery, 'asked' | 'text'> | undefined {
    const asked = sharedConfigOf(given, values);
    if (asked === undefined) return undefined;
    const text = this.#texts.of(typeof asked === 'string' ? asked : asked.text, isShareable);
    return text.isShareable ? { asked, text } : undefined;
  }

  #dispatch(query: LaneQuery, wait: SharedAttempt | undefined): void {
    const { queue, lending, slowShare } = this.#parts;
    const { isQuick, isSlow } = query.text;
    const mayShare = this.#host.depth > 1 && isQuick;
    if (isQuick) slowShare.quickAsked();
    const idle = isSlow && slowShare.room === 0 ? undefined : lending.lendIdle();
    if (idle !== undefined) {
      this.#open(idle, mayShare, isSlow).send(query);
      return;
    }
    if (mayShare && queue.spare === 0 && !queue.isHeld && queue.firstSharing === undefined) {
      const lane = this.#lanes.choose();
      if (lane !== undefined) {
        this.#counts.shared += 1;
        lane.send(query);
        return;
      }
    }
    // It is sent later, but in its caller's context.
    const context = new AsyncResource('externalname.query');
    const send = (lane: QueryLane) => context.runInAsyncScope(lane.send, lane, query);
    this.#parts.enter({ mayShare, isSlow, send }, (error) => query.tell(error), wait);
  }

  #open(connection: PooledConnection, mayShare: boolean, isSlow: boolean): Lane<PooledConnection> {
    connection.lane ??= new Lane(connection, this.#host);
    const { lane } = connection;
    lane.open();
    lane.isForSlow = isSlow;
    if (isSlow) this.#parts.slowShare.begin();
    if (!mayShare) lane.isLeaving = true;
    this.#lanes.opened(lane);
    return lane;
  }

  /** Lets those who wait, in their order, get on lanes that have room. */
  #admit(): void {
    const { queue } = this.#parts;
    for (let first = queue.firstSharing; first !== undefined; first = queue.firstSharing) {
      const lane = this.#lanes.choose();
      if (lane === undefined) return;
      this.#counts.shared += 1;
      first.deliverLane(lane);
    }
  }

  #reserve(): void {
    const { waitingAlone, spare } = this.#parts.queue;
    if (waitingAlone > spare) this.#lanes.reserve(waitingAlone - spare);
  }

  #fits({ connection, heardAt }: Lane<PooledConnection>): boolean {
    const { connections, preparation, factory } = this.#parts;
    return (
      connection.state === 'lent' &&
      connection.isUsable &&
      !connection.isExpired &&
      connections.isCurrent(connection) &&
      Math.max(heardAt, connection.provenAt) >= factory.suspectedAt &&
      preparation.roleFits(connection) &&
      !preparation.isDue(connection)
    );
  }

  // ---- The way back

  #answered(lane: Lane<PooledConnection>, query: LaneQuery, given: unknown, result: unknown): void {
    const { text } = query;
    text.ran(query.wasSlow);
    lane.isSlow = false;
    this.#lanes.answered(query, lane.heardAt);
    this.#parts.lending.releasedAt = lane.heardAt;
    const error = given ? ownError(given, query.heldIn?.isSent === false) : undefined;
    const failure = error && classifyFailure(error, 'connected');
    query.ended?.(failure?.condemnsServer ? 'failed' : 'answered');
    if (lane.size === 0) this.#giveBack(lane, error, failure);
    else if (error !== undefined && failure !== undefined) this.#judge(lane, error, failure);
    if (error !== undefined && this.#isOfNeighbour(lane, query, error)) {
      query.again();
      this.#dispatch(query, undefined);
    } else query.tell(error, result);
    if (this.#parts.queue.firstSharing !== undefined) this.#admit();
  }

  // An error that may have nothing to do with what the caller asked: a name that the server has lost behind another's back, one that was
  // prepared for other types, a request to end a neighbour that came a moment late. Nothing has run, so it is sent again.
  #isOfNeighbour(lane: Lane<PooledConnection>, query: LaneQuery, error: Error): boolean {
    if (query.isTold || this.#parts.pool.ending) return false;
    if (isForgotten(error)) return query.attempts <= mostLaneRepeats;
    if (query.name !== undefined && query.isNameless) return true;
    return lane.wasCancelled && !query.isCancelled && (error as { code?: unknown }).code === queryCanceled;
  }

  #giveBack(lane: Lane<PooledConnection>, error: Error | undefined, failure: Failure | undefined): void {
    const { lending, factory, answers } = this.#parts;
    const { connection, isUnwanted } = lane;
    const unjudged = this.#unjudged.get(lane);
    this.#closed(lane);
    lane.close();
    if (unjudged !== undefined) {
      this.#unjudged.delete(lane);
      if (error !== undefined && failure?.kind === 'read-only') unjudged.errors.push(error);
      const [first] = unjudged.errors;
      lending.takeBackLane(connection, first);
      const pass = () => {
        if (isFinal(first)) for (const each of unjudged.errors) markFinal(each);
        unjudged.resolve();
      };
      const verdict = answers.verdictOn(first);
      if (verdict === undefined || verdict === unjudged.verdict) pass();
      else verdict.then(pass, pass);
      if (error !== undefined && unjudged.errors.includes(error)) answers.isJudged(error, unjudged.verdict);
      return;
    }
    if (isUnwanted && error !== undefined && failure?.condemnsServer) factory.suspect(error, connection.endpoint);
    lending.takeBackLane(connection, isUnwanted ? true : error);
  }

  #closed(lane: Lane<PooledConnection>): void {
    this.#lanes.closed(lane);
    if (!lane.isForSlow) return;
    const { slowShare, queue } = this.#parts;
    lane.isForSlow = false;
    slowShare.end();
    queue.reconsider();
  }

  // Others are on the lane, and have their own answers still to come.
  #judge(lane: Lane<PooledConnection>, error: Error, failure: Failure): void {
    const { factory, answers } = this.#parts;
    if (failure.kind === 'read-only') {
      lane.isLeaving = true;
      const unjudged = this.#unjudged.get(lane) ?? newUnjudged();
      this.#unjudged.set(lane, unjudged);
      unjudged.errors.push(error);
      answers.isJudged(error, unjudged.verdict);
      return;
    }
    if (failure.condemnsServer) factory.suspect(error, lane.connection.endpoint);
    if (failure.keepConnection || isForgotten(error)) return;
    lane.isLeaving = true;
    lane.isUnwanted = true;
  }

  // ---- query_timeout

  // It concerns the query that the server is at, and no other. If it has neighbours, the server is asked to end it, and the connection goes
  // when they have their answers; if the server does not end it in as much time again, with them.
  #timedOut(lane: Lane<PooledConnection>, query: LaneQuery): void {
    if (query.isOver) return;
    const { settings, clock, lending } = this.#parts;
    lane.isLeaving = true;
    lane.isUnwanted = true;
    const isSecondTime = query.isTold;
    query.tell(timeoutError());
    if (!lane.isForNobody && !isSecondTime) {
      query.isCancelled = true;
      lane.wasCancelled = true;
      query.timer = clock.schedule(() => this.#timedOut(lane, query), settings.queryTimeoutMillis);
      requestCancelOf(this.#parts, lane.connection).catch(() => undefined);
      return;
    }
    this.#closed(lane);
    for (const each of lane.abandon()) {
      each.ended?.('answered');
      each.tell(timeoutError());
    }
    if (settings.follows) lane.connection.abandon();
    lending.takeBackLane(lane.connection, timeoutError());
  }
}

function together(one: LaneQuery['ended'], other: LaneQuery['ended']): LaneQuery['ended'] {
  if (one === undefined || other === undefined) return one ?? other;
  return (result) => {
    one(result);
    other(result);
  };
}

// In the words of `pg`.
function timeoutError(): Error {
  const error = new Error('Query read timeout');
  recordOutcome(error, 'unknown');
  return error;
}

/** `undefined` if the pool neither pipelines nor prepares. */
export function sharingOf(parts: SharingParts): Sharing | undefined {
  const { pipelining, statementCache } = parts.settings;
  return pipelining > 1 || statementCache > 0 ? new Sharing(parts) : undefined;
}

interface Unjudged {
  readonly errors: Error[];
  readonly verdict: Promise<void>;
  readonly resolve: () => void;
}

function newUnjudged(): Unjudged {
  let resolve: () => void = () => undefined;
  const verdict = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { errors: [], verdict, resolve };
}

/**
 * When a connection is lost, `pg` fails all of its queries with one error. Each caller gets an error of its own, to keep and to mark. What was
 * held back in this process has not run, whatever became of the rest.
 */
function ownError(given: unknown, isUnsent: boolean): Error {
  const error = given instanceof Error ? given : new Error(String(given));
  if (!isUnsent && !toldErrors.has(error)) {
    toldErrors.add(error);
    return error;
  }
  const { stack: _, outcome, ...own } = Object.getOwnPropertyDescriptors(error) as Record<string, PropertyDescriptor>;
  if (outcome !== undefined && !isUnsent) own['outcome'] = outcome;
  const copy = new Error(error.message);
  Object.defineProperties(Object.setPrototypeOf(copy, Object.getPrototypeOf(error)), own);
  if (isUnsent) recordOutcome(copy, 'not-executed');
  return copy;
}

const toldErrors = new WeakSet<Error>();

const knownTexts = 2_000;
const mostLaneRepeats = 3;
const queryCanceled = '57014';
