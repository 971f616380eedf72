import type { Balancer, Clock, Endpoint } from '@externalname/core';
import { addressOf, inBackground, nextSpreadStep, type SpreadRow } from '@externalname/core/internal';
import { isPreferred } from '../connect/session-role.ts';
import { closeClient } from '../driver/closing.ts';
import { addressEjected } from '../events.ts';
import type { MadeConnection } from '../failover/connection-factory.ts';
import type { ServiceConnections } from '../failover/service-connections.ts';
import type { ServiceDialer } from '../failover/service-dialer.ts';
import type { PoolSettings } from '../options.ts';
import type { CheckoutQueue } from './checkout-queue.ts';
import type { Connections } from './connections.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** What {@link Spread} needs. */
export interface SpreadParts {
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly balancer: Balancer;
  readonly dialer: ServiceDialer;
  readonly service: ServiceConnections;
  readonly queue: CheckoutQueue;
  readonly max: number;
  connections(): Connections<PooledConnection>;
  /** Connections that are being opened for callers. */
  making(): number;
  /** Makes a new connection an idle one of the pool. */
  adopt(made: MadeConnection): Promise<void>;
}

/**
 * Spreads a pool's work over the addresses of its target, as `balancing` says: which idle connection is lent, and how many
 * connections lead to each address. The balancer decides about shares; this moves the connections, one at a time, while callers come.
 *
 * An address that cannot be used is tried again in the background, for no caller: only when that works does it get work.
 */
export class Spread {
  readonly #parts: SpreadParts;
  readonly #closing = new AbortController();
  readonly #stopTelling: () => void;
  /** When to look again, in `now()` milliseconds. */
  #nextAt = Number.NEGATIVE_INFINITY;
  #isMoving = false;
  /** The addresses that could not be used: when each may be tried again, and how long to wait after that. */
  readonly #retries = new Map<string, { readonly at: number; readonly pauseMillis: number }>();

  constructor(parts: SpreadParts) {
    this.#parts = parts;
    const { name } = parts.settings;
    this.#stopTelling = parts.balancer.subscribe(({ endpoint, ejected, forMillis }) => {
      const address = addressOf(endpoint);
      if (ejected === undefined) this.#retries.delete(address);
      const target = endpoint.target.externalName;
      addressEjected.publish(() => ({ name, target, address, ejected, forMillis }));
    });
  }

  /** Which of the idle connections is lent next; of those to one address, the one that was used last. */
  readonly choice = (idle: readonly PooledConnection[]): PooledConnection | undefined => {
    const byAddress: PooledConnection[] = [];
    for (let index = idle.length - 1; index >= 0; index--) {
      const each = idle[index];
      if (each !== undefined && !byAddress.some((other) => isAt(each, other.endpoint))) byAddress.push(each);
    }
    const chosen = this.#parts.balancer.pick(byAddress.flatMap(({ endpoint }) => endpoint ?? []));
    return byAddress.find(({ endpoint }) => endpoint === chosen);
  };

  /** The pool has a new connection. */
  added(connection: PooledConnection): void {
    const { endpoint } = connection;
    if (endpoint !== undefined) connection.uncount = this.#parts.balancer.connected(endpoint);
  }

  /** A connection is lent. */
  lent(connection: PooledConnection): void {
    const { balancer, clock } = this.#parts;
    if (connection.endpoint !== undefined) connection.endRequest = balancer.requested(connection.endpoint);
    const now = clock.now();
    if (this.#isMoving || now < this.#nextAt || this.#closing.signal.aborted) return;
    this.#isMoving = true;
    this.#nextAt = now + quietMillis;
    const over = () => {
      this.#isMoving = false;
    };
    // What goes wrong there is recorded where connections are made.
    inBackground(() => this.#move()).then(over, over);
  }

  /** An address was lost while others serve: what is idle there is of no use. */
  lost(endpoint: Endpoint): void {
    for (const each of this.#current()) if (each.state === 'idle' && isAt(each, endpoint)) each.close();
    this.#nextAt = Math.min(this.#nextAt, this.#parts.clock.now() + paceMillis);
  }

  close(): void {
    this.#closing.abort(new Error('the pool is closed'));
    this.#stopTelling();
  }

  async #move(): Promise<void> {
    const { clock, dialer, service, max, connections, making } = this.#parts;
    const { target } = service;
    // In an outage, the callers' own attempts find what there is.
    if (target === undefined || service.inOutage) return;
    const endpoints = this.#places(await dialer.endpoints(target, { signal: this.#closing.signal }));
    const rows = this.#rows(endpoints);
    const step = nextSpreadStep(rows, max - connections().total - making());
    if (step !== undefined) {
      this.#nextAt = clock.now() + paceMillis;
      const from = step.from === undefined ? undefined : endpoints[step.from];
      const to = step.to === undefined ? undefined : endpoints[step.to];
      const hasRoom = from === undefined || this.#giveUp(from);
      // If what is given up is in use, the next caller who needs a connection opens one where connections are missing.
      if (hasRoom && to !== undefined) await this.#open(to);
    }
    const lost = this.#toRetry(endpoints);
    if (lost !== undefined) await this.#retry(lost);
  }

  // The addresses of the answer, and those with connections: many names return only some of their addresses each time.
  #places(answer: readonly Endpoint[]): readonly Endpoint[] {
    const places = [...answer];
    for (const each of this.#current()) {
      if (each.endpoint !== undefined && !places.some((place) => isAt(each, place))) places.push(each.endpoint);
    }
    return places;
  }

  #rows(endpoints: readonly Endpoint[]): readonly SpreadRow[] {
    const shares = this.#parts.balancer.shares(endpoints);
    return endpoints.map((endpoint, index) => {
      const there = this.#at(endpoint);
      const idle = there.filter(({ state }) => state === 'idle').length;
      return { share: shares[index] ?? 0, connections: there.length, idle };
    });
  }

  // Its oldest connection. Returns whether that is gone already.
  #giveUp(endpoint: Endpoint): boolean {
    const there = this.#at(endpoint);
    const idle = there.find(({ state }) => state === 'idle');
    const [first] = there;
    if (idle !== undefined) idle.close();
    else if (first !== undefined) first.isExpired = true;
    return idle !== undefined;
  }

  async #open(endpoint: Endpoint): Promise<void> {
    const { queue, service, adopt } = this.#parts;
    const permit = await queue.reserve();
    if (permit === undefined) return;
    try {
      const made = await service.connectAt(endpoint, this.#closing.signal);
      if (made !== undefined && this.#accepts(made)) await adopt(made);
    } finally {
      queue.release(permit);
    }
  }

  // With `prefer-standby`, what is not preferred gets no share while something preferred is there.
  #accepts({ client, endpoint, roles }: MadeConnection): boolean {
    const { settings, balancer, clock } = this.#parts;
    const { targetSessionAttrs } = settings;
    const isWanted =
      isPreferred(roles.role, targetSessionAttrs) ||
      !this.#current().some((each) => isPreferred(each.roles.role, targetSessionAttrs));
    if (isWanted || endpoint === undefined) return true;
    balancer.failed(endpoint);
    closeClient(client, clock);
    return false;
  }

  #toRetry(endpoints: readonly Endpoint[]): Endpoint | undefined {
    const { balancer, clock } = this.#parts;
    const now = clock.now();
    const out = balancer.status().filter(({ ejected }) => ejected === 'unreachable');
    return endpoints.find((endpoint) => {
      if (!out.some(({ address, port }) => address === endpoint.address && port === endpoint.port)) return false;
      const retry = this.#retries.get(addressOf(endpoint));
      if (retry === undefined) this.#retries.set(addressOf(endpoint), { at: now, pauseMillis: shortestRetryMillis });
      return retry === undefined || now >= retry.at;
    });
  }

  // Outside `max`, because it may fail. If it works, the address gets its share back, and with it connections.
  async #retry(endpoint: Endpoint): Promise<void> {
    const { service, clock } = this.#parts;
    const address = addressOf(endpoint);
    const { pauseMillis = shortestRetryMillis } = this.#retries.get(address) ?? {};
    this.#retries.set(address, {
      at: clock.now() + pauseMillis,
      pauseMillis: Math.min(pauseMillis * 2, longestRetryMillis),
    });
    const made = await service.connectAt(endpoint, this.#closing.signal);
    if (made !== undefined && this.#accepts(made)) closeClient(made.client, clock);
  }

  // A connection that is closed on its release is as good as gone.
  #at(endpoint: Endpoint): readonly PooledConnection[] {
    return this.#current().filter((each) => isAt(each, endpoint) && !each.isExpired);
  }

  #current(): readonly PooledConnection[] {
    const connections = this.#parts.connections();
    return [...connections.open()].filter((each) => connections.isCurrent(each));
  }
}

/** `undefined` if the pool does not balance. */
export function spreadOf({
  dialer,
  service,
  ...parts
}: Omit<SpreadParts, 'balancer' | 'dialer' | 'service'> & {
  readonly dialer: ServiceDialer | undefined;
  readonly service: ServiceConnections | undefined;
}): Spread | undefined {
  const balancer = dialer?.balancer;
  return dialer && service && balancer && new Spread({ ...parts, balancer, dialer, service });
}

function isAt({ endpoint }: PooledConnection, place: Endpoint | undefined): boolean {
  return endpoint?.address === place?.address && endpoint?.port === place?.port;
}

/** From one move to the next; and to the next look if there was nothing to move. */
const paceMillis = 100;
const quietMillis = 1_000;
const shortestRetryMillis = 500;
const longestRetryMillis = 10_000;
