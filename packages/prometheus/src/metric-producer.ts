import { checkOptions, oneOf, optional } from '@externalname/core/internal';
import { type HrTime, ValueType } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import { type Instrument, instrumentsOf, library } from './conventions.ts';
import { rows } from './metrics.ts';
import { type Collection, type CollectionOptions, collectionShapes, Observer } from './observer.ts';

export type { Collection, CollectionOptions } from './observer.ts';
export type { BalancedStatusLike, FollowerLike, FollowerStatusLike, PoolLike, PoolStatusLike } from './payloads.ts';

/** See {@link createMetricProducer}. */
export interface MetricProducerOptions extends CollectionOptions {
  /** What counters and histograms count from: the beginning, or the last collection, for one reader only. @defaultValue `cumulative` */
  temporality?: 'cumulative' | 'delta' | undefined;
}

/** Metrics for the `metricProducers` of a `MetricReader`, until it is closed. */
export interface ProducedMetrics extends Collection, MetricProducer {}

/**
 * Counts the metrics of all pools of this process, and has them ready for a `MetricReader` of `@opentelemetry/sdk-metrics`: the same as
 * {@link collectTelemetry} sends, without the work of the SDK for each call. The API of OpenTelemetry takes the values of a histogram
 * one by one, and the SDK hashes the attributes of each, which takes longer than all else that is measured here.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for options that cannot be used
 *
 * @example
 * ```ts
 * import { createMetricProducer } from '@externalname/prometheus/metric-producer';
 * import { PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
 *
 * const produced = createMetricProducer({ pools: [pool] });
 * const reader = new PeriodicExportingMetricReader({ exporter, metricProducers: [produced] });
 * ```
 */
export function createMetricProducer(options: MetricProducerOptions = {}): ProducedMetrics {
  checkOptions(options, { ...collectionShapes, temporality: optional(oneOf('cumulative', 'delta')) });
  const observer = new Observer(options, 'allLabels');
  const instruments = instrumentsOf(observer);
  const isDelta = options.temporality === 'delta';
  let startTime = timeNow();
  const collect = async (): Promise<CollectionResult> => {
    const endTime = timeNow();
    const all = instruments.map((instrument) => dataOf(instrument, isDelta, { startTime, endTime }));
    const metrics = all.filter(({ dataPoints }) => dataPoints.length > 0);
    if (isDelta) {
      for (const row of rows) observer.clear(row);
      startTime = endTime;
    }
    return { resourceMetrics: { resource, scopeMetrics: [{ scope: { name: library }, metrics }] }, errors: [] };
  };
  return Object.assign(observer, { collect });
}

function dataOf(
  { kind, name, description, unit, row, read }: Instrument,
  isDelta: boolean,
  at: { readonly startTime: HrTime; readonly endTime: HrTime },
): MetricData {
  // A sum that goes up and down is what it is, whatever counters count from.
  const { DELTA, CUMULATIVE } = AggregationTemporality;
  const data = {
    descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: isDelta && (kind === 'counter' || kind === 'histogram') ? DELTA : CUMULATIVE,
  };
  if (kind === 'histogram') {
    const boundaries = [...(row.buckets ?? [])];
    const dataPoints = read().map(({ attributes, count, sum, buckets: counts }) => {
      return { ...at, attributes, value: { count, sum, buckets: { boundaries, counts } } };
    });
    return { ...data, dataPoints, dataPointType: DataPointType.HISTOGRAM };
  }
  const dataPoints = read().map(({ sum, attributes }) => ({ ...at, attributes, value: sum }));
  if (kind === 'gauge') return { ...data, dataPoints, dataPointType: DataPointType.GAUGE };
  return { ...data, dataPoints, dataPointType: DataPointType.SUM, isMonotonic: kind === 'counter' };
}

function timeNow(): HrTime {
  const millis = Date.now();
  return [Math.trunc(millis / 1_000), (millis % 1_000) * 1_000_000];
}

// A reader takes that of its SDK.
const resource: CollectionResult['resourceMetrics']['resource'] = {
  attributes: {},
  merge: (other) => other ?? resource,
  getRawAttributes: () => [],
};
