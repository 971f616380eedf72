import type { Connections } from '@externalname/core/internal';
import { TooManyWaitingError } from '../errors.ts';
import type { PoolSettings } from '../options.ts';
import { Checkout, type CheckoutHost, tellWait } from './checkout.ts';
import type { CheckoutQueue } from './checkout-queue.ts';
import type { Lending } from './lending.ts';
import type { Origin } from './member.ts';
import type { PendingItem } from './pg-pool.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { Sharing } from './sharing.ts';

/** What {@link Entrance} needs. */
export interface EntranceParts {
  readonly settings: PoolSettings;
  readonly queue: CheckoutQueue;
  readonly connections: Connections<PooledConnection>;
  readonly lending: Lending;
  readonly host: CheckoutHost;
  sharing(): Sharing | undefined;
  /** When the last `query()` was called, in `now()` milliseconds. */
  calledAt(): number;
}

/** Where the callers of a pool come in: each is marked with who asks, is bounded in its number and its time, and gets in line. */
export class Entrance {
  readonly #parts: EntranceParts;
  /** Set for one `connect()`, which reads it in the same turn of the event loop. */
  #origin: Origin | undefined;

  constructor(parts: EntranceParts) {
    this.#parts = parts;
  }

  /** Who makes the next `connect()`, in this turn of the event loop. To be taken back after it. */
  mark(origin: Origin | undefined): void {
    this.#origin = origin;
  }

  /** As the caller of `connect()`, if nothing else is said. */
  enter(item: PendingItem, origin: Origin | undefined = this.#origin, laneEntry?: Checkout['laneEntry']): void {
    this.#origin = undefined;
    const { settings, queue, connections, lending, host } = this.#parts;
    const { maxWaiting, connectionTimeoutMillis, failoverTimeoutMillis } = settings;
    if (queue.withoutPermit + 1 - queue.spare > maxWaiting) {
      const error = new TooManyWaitingError(maxWaiting);
      tellWait(settings.name, 0, error);
      process.nextTick(() => item.callback(error, undefined, () => undefined));
      return;
    }
    const checkout = new Checkout(item, origin?.borrower ?? 'application', host);
    if (origin?.signal !== undefined) checkout.abandonOn(origin.signal);
    checkout.delivered = origin?.delivered;
    checkout.laneEntry = laneEntry;
    const limitMillis = connectionTimeoutMillis || failoverTimeoutMillis;
    const timeoutMillis = Math.min(
      limitMillis || Number.POSITIVE_INFINITY,
      origin?.budgetMillis ?? Number.POSITIVE_INFINITY,
    );
    const calledAt = origin === firstAttempt ? this.#parts.calledAt() : undefined;
    queue.enter(checkout);
    if (!queue.hasPermitAtHand || connections.idleCount === 0 || !queue.mayServe(checkout)) {
      this.#wait(checkout, timeoutMillis, calledAt);
      return;
    }
    // As in pg-pool, an idle client is handed out in the next tick, and the call needs neither a queue nor a timer.
    process.nextTick(() => {
      if (!lending.serveAtOnce(checkout)) this.#wait(checkout, timeoutMillis, calledAt);
    });
  }

  /** Queues a query for a lane. */
  enterLane(
    laneEntry: NonNullable<Checkout['laneEntry']>,
    fail: (error: unknown) => void,
    wait?: Pick<Origin, 'budgetMillis' | 'signal'>,
  ): void {
    const item = { callback: (error: unknown) => fail(error) };
    const { budgetMillis, signal } = wait ?? {};
    this.enter(item, { borrower: 'query', budgetMillis, signal }, laneEntry);
  }

  #wait(checkout: Checkout, timeoutMillis: number, calledAt: number | undefined): void {
    const { queue, sharing } = this.#parts;
    checkout.hadToWait = queue.withoutPermit > queue.spare || !queue.mayServe(checkout);
    checkout.beginToWait(calledAt);
    if (Number.isFinite(timeoutMillis)) checkout.expireAfter(timeoutMillis);
    queue.wait(checkout);
    sharing()?.waits(checkout);
  }
}

/** The first attempt of a query, for which nothing needs to be made. */
export const firstAttempt: Origin = Object.freeze({ borrower: 'query', budgetMillis: undefined });
