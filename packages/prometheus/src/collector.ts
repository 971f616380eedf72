import { InvalidArgumentError } from '@externalname/core';
import { anObjectWith, checkOptions, optional } from '@externalname/core/internal';
import { register as globalRegister, type Metric as PrometheusMetric, type Registry } from 'prom-client';
import { rows } from './metrics.ts';
import { type Collection, type CollectionOptions, collectionShapes, Observer } from './observer.ts';
import type { Metric } from './rows.ts';
import type { Cell } from './tally.ts';

/** See {@link collectMetrics}. */
export interface MetricsOptions extends CollectionOptions {
  /** Where the metrics are registered. @defaultValue the default registry of `prom-client` */
  register?: Registry | undefined;
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
  const register = optional(anObjectWith('registerMetric', 'removeSingleMetric', 'getSingleMetric'));
  checkOptions(options, { ...collectionShapes, register });
  const { register: registry = globalRegister } = options;
  const taken = rows.find(({ name }) => registry.getSingleMetric(name) !== undefined);
  if (taken !== undefined) {
    const advice = 'call collectMetrics once for a registry, and add() further pools';
    throw new InvalidArgumentError('register', `has a metric ${taken.name} already: ${advice}`);
  }
  const observer = new Observer(options, 'labels');
  for (const row of rows) {
    const { name, help, kind: type, several: aggregator = 'sum' } = row;
    // prom-client would take what happens one by one, and hash its labels each time. Here it is counted already.
    const metric = {
      ...{ name, help, type, aggregator },
      async get() {
        const values = observer.read(row).flatMap((cell) => samplesOf(row, cell));
        // A registry of OpenMetrics takes `_total` from the name.
        return { name: this.name, help, type, aggregator, values };
      },
      reset: () => observer.clear(row),
    };
    registry.registerMetric(metric as unknown as PrometheusMetric);
    observer.stops.push(() => registry.removeSingleMetric(name));
  }
  return observer;
}

function samplesOf({ kind, name, buckets = [] }: Metric, { labels, count, sum, ...cell }: Cell): readonly object[] {
  if (kind !== 'histogram') return [{ labels, value: sum }];
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
