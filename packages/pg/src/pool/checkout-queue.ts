import { ArrivalOrder } from '@externalname/core/internal';
import { createPool, type Pool as GenericPool } from 'generic-pool';
import type { SlowShare } from '../pipeline/slow-share.ts';
import type { Checkout } from './checkout.ts';

/** The right to count towards `max`. A lent connection holds one. */
export type Permit = object;

/**
 * Who waits for a connection, and the permits: at most `max` connections are lent or being opened at a time.
 *
 * A checkout is first `entered`. It is served at once if a permit is free, or `waits`: then it gets a connection that
 * another caller releases (`next`), or a permit to open one (`serve`), whichever comes first.
 *
 * The only file that knows generic-pool, which counts the permits and hands out those that become free while callers wait. Two
 * paths bypass it, because a round through it costs more than a small query: a permit that nothing waits for is kept here,
 * and a released connection goes to the next caller together with its permit.
 */
export class CheckoutQueue {
  readonly #max: number;
  readonly #serve: (checkout: Checkout, permit: Permit) => void;
  readonly #slowShare: SlowShare | undefined;
  readonly #permits: GenericPool<Permit>;
  readonly #atHand: Permit[] = [];
  /** Permits that are out. */
  #taken = 0;
  /** Checkouts without a permit: waiting ones, and those that have just entered. */
  #withoutPermit = 0;
  /** How many have entered so far. */
  #arrivals = 0;
  /** Waiting checkouts, in the order in which they arrived. */
  readonly #waiting = new ArrivalOrder<Checkout>();
  /** Waiting checkouts for slow statements. They are overtaken while there are too many of them. */
  readonly #waitingSlow = new ArrivalOrder<Checkout>();
  /** Unanswered checkouts that may share a connection. */
  readonly #sharing = new ArrivalOrder<Checkout>();
  /** Waiting checkouts that may not. */
  #waitingAlone = 0;
  /** Permits that were requested for them, at most `max`. */
  #requested = 0;
  /** Unanswered checkouts. */
  readonly #unanswered = new ArrivalOrder<Checkout>();
  /** Set while checkouts are held: all of them wait, whatever permits are free. */
  #whileHeld: (() => void) | undefined;

  /** @param slowShare how many connections slow statements may have */
  constructor(max: number, serve: (checkout: Checkout, permit: Permit) => void, slowShare?: SlowShare) {
    this.#max = max;
    this.#serve = serve;
    this.#slowShare = slowShare;
    // Permits, not clients: a factory that connects would spin while there is no server, and hide the reason.
    this.#permits = createPool<Permit>(
      { create: async () => ({}), destroy: async () => undefined },
      { max, min: 0, testOnBorrow: false, evictionRunIntervalMillis: 0 },
    );
  }

  /** Unanswered checkouts. */
  get size(): number {
    return this.#unanswered.size;
  }

  /** Checkouts without a permit. */
  get withoutPermit(): number {
    return this.#withoutPermit;
  }

  /** Free permits. None while checkouts are held. */
  get spare(): number {
    return this.#whileHeld === undefined ? this.#max - this.#taken : 0;
  }

  /** Whether no checkout has a permit. */
  get isUnused(): boolean {
    return this.#taken === 0;
  }

  /** Whether a permit is available at once. */
  get hasPermitAtHand(): boolean {
    return this.#atHand.length > 0 && this.#whileHeld === undefined;
  }

  /** Whether a caller who comes now overtakes no other one. */
  get isUncontended(): boolean {
    return this.#withoutPermit === this.#waitingSlow.size - this.#servableSlow;
  }

  /** Whether checkouts are held. */
  get isHeld(): boolean {
    return this.#whileHeld !== undefined;
  }

  /** Waiting checkouts that need a connection of their own. */
  get waitingAlone(): number {
    return this.#waitingAlone + this.#servableSlow;
  }

  /** Of the unanswered checkouts that may share a connection, the one that arrived first. None while checkouts are held. */
  get firstSharing(): Checkout | undefined {
    return this.#whileHeld === undefined ? this.#sharing.first : undefined;
  }

  /** All unanswered checkouts, in the order in which they arrived. */
  unanswered(): Iterable<Checkout> {
    return this.#unanswered;
  }

  enter(checkout: Checkout): void {
    this.#arrivals += 1;
    checkout.arrival = this.#arrivals;
    checkout.place = this.#unanswered.add(checkout);
    if (checkout.laneEntry?.mayShare === true) checkout.sharingPlace = this.#sharing.add(checkout);
    this.#withoutPermit += 1;
  }

  /** Takes a free permit, for a checkout that has entered and does not wait. */
  takeAtHand(checkout: Checkout): Permit | undefined {
    const permit = this.#atHand.pop();
    if (permit === undefined) return undefined;
    this.#taken += 1;
    this.#permitted(checkout);
    return permit;
  }

  /** Whether a checkout has its turn if there is a connection for it. */
  mayServe({ laneEntry }: Checkout): boolean {
    return laneEntry?.isSlow !== true || this.#slowRoom > 0;
  }

  /** Takes a free permit, for a query that has not entered. Only if {@link isUncontended}. */
  takeAhead(): Permit | undefined {
    const permit = this.#atHand.pop();
    if (permit !== undefined) this.#taken += 1;
    return permit;
  }

  /** Takes a permit for the pool itself, if callers need none: `undefined` if not. It goes back by {@link release}. */
  async reserve(): Promise<Permit | undefined> {
    if (this.#withoutPermit > 0 || this.#requested >= this.spare) return undefined;
    this.#taken += 1;
    return this.#atHand.pop() ?? (await this.#permits.acquire());
  }

  /** Queues a checkout. */
  wait(checkout: Checkout): void {
    const { laneEntry } = checkout;
    if (laneEntry?.isSlow) checkout.turn = this.#waitingSlow.add(checkout);
    else {
      checkout.turn = this.#waiting.add(checkout);
      if (laneEntry?.mayShare !== true) this.#waitingAlone += 1;
    }
    this.#request();
  }

  /** Lets every checkout wait that has no permit yet. Calls `returned` for each permit that comes back meanwhile. */
  hold(returned: () => void): void {
    this.#whileHeld = returned;
  }

  /** Serves held checkouts, in the order in which they arrived. */
  resume(): void {
    this.#whileHeld = undefined;
    this.reconsider();
  }

  /** Serves checkouts for which there was no place until now. */
  reconsider(): void {
    for (let count = Math.min(this.#servable, this.#max); count > 0; count -= 1) this.#request();
  }

  /** The first waiting checkout. It has a permit from now on: that of the connection that it gets. */
  next(): Checkout | undefined {
    const checkout = this.#first;
    if (checkout === undefined || this.#whileHeld !== undefined) return undefined;
    this.#leaveWaiting(checkout);
    this.#permitted(checkout);
    return checkout;
  }

  /** Takes back a permit. */
  release(permit: Permit): void {
    this.#taken -= 1;
    // It rejects only a permit that is not out, and each is released once.
    if (this.#permits.pending === 0) this.#atHand.push(permit);
    else this.#permits.release(permit).catch(() => undefined);
    this.#whileHeld?.();
  }

  /** Forgets a checkout that was answered. */
  leave(checkout: Checkout): void {
    if (checkout.place !== undefined) this.#unanswered.leave(checkout.place);
    if (checkout.sharingPlace !== undefined) this.#sharing.leave(checkout.sharingPlace);
    if (checkout.hasPermit) {
      // From now on its lane counts.
      if (checkout.laneEntry?.isSlow) this.#slowShare?.end();
      return;
    }
    this.#leaveWaiting(checkout);
    this.#withoutPermit -= 1;
  }

  #permitted(checkout: Checkout): void {
    this.#withoutPermit -= 1;
    checkout.hasPermit = true;
    if (checkout.laneEntry?.isSlow) this.#slowShare?.begin();
  }

  #leaveWaiting({ turn, laneEntry }: Checkout): void {
    if (turn === undefined) return;
    if (laneEntry?.isSlow) this.#waitingSlow.leave(turn);
    else if (this.#waiting.leave(turn) && laneEntry?.mayShare !== true) this.#waitingAlone -= 1;
  }

  get #slowRoom(): number {
    return this.#slowShare?.room ?? Number.POSITIVE_INFINITY;
  }

  get #servableSlow(): number {
    const { size } = this.#waitingSlow;
    return size === 0 ? 0 : Math.min(size, this.#slowRoom);
  }

  get #servable(): number {
    return this.#waiting.size + this.#servableSlow;
  }

  get #first(): Checkout | undefined {
    const { first } = this.#waiting;
    const slow = this.#servableSlow > 0 ? this.#waitingSlow.first : undefined;
    if (first === undefined || slow === undefined) return first ?? slow;
    return first.arrival < slow.arrival ? first : slow;
  }

  #request(): void {
    if (this.#whileHeld !== undefined || this.#requested >= Math.min(this.#servable, this.#max)) return;
    this.#requested += 1;
    const atHand = this.#atHand.pop();
    const acquired = atHand === undefined ? this.#permits.acquire() : Promise.resolve(atHand);
    acquired.then(
      (permit) => {
        this.#requested -= 1;
        this.#taken += 1;
        const checkout = this.next();
        // It arrives when nothing waits any longer: it is kept here.
        if (checkout === undefined) {
          this.release(permit);
          return;
        }
        this.#request();
        this.#serve(checkout, permit);
      },
      (error: unknown) => {
        this.#requested -= 1;
        this.#first?.fail(error);
      },
    );
  }
}
