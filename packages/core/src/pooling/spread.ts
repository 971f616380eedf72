import { inBackground } from '../background.ts';
import type { Clock } from '../clock.ts';
import { addressOf } from '../connect/index.ts';
import { type Balancer, type BalancerChange, type Endpoint, type RequestResult, RetryPause } from '../targets/index.ts';
import { nextSpreadStep } from './spread-plan.ts';

/** A connection, as far as {@link Spread} knows it. @internal */
export interface SpreadConnection {
  readonly endpoint: Endpoint | undefined;
  readonly state: string;
  /** Whether it is closed when it is released: it is as good as gone. */
  isExpired: boolean;
  /** Ends the count of what is lent, and of the connection. */
  endRequest: ((result: RequestResult) => void) | undefined;
  uncount: (() => void) | undefined;
  close(): void;
}

/** What {@link Spread} needs of its pool. @internal */
export interface SpreadHost<Connection extends SpreadConnection> {
  readonly clock: Clock;
  readonly balancer: Balancer;
  /** The addresses of the target; `undefined` while there is nothing to spread: in an outage, callers find what there is. */
  endpoints(signal: AbortSignal): Promise<readonly Endpoint[] | undefined>;
  /** The connections to the target. */
  connections(): readonly Connection[];
  /** How many more there may be. */
  room(): number;
  /** Opens a connection, if callers need no place of theirs, and makes it an idle one. */
  open(endpoint: Endpoint, signal: AbortSignal): Promise<void>;
  /** Opens a connection and closes it: reports to the balancer whether that works. */
  prove(endpoint: Endpoint, signal: AbortSignal): Promise<void>;
  /** Tells operators. */
  changed(change: BalancerChange): void;
}

/**
 * Spreads the work of a pool over the addresses of its target: which idle connection is lent, and how many connections lead to each
 * address. The balancer decides about shares; this moves the connections, one at a time, while callers come.
 *
 * An address that cannot be used is tried again in the background, for no caller: only when that works does it get work.
 *
 * @internal
 */
export class Spread<Connection extends SpreadConnection> {
  readonly #host: SpreadHost<Connection>;
  readonly #closing = new AbortController();
  readonly #stopTelling: () => void;
  /** When to look again, in `now()` milliseconds. */
  #nextAt = Number.NEGATIVE_INFINITY;
  #isMoving = false;
  /** The addresses that could not be used. */
  readonly #lost = new Map<string, RetryPause>();

  constructor(host: SpreadHost<Connection>) {
    this.#host = host;
    this.#stopTelling = host.balancer.subscribe((change) => {
      const address = addressOf(change.endpoint);
      if (change.ejected === undefined) this.#lost.delete(address);
      else if (change.ejected === 'unreachable')
        this.#lost.set(address, new RetryPause(host.clock.now(), shortestRetryMillis, longestRetryMillis));
      host.changed(change);
    });
  }

  /** Which of the idle connections is lent next; of those to one address, the one that was used last. */
  readonly choice = (idle: readonly Connection[]): Connection | undefined => {
    const byAddress: Connection[] = [];
    for (let index = idle.length - 1; index >= 0; index--) {
      const each = idle[index];
      if (each !== undefined && !byAddress.some((other) => isAt(each, other.endpoint))) byAddress.push(each);
    }
    const chosen = this.#host.balancer.pick(byAddress.flatMap(({ endpoint }) => endpoint ?? []));
    return byAddress.find(({ endpoint }) => endpoint === chosen);
  };

  /** The pool has a new connection. */
  added(connection: Connection): void {
    const { endpoint } = connection;
    if (endpoint !== undefined) connection.uncount = this.#host.balancer.connected(endpoint);
  }

  /** A connection is lent, for a statement that is sent at once or for what the application does with it. */
  lent(connection: Connection, awaitsAnswer: boolean): void {
    connection.endRequest = this.requested(connection, awaitsAnswer);
  }

  /** Something is asked of the server of a connection. Returns what is to be called when that is over. */
  requested({ endpoint }: Connection, awaitsAnswer: boolean): SpreadConnection['endRequest'] {
    const end = endpoint && this.#host.balancer.requested(endpoint, awaitsAnswer);
    this.#moveIfDue();
    return end;
  }

  #moveIfDue(): void {
    const now = this.#host.clock.now();
    if (this.#isMoving || now < this.#nextAt || this.#closing.signal.aborted) return;
    this.#isMoving = true;
    this.#nextAt = now + (this.#lost.size > 0 ? shortestRetryMillis : quietMillis);
    const over = () => {
      this.#isMoving = false;
    };
    // What goes wrong there is recorded where connections are made.
    inBackground(() => this.#move()).then(over, over);
  }

  /** An address was lost while others serve: what is idle there is of no use. */
  lost(endpoint: Endpoint): void {
    for (const each of this.#at(endpoint)) if (each.state === 'idle') each.close();
    this.#nextAt = Math.min(this.#nextAt, this.#host.clock.now() + paceMillis);
  }

  close(): void {
    this.#closing.abort(new Error('the pool is closed'));
    this.#stopTelling();
  }

  async #move(): Promise<void> {
    const { clock, endpoints, room, open } = this.#host;
    const { signal } = this.#closing;
    const answer = await endpoints(signal);
    if (answer === undefined) return;
    const places = this.#places(answer);
    const step = nextSpreadStep(this.#rows(places), room());
    if (step !== undefined) {
      this.#nextAt = clock.now() + paceMillis;
      const from = step.from === undefined ? undefined : places[step.from];
      const to = step.to === undefined ? undefined : places[step.to];
      const hasRoom = from === undefined || this.#giveUp(from);
      // If what is given up is in use, the next caller who needs a connection opens one where connections are missing.
      if (hasRoom && to !== undefined) await open(to, signal);
    }
    await this.#retry(places);
  }

  // The addresses of the answer, and those with connections: many names return only some of their addresses each time.
  #places(answer: readonly Endpoint[]): readonly Endpoint[] {
    const places = [...answer];
    for (const each of this.#host.connections())
      if (each.endpoint !== undefined && !places.some((place) => isAt(each, place))) places.push(each.endpoint);
    return places;
  }

  #rows(places: readonly Endpoint[]) {
    const shares = this.#host.balancer.shares(places);
    return places.map((endpoint, index) => {
      const there = this.#at(endpoint);
      return { share: shares[index] ?? 0, connections: there.length, idle: there.filter(isIdle).length };
    });
  }

  // Its oldest connection. Returns whether that is gone already.
  #giveUp(endpoint: Endpoint): boolean {
    const there = this.#at(endpoint);
    const idle = there.find(isIdle);
    const [first] = there;
    if (idle !== undefined) idle.close();
    else if (first !== undefined) first.isExpired = true;
    return idle !== undefined;
  }

  // Outside the pool's maximum, because it may fail. If it works, the address gets its share back, and with it connections.
  async #retry(places: readonly Endpoint[]): Promise<void> {
    const { clock, prove } = this.#host;
    const due = places.find((endpoint) => this.#lost.get(addressOf(endpoint))?.isOver(clock.now()));
    const pause = due && this.#lost.get(addressOf(due));
    if (due === undefined || pause === undefined) return;
    try {
      await prove(due, this.#closing.signal);
    } finally {
      pause.failed(clock.now());
      // It may have worked, and then turned out to be of no use.
      if (this.#lost.has(addressOf(due))) this.#lost.set(addressOf(due), pause);
    }
  }

  #at(endpoint: Endpoint): readonly Connection[] {
    return this.#host.connections().filter((each) => isAt(each, endpoint) && !each.isExpired);
  }
}

function isIdle({ state }: SpreadConnection): boolean {
  return state === 'idle';
}

function isAt({ endpoint }: SpreadConnection, place: Endpoint | undefined): boolean {
  return endpoint?.address === place?.address && endpoint?.port === place?.port;
}

/** From one move to the next; and to the next look if there was nothing to move. */
const paceMillis = 100;
const quietMillis = 1_000;
const shortestRetryMillis = 500;
const longestRetryMillis = 10_000;
