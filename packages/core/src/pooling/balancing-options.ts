import type { Clock, Random } from '../clock.ts';
import { aNumber, oneOf, optional } from '../shape.ts';
import { Balancer, type Balancing, type OutlierDetectionOptions } from '../targets/index.ts';

/** How a pool spreads its work over the addresses of its target. */
export interface BalancingOptions {
  /**
   * Which address of the target's name gets a new connection, and which idle connection a caller gets.
   *
   * - `ordered`: addresses as DNS gave them; the connection that was used last.
   * - `random`: any, with equal chances.
   * - `round-robin`: the addresses in turn.
   * - `least-connections`: the one with the fewest connections in use.
   *
   * With all but `ordered`, the pool keeps equally many connections to each address: one that is new or comes back gets its share
   * gradually, and one that cannot be used loses it at once. For a Service. @defaultValue 'ordered'
   */
  balancing?: Balancing | undefined;
  /**
   * When an address whose queries fail or are slow gets no work for a while, if there is another; see `docs/guides/balancing.md`. Errors
   * of SQL do not count, nor does the time for which the application holds a client. `false` turns it off. Has no effect on `ordered`.
   * @defaultValue on, with the defaults of {@link OutlierDetectionOptions}
   */
  outlierDetection?: OutlierDetectionOptions | false | undefined;
  /**
   * How long an address that is new or comes back takes to get its full share. Milliseconds; 0 gives it at once. Has no effect on `ordered`.
   * @defaultValue 10000
   */
  slowStartMillis?: number | undefined;
}

/** Makes the balancer of a pool; `undefined` for `ordered`, which costs nothing. @internal */
export type MakeBalancer = (dependencies: { clock: Clock; random: Random }) => Balancer;

/**
 * Checks the options.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 * @internal
 */
export function balancingSettings(options: BalancingOptions): MakeBalancer | undefined {
  const { balancing = 'ordered', outlierDetection = {}, slowStartMillis = 10_000 } = options;
  oneOf('ordered', 'random', 'round-robin', 'least-connections')('balancing', balancing);
  optional(aNumber({ least: 0, unit: 'milliseconds' }))('slowStartMillis', slowStartMillis);
  const given = { balancing, outlierDetection, slowStartMillis, failureMemoryMillis: Number.POSITIVE_INFINITY };
  // What it refuses is refused here, before anything exists.
  new Balancer(given);
  if (balancing === 'ordered') return undefined;
  return (dependencies) => new Balancer(given, dependencies);
}
