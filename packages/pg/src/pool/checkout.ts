import type { Clock, Timer } from '@externalname/core';
import { onAbort, type Place, recordOutcome } from '@externalname/core/internal';
import type * as pg from 'pg';
import { waited } from '../events.ts';
import type { ConnectionRequest } from '../failover/connection-factory.ts';
import { classifyFailure } from '../failures/classify.ts';
import type { QueryLane } from '../pipeline/lane-query.ts';
import { markFinal } from './failed-answers.ts';
import { placeOfCall } from './held-clients.ts';
import { type PendingItem, poolEndedError, type Release, throwLater } from './pg-pool.ts';

/** Who took a connection: `pool.query()`, `pool.transaction()`, or the application by `connect()`. */
export type Borrower = 'query' | 'transaction' | 'application';

/** A query that is sent on the lane of a connection. */
export interface LaneEntry {
  /** Whether others may be on the lane. */
  readonly mayShare: boolean;
  /** Whether it is known to be slow. */
  readonly isSlow: boolean;
  send(lane: QueryLane): void;
}

/** What all checkouts of a pool share. */
export interface CheckoutHost {
  /** What events call the Service. */
  readonly name: string;
  readonly clock: Clock;
  /** Called once, when the checkout is answered. */
  answered(checkout: Checkout): void;
  /** Makes the error of a checkout that ran out of time. */
  timeoutError(checkout: Checkout, timeoutMillis: number): Error;
}

/** One call of `connect()`, from the call to its single answer. */
export class Checkout {
  readonly borrower: Borrower;
  /** Where the application called from, if that is recorded. */
  readonly takenAt: string | undefined;
  /** Whether it has a permit: it is getting a connection, and does not wait in the queue any more. */
  hasPermit = false;
  /** Whether others had all connections when it came, or the pool was paused. */
  hadToWait = false;
  /** Called after its client was handed over. */
  delivered: ((client: pg.ClientBase) => void) | undefined;
  /** Set if it is for a query that is sent on a lane. */
  laneEntry: LaneEntry | undefined;
  /** How many had arrived before it. */
  arrival = 0;
  /** Its place among all unanswered checkouts. */
  place: Place<Checkout> | undefined;
  /** Its place among those that may share a connection. */
  sharingPlace: Place<Checkout> | undefined;
  /** Its place among those that wait in the queue. */
  turn: Place<Checkout> | undefined;
  /** Who called; `undefined` once that is answered. */
  #item: PendingItem | undefined;
  readonly #host: CheckoutHost;
  /** When it began to wait, in `now()` milliseconds, if the event has a subscriber. */
  #waitsSince: number | undefined;
  #timer: Timer | undefined;
  #request: (ConnectionRequest & { readonly controller: AbortController }) | undefined;
  #stopAbandoning: (() => void) | undefined;

  constructor(item: PendingItem, borrower: Borrower, host: CheckoutHost) {
    this.#item = item;
    this.borrower = borrower;
    this.#host = host;
    this.takenAt = borrower === 'application' ? placeOfCall() : undefined;
  }

  get isAnswered(): boolean {
    return this.#item === undefined;
  }

  /** Made only for a checkout that needs a new connection: most are served by an idle one. */
  get request(): ConnectionRequest {
    if (this.#request === undefined) {
      const controller = new AbortController();
      this.#request = { controller, signal: controller.signal, lastError: undefined };
      if (this.isAnswered) controller.abort(poolEndedError());
    }
    return this.#request;
  }

  /** The last error on its behalf. */
  get lastError(): unknown {
    return this.#request?.lastError;
  }

  /**
   * It has to wait for a connection.
   *
   * @param calledAt when the call came, in `now()` milliseconds, if that is known without a look at the clock
   */
  beginToWait(calledAt: number | undefined): void {
    if (waited.hasSubscribers) this.#waitsSince = calledAt ?? this.#host.clock.now();
  }

  abandonOn(signal: AbortSignal): void {
    this.#stopAbandoning = onAbort(signal, () => this.fail(signal.reason));
  }

  expireAfter(millis: number): void {
    this.#timer = this.#host.clock.schedule(() => this.fail(this.#host.timeoutError(this, millis)), millis);
  }

  /**
   * Hands over a client.
   *
   * @param at now, in `now()` milliseconds, if that is known without a look at the clock
   */
  deliver(client: pg.PoolClient, release: Release, at?: number): void {
    const item = this.#answer(undefined, at);
    if (item !== undefined) throwLater(() => item.callback(undefined, client, release));
  }

  /** Hands over a lane. */
  deliverLane(lane: QueryLane): void {
    const { laneEntry } = this;
    if (this.#answer() !== undefined) laneEntry?.send(lane);
  }

  fail(error: unknown): void {
    const item = this.#answer(error);
    if (item === undefined) return;
    recordOutcome(error, 'not-executed');
    // Every attempt that can help was made by now.
    markFinal(error);
    this.#request?.controller.abort(error);
    throwLater(() => item.callback(error, undefined, () => undefined));
  }

  #answer(error?: unknown, at?: number): PendingItem | undefined {
    const item = this.#item;
    if (item === undefined) return undefined;
    // V8 may come to make all checkouts in the old space. There, each would keep its caller and the answer alive until that is collected.
    this.#item = undefined;
    this.#timer?.cancel();
    this.#stopAbandoning?.();
    const { name, clock } = this.#host;
    if (this.#waitsSince !== undefined) tellWait(name, (at ?? clock.now()) - this.#waitsSince, error);
    this.#host.answered(this);
    return item;
  }
}

/** Tells of a caller who does not wait any longer, and why if that is not because there is a connection. */
export function tellWait(name: string, durationMillis: number, error: unknown): void {
  waited.publish(() =>
    error === undefined
      ? { name, durationMillis }
      : { name, durationMillis, error, kind: classifyFailure(error, 'connecting').kind },
  );
}
