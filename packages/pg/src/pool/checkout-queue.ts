import { createPool, type Pool as GenericPool } from 'generic-pool';
import { ArrivalOrder } from './arrival-order.ts';
import type { Checkout } from './checkout.ts';

/** The right to count towards `max`. A connection that is lent holds one. */
export type Permit = object;

/**
 * Who waits for a connection, and the permits: at most `max` connections are lent or made at a time.
 *
 * A checkout is first `entered`. It is served at once if a permit is at hand, or `waits`: then it is given a connection that
 * another caller gives back (`next`), or a permit to have one made for (`serve`), whichever comes first.
 *
 * The one file that knows generic-pool, which counts the permits and hands out those that come free while somebody waits. Two
 * ways lead past it, because a round through it costs more than a small query: a permit that nobody waits for is kept at hand,
 * and a connection that is given back goes to the next caller together with its permit.
 */
export class CheckoutQueue {
  readonly #max: number;
  readonly #serve: (checkout: Checkout, permit: Permit) => void;
  readonly #permits: GenericPool<Permit>;
  readonly #atHand: Permit[] = [];
  /** Permits that are out. */
  #taken = 0;
  /** Checkouts without a permit: those that wait, and those that have just entered. */
  #withoutPermit = 0;
  /** Those that wait, in the order in which they came. */
  readonly #waiting = new ArrivalOrder<Checkout>();
  /** Permits that were asked for on their behalf, `max` at most. */
  #requested = 0;
  /** Checkouts that are not answered. */
  readonly #unanswered = new ArrivalOrder<Checkout>();

  constructor(max: number, serve: (checkout: Checkout, permit: Permit) => void) {
    this.#max = max;
    this.#serve = serve;
    // Permits, not clients: a factory that connects would spin while no server is there, and hide why.
    this.#permits = createPool<Permit>(
      { create: async () => ({}), destroy: async () => undefined },
      { max, min: 0, testOnBorrow: false, evictionRunIntervalMillis: 0 },
    );
  }

  /** Checkouts that are not answered. */
  get size(): number {
    return this.#unanswered.size;
  }

  /** Checkouts without a permit. */
  get withoutPermit(): number {
    return this.#withoutPermit;
  }

  /** Permits that are not out. */
  get spare(): number {
    return this.#max - this.#taken;
  }

  /** Whether a permit can be had at once. */
  get hasPermitAtHand(): boolean {
    return this.#atHand.length > 0;
  }

  /** All checkouts that are not answered, in the order in which they came. */
  unanswered(): Iterable<Checkout> {
    return this.#unanswered;
  }

  enter(checkout: Checkout): void {
    checkout.place = this.#unanswered.add(checkout);
    this.#withoutPermit += 1;
  }

  /** Takes a permit that is at hand, for a checkout that has entered and does not wait. */
  takeAtHand(checkout: Checkout): Permit | undefined {
    const permit = this.#atHand.pop();
    if (permit === undefined) return undefined;
    this.#taken += 1;
    this.#withoutPermit -= 1;
    checkout.hasPermit = true;
    return permit;
  }

  /** Puts a checkout in line. */
  wait(checkout: Checkout): void {
    checkout.turn = this.#waiting.add(checkout);
    this.#request();
  }

  /** The first that waits. It has a permit from now on: that of the connection that it is given. */
  next(): Checkout | undefined {
    const checkout = this.#waiting.first;
    if (checkout?.turn === undefined) return undefined;
    this.#waiting.leave(checkout.turn);
    this.#withoutPermit -= 1;
    checkout.hasPermit = true;
    return checkout;
  }

  /** Takes back a permit. */
  release(permit: Permit): void {
    this.#taken -= 1;
    if (this.#permits.pending === 0) {
      this.#atHand.push(permit);
      return;
    }
    // Rejects only for a permit that is not out, and each is given back once.
    this.#permits.release(permit).catch(() => undefined);
  }

  /** Forgets a checkout that was answered. */
  leave(checkout: Checkout): void {
    if (checkout.place !== undefined) this.#unanswered.leave(checkout.place);
    if (checkout.hasPermit) return;
    if (checkout.turn !== undefined) this.#waiting.leave(checkout.turn);
    this.#withoutPermit -= 1;
  }

  #request(): void {
    if (this.#requested >= Math.min(this.#waiting.size, this.#max)) return;
    this.#requested += 1;
    const atHand = this.#atHand.pop();
    const acquired = atHand === undefined ? this.#permits.acquire() : Promise.resolve(atHand);
    acquired.then(
      (permit) => {
        this.#requested -= 1;
        this.#taken += 1;
        const checkout = this.next();
        // It comes when nobody waits any longer: it is kept at hand.
        if (checkout === undefined) {
          this.release(permit);
          return;
        }
        this.#request();
        this.#serve(checkout, permit);
      },
      (error: unknown) => {
        this.#requested -= 1;
        this.#waiting.first?.fail(error);
      },
    );
  }
}
