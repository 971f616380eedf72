import { aBoolean, anObjectWith, checkOptions, optional } from '@externalname/core/internal';
import {
  type Attributes,
  type Meter,
  type MeterProvider,
  type ObservableResult,
  metrics as otelMetrics,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import { attributesOf, type Instrument, instrumentsOf, library, poolName, postgresql } from './conventions.ts';
import { type Collection, type CollectionOptions, collectionShapes, Observer } from './observer.ts';
import { pgChannels } from './payloads.ts';
import { sqlStateOf } from './reasons.ts';
import type { Cell } from './tally.ts';

export type { Collection, CollectionOptions } from './observer.ts';
export type { BalancedStatusLike, FollowerLike, FollowerStatusLike, PoolLike, PoolStatusLike } from './payloads.ts';

/** See {@link collectTelemetry}. */
export interface TelemetryOptions extends CollectionOptions {
  /** Where the metrics go. @defaultValue the global one */
  meterProvider?: MeterProvider | undefined;
  /** Where the spans go. @defaultValue the global one */
  tracerProvider?: TracerProvider | undefined;
  /** Whether metrics are sent. Not if a `MetricReader` gets them from `createMetricProducer()`. @defaultValue true */
  metrics?: boolean | undefined;
  /** Whether spans are made. @defaultValue true */
  spans?: boolean | undefined;
}

/**
 * Hands the metrics of all pools of this process to OpenTelemetry, and makes spans of what they do on their way to a server:
 * `externalname.resolve`, `externalname.connect`, `externalname.switch`, `externalname.drain`, `externalname.retry`. A span is the child
 * of what was active where it happened.
 *
 * Where the semantic conventions have a name, it is theirs: `db.client.connection.*`, `db.client.operation.duration`. Several pools of
 * one name are one series, with the sum of their connections. `@opentelemetry/instrumentation-pg` reports metrics of the same names:
 * use one of the two for metrics.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for options that cannot be used
 *
 * @example
 * ```ts
 * import { collectTelemetry } from '@externalname/prometheus/opentelemetry';
 *
 * const telemetry = collectTelemetry({ pools: [pool] });
 * ```
 */
export function collectTelemetry(options: TelemetryOptions = {}): Collection {
  checkOptions(options, {
    ...collectionShapes,
    meterProvider: optional(anObjectWith('getMeter')),
    tracerProvider: optional(anObjectWith('getTracer')),
    metrics: optional(aBoolean),
    spans: optional(aBoolean),
  });
  const { metrics = true, spans = true } = options;
  const { meterProvider = otelMetrics.getMeterProvider(), tracerProvider = trace.getTracerProvider() } = options;
  const observer = new Observer(options, 'allLabels');
  if (metrics) {
    const meter = meterProvider.getMeter(library);
    for (const instrument of instrumentsOf(observer)) send(instrument, meter, observer);
  } else observer.close();
  if (spans) observer.stops.push(...traceSteps(tracerProvider));
  return observer;
}

/** Has an instrument of the API read, or told. */
function send({ name, kind, row, read, ...settings }: Instrument, meter: Meter, observer: Observer): void {
  if (kind === 'histogram') {
    // The API takes the values of a histogram one by one alone.
    const advice = { explicitBucketBoundaries: [...(row.buckets ?? [])] };
    const histogram = meter.createHistogram(name, { ...settings, advice });
    const known = new WeakMap<Cell, Attributes>();
    observer.hear(row, (cell, seconds) => {
      const attributes = known.get(cell) ?? attributesOf(row, cell);
      known.set(cell, attributes);
      histogram.record(seconds, attributes);
    });
    return;
  }
  const create = {
    counter: 'createObservableCounter',
    sum: 'createObservableUpDownCounter',
    gauge: 'createObservableGauge',
  } as const;
  const instrument = meter[create[kind]](name, settings);
  const observe = (result: ObservableResult) => {
    for (const { sum, attributes } of read()) result.observe(sum, attributes);
  };
  instrument.addCallback(observe);
  observer.stops.push(() => instrument.removeCallback(observe));
}

// Events tell of what is over: a span begins as long ago as it took.
function traceSteps(provider: TracerProvider): readonly (() => void)[] {
  const tracer = provider.getTracer(library);
  const span = (name: string, millis: number, attributes: Attributes, failure?: Failure, kind = SpanKind.INTERNAL) => {
    const endTime = Date.now();
    const made = tracer.startSpan(`externalname.${name}`, { startTime: endTime - millis, attributes, kind });
    if (failure !== undefined) {
      const { type, ...status } = failure;
      made.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR, ...status });
    }
    made.end(endTime);
  };
  return [
    pgChannels.stepTaken.subscribe(({ name, event, target, address, millis = 0, code = 'other', message }) => {
      const place = { [poolName]: name, 'server.address': target, 'network.peer.address': address };
      const failure = message === undefined ? undefined : { type: code, message };
      if (event === 'resolve') span(event, millis, place, failure);
      if (event === 'connect') span(event, millis, { ...place, ...postgresql }, failure, SpanKind.CLIENT);
    }),
    pgChannels.switched.subscribe(({ name, from, to, source, decisionMillis }) => {
      const attributes = { 'externalname.from': from, 'externalname.source': source };
      span('switch', decisionMillis, { [poolName]: name, 'server.address': to, ...attributes });
    }),
    pgChannels.drained.subscribe(({ name, durationMillis }) => span('drain', durationMillis, { [poolName]: name })),
    pgChannels.operationEnded.subscribe((event) => {
      const { name, attempts, retriedMillis, target = name, operation, error, kind = 'other' } = event;
      if (retriedMillis === undefined) return;
      const place = { ...postgresql, [poolName]: name, 'server.address': target };
      const attributes = { ...place, 'externalname.attempts': attempts, 'externalname.operation': operation };
      span('retry', retriedMillis, attributes, error === undefined ? undefined : { type: sqlStateOf(error) ?? kind });
    }),
  ];
}

/** Of a span: what failed, and in which words. */
type Failure = Readonly<{ type: string; message?: string }>;
