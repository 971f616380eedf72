import { InvalidArgumentError } from '@externalname/core';
import { anObjectWith, aText, checkOptions, listOf, optional } from '@externalname/core/internal';
import { Counter, Gauge, register as globalRegister, Histogram, type Registry } from 'prom-client';
import { type MetricRow, metrics } from './metrics.ts';
import { Observer, resultOf } from './observer.ts';
import type { FollowerLike, PoolLike } from './payloads.ts';
import type { Cell } from './tally.ts';

/** See {@link collectMetrics}. */
export interface MetricsOptions {
  /** The pools whose gauges are read. More of them by {@link Collection.add}. @defaultValue none */
  pools?: readonly PoolLike[] | undefined;
  /** The followers whose gauges are read. More of them by {@link Collection.addFollower}. @defaultValue none */
  followers?: readonly FollowerLike[] | undefined;
  /** Where the metrics are registered. @defaultValue the default registry of `prom-client` */
  register?: Registry | undefined;
  /** Names within it are hops of the kind `service`, all others are targets. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
}

/** What collects, until it is closed. */
export interface Collection extends Disposable {
  /**
   * Reads the gauges of another pool from now on. Returns the function that ends it: call it when the pool ends.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what has no `status()`
   */
  add(pool: PoolLike): () => void;
  /**
   * Reads the gauges of another follower from now on. Returns the function that ends it: call it when the follower is closed.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what has no `status()`
   */
  addFollower(follower: FollowerLike): () => void;
  /** Ends all subscriptions and takes the metrics out of the registry. Idempotent. */
  close(): void;
}

/**
 * Collects the metrics of all pools of this process for Prometheus. Counters and histograms come from diagnostics channels, whichever
 * pool or follower tells; gauges come from `status()` of the pools and followers that are given. To be called once for a registry.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for options that cannot be used, and for a registry that has these
 * metrics already
 *
 * @example
 * ```ts
 * import { collectMetrics } from '@externalname/prometheus';
 * import { register } from 'prom-client';
 *
 * collectMetrics({ pools: [pool] });
 * app.get('/metrics', async (_, reply) => reply.type(register.contentType).send(await register.metrics()));
 * ```
 */
export function collectMetrics(options: MetricsOptions = {}): Collection {
  checkOptions(options, {
    pools: optional(listOf(anObjectWith('status'))),
    followers: optional(listOf(anObjectWith('status'))),
    register: optional(anObjectWith('registerMetric', 'removeSingleMetric', 'getSingleMetric')),
    clusterDomain: optional(aText),
  });
  const { pools = [], followers = [], register = globalRegister, clusterDomain = 'cluster.local' } = options;
  for (const { name } of rows) {
    if (register.getSingleMetric(name) === undefined) continue;
    throw new InvalidArgumentError(
      'register',
      `has a metric ${name} already: call collectMetrics once for a registry, and add() further pools`,
    );
  }
  const observer = new Observer({
    pools,
    followers,
    clusterDomain,
    operations: {
      row: metrics.operationDuration,
      values: (event) => [event.name, event.operation, resultOf(event)],
    },
  });
  for (const row of rows) {
    const { name, help, labels, buckets = [], several = 'sum' } = row;
    const settings = { name, help, labelNames: [...labels], registers: [register], aggregator: several };
    const metric =
      row.kind === 'histogram' ? new Histogram({ ...settings, buckets: [...buckets] }) : new kinds[row.kind](settings);
    const tally = observer.tallies.get(row);
    // prom-client takes what happens one by one, and hashes its labels each time. Here it is counted already.
    const get = async () => ({
      ...described(metric),
      values: tally === undefined ? observer.readings(row) : [...tally.cells()].flatMap((cell) => samplesOf(row, cell)),
    });
    Object.assign(metric, { get, getForPromString: get, reset: () => tally?.clear() });
  }
  const close = () => {
    observer.close();
    for (const { name } of rows) register.removeSingleMetric(name);
  };
  return {
    add: (pool) => observer.add(pool),
    addFollower: (follower) => observer.addFollower(follower),
    close,
    [Symbol.dispose]: close,
  };
}

// The name is not that of the row: a registry of OpenMetrics takes `_total` away.
function described(metric: object): object {
  const { name, help, type, aggregator } = metric as Readonly<Record<string, unknown>>;
  return { name, help, type, aggregator };
}

function samplesOf({ kind, name, buckets = [] }: MetricRow, cell: Cell): readonly object[] {
  const { labels, count, sum } = cell;
  if (kind === 'counter') return [{ labels, value: count }];
  let upTo = 0;
  const ends = [...buckets, '+Inf'].map((le, index) => {
    upTo += cell.buckets[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: upTo };
  });
  return [
    ...ends,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

const kinds = { counter: Counter, gauge: Gauge };
const rows: readonly MetricRow[] = Object.values(metrics);
