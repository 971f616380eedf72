import type { Clock, Random } from '../clock.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { ownOptions } from '../input.ts';
import { aNumber, aText, checkOptions, listOf, objectOf, oneOf, optional } from '../shape.ts';
import type { Endpoint } from './endpoint.ts';

/**
 * Which endpoint comes first.
 *
 * - `ordered`: as DNS gave them.
 * - `random`: any, with equal chance.
 * - `round-robin`: each in turn.
 * - `least-connections`: the one with the fewest open connections; among equals, any.
 */
export type Balancing = 'ordered' | 'random' | 'round-robin' | 'least-connections';

/** See {@link Balancer}. */
export interface BalancerOptions {
  /** Which endpoint comes first. @defaultValue 'ordered' */
  balancing?: Balancing | undefined;
  /**
   * How long a failed endpoint comes after all others. Milliseconds; 0 forgets at once.
   * @defaultValue 10000
   */
  failureMemoryMillis?: number | undefined;
}

/**
 * Decides in which order to try the endpoints of a target.
 *
 * It never removes an endpoint: failed ones come last, those that failed longest ago first, so that some endpoint is tried even
 * if all have failed. It knows endpoints by address and port, so it remembers them from one DNS answer to the next. It has no timers
 * and no sockets, and needs no `close()`.
 *
 * @example
 * ```ts
 * const balancer = new Balancer({ balancing: 'least-connections' });
 * const { result: socket, endpoint, failures } = await raceEndpoints(balancer.order(endpoints), connect);
 * for (const failure of failures) balancer.failed(failure.endpoint);
 * balancer.succeeded(endpoint);
 * socket.once('close', balancer.connected(endpoint));
 * ```
 */
export class Balancer {
  readonly #balancing: Balancing;
  readonly #failureMemoryMillis: number;
  readonly #clock: Clock;
  readonly #random: Random;
  /** When each endpoint last failed, the oldest first. */
  readonly #failures = new Map<string, number>();
  /** Only contains endpoints with connections. */
  readonly #connections = new Map<string, number>();
  #turn = 0;

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
  constructor(options: BalancerOptions = {}, dependencies: Dependencies = {}) {
    checkOptions(options, {
      balancing: optional(oneOf(...Object.keys(arrange))),
      failureMemoryMillis: optional(aNumber({ least: 0 })),
    });
    const { clock, random } = dependenciesOf(dependencies);
    const { balancing = 'ordered', failureMemoryMillis = defaultFailureMemoryMillis } = ownOptions(options);
    this.#balancing = balancing;
    this.#failureMemoryMillis = failureMemoryMillis;
    this.#clock = clock;
    this.#random = random;
  }

  /** All of `endpoints`, the first choice first. */
  order(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    listOf(anEndpoint)('endpoints', endpoints);
    this.#forgetOldFailures();
    const turn = this.#turn;
    this.#turn = (turn + 1) % Number.MAX_SAFE_INTEGER;
    const connections = (endpoint: Endpoint) => this.#connections.get(keyOf(endpoint)) ?? 0;
    const arranged = arrange[this.#balancing]([...endpoints], { turn, random: this.#random, connections });
    // The sort is stable: endpoints that have not failed keep their places.
    return arranged.sort((one, other) => this.#failedAt(one) - this.#failedAt(other));
  }

  /** Remembers that the endpoint could not be used. */
  failed(endpoint: Endpoint): void {
    anEndpoint('endpoint', endpoint);
    const key = keyOf(endpoint);
    this.#failures.delete(key);
    if (this.#failureMemoryMillis > 0) this.#failures.set(key, this.#clock.now());
  }

  /** Forgets that the endpoint failed. */
  succeeded(endpoint: Endpoint): void {
    anEndpoint('endpoint', endpoint);
    this.#failures.delete(keyOf(endpoint));
  }

  /** Counts a connection until the returned function is called. Calling it again does nothing. */
  connected(endpoint: Endpoint): () => void {
    anEndpoint('endpoint', endpoint);
    const key = keyOf(endpoint);
    this.#connections.set(key, (this.#connections.get(key) ?? 0) + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const left = (this.#connections.get(key) ?? 0) - 1;
      if (left > 0) this.#connections.set(key, left);
      else this.#connections.delete(key);
    };
  }

  #failedAt(endpoint: Endpoint): number {
    return this.#failures.get(keyOf(endpoint)) ?? Number.NEGATIVE_INFINITY;
  }

  #forgetOldFailures(): void {
    const oldest = this.#clock.now() - this.#failureMemoryMillis;
    for (const [key, at] of this.#failures) {
      if (at > oldest) return;
      this.#failures.delete(key);
    }
  }
}

interface Facts {
  readonly turn: number;
  readonly random: Random;
  readonly connections: (endpoint: Endpoint) => number;
}

const arrange: Record<Balancing, (endpoints: Endpoint[], facts: Facts) => Endpoint[]> = {
  ordered: (endpoints) => endpoints,
  random: (endpoints, { random }) => shuffled(endpoints, random),
  // DNS servers shuffle their answers, so turns are only fair over an order of our own.
  'round-robin': (endpoints, { turn }) => {
    const sorted = endpoints.sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
    const start = sorted.length === 0 ? 0 : turn % sorted.length;
    return [...sorted.slice(start), ...sorted.slice(0, start)];
  },
  'least-connections': (endpoints, { random, connections }) =>
    shuffled(endpoints, random).sort((one, other) => connections(one) - connections(other)),
};

/** A uniform shuffle (Fisher and Yates). */
function shuffled(endpoints: readonly Endpoint[], random: Random): Endpoint[] {
  const rest = [...endpoints];
  const result: Endpoint[] = [];
  while (rest.length > 0) result.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return result;
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address} ${endpoint.port}`;
}

const anEndpoint = objectOf({ address: aText, port: aNumber() });

const defaultFailureMemoryMillis = 10_000;
