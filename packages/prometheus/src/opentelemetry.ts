import { aBoolean, anObjectWith, aText, checkOptions, listOf, optional } from '@externalname/core/internal';
import {
  type Attributes,
  type MeterProvider,
  type ObservableResult,
  metrics as otelMetrics,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import type { Collection } from './collector.ts';
import { attributesOf, errorType, library, observePools, poolName, postgresql } from './conventions.ts';
import { type FollowerLike, type PoolLike, pgChannels } from './payloads.ts';
import type { Cell } from './tally.ts';

export type { Collection } from './collector.ts';
export type { FollowerLike, FollowerStatusLike, PoolLike, PoolStatusLike } from './payloads.ts';

/** See {@link collectTelemetry}. */
export interface TelemetryOptions {
  /** The pools whose gauges are read. More of them by {@link Collection.add}. @defaultValue none */
  pools?: readonly PoolLike[] | undefined;
  /** The followers whose gauges are read. More of them by {@link Collection.addFollower}. @defaultValue none */
  followers?: readonly FollowerLike[] | undefined;
  /** Where the metrics go. @defaultValue the global one */
  meterProvider?: MeterProvider | undefined;
  /** Where the spans go. @defaultValue the global one */
  tracerProvider?: TracerProvider | undefined;
  /** Whether metrics are sent. Not if a `MetricReader` gets them from `createMetricProducer()`. @defaultValue true */
  metrics?: boolean | undefined;
  /** Whether spans are made. @defaultValue true */
  spans?: boolean | undefined;
  /** Names within it are hops of the kind `service`, all others are targets. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
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
    pools: optional(listOf(anObjectWith('status'))),
    followers: optional(listOf(anObjectWith('status'))),
    meterProvider: optional(anObjectWith('getMeter')),
    tracerProvider: optional(anObjectWith('getTracer')),
    metrics: optional(aBoolean),
    spans: optional(aBoolean),
    clusterDomain: optional(aText),
  });
  const { pools = [], followers = [], metrics = true, spans = true, clusterDomain = 'cluster.local' } = options;
  const { meterProvider = otelMetrics.getMeterProvider(), tracerProvider = trace.getTracerProvider() } = options;
  const { observer, readable, histograms } = observePools(
    metrics ? pools : [],
    metrics ? followers : [],
    clusterDomain,
  );
  const stops = spans ? [...traceSteps(tracerProvider)] : [];
  if (metrics) {
    const meter = meterProvider.getMeter(library);
    for (const { name, kind, read, ...settings } of readable) {
      const instrument =
        kind === 'counter'
          ? meter.createObservableCounter(name, settings)
          : kind === 'sum'
            ? meter.createObservableUpDownCounter(name, settings)
            : meter.createObservableGauge(name, settings);
      const observe = (result: ObservableResult) => {
        for (const [value, attributes] of read()) result.observe(value, attributes);
      };
      instrument.addCallback(observe);
      stops.push(() => instrument.removeCallback(observe));
    }
    for (const { name, row, tally, ...settings } of histograms) {
      // The API takes the values of a histogram one by one alone.
      const advice = { explicitBucketBoundaries: [...(row.buckets ?? [])] };
      const histogram = meter.createHistogram(name, { ...settings, advice });
      const known = new WeakMap<Cell, Attributes>();
      tally.heard = (cell, seconds) => {
        const attributes = known.get(cell) ?? attributesOf(row, cell.labels);
        known.set(cell, attributes);
        histogram.record(seconds, attributes);
      };
    }
  } else observer.close();
  const close = () => {
    observer.close();
    for (const stop of stops.splice(0)) stop();
  };
  return {
    add: (pool) => observer.add(pool),
    addFollower: (follower) => observer.addFollower(follower),
    close,
    [Symbol.dispose]: close,
  };
}

// Events tell of what is over: a span begins as long ago as it took.
function traceSteps(provider: TracerProvider): readonly (() => void)[] {
  const tracer = provider.getTracer(library);
  const span = (
    name: string,
    millis: number,
    attributes: Attributes,
    failure?: { readonly type: string; readonly message?: string | undefined },
    kind = SpanKind.INTERNAL,
  ) => {
    const endTime = Date.now();
    const made = tracer.startSpan(`externalname.${name}`, { startTime: endTime - millis, kind, attributes });
    if (failure !== undefined) {
      made.setAttribute('error.type', failure.type);
      made.setStatus({ code: SpanStatusCode.ERROR, ...(failure.message && { message: failure.message }) });
    }
    made.end(endTime);
  };
  return [
    pgChannels.stepTaken.subscribe(({ name, event, target, address, millis = 0, code, message }) => {
      if (event !== 'resolve' && event !== 'connect') return;
      const attributes = {
        [poolName]: name,
        ...(target !== undefined && { 'server.address': target }),
        ...(address !== undefined && { 'network.peer.address': address }),
        ...(event === 'connect' && postgresql),
      };
      const failure = message === undefined ? undefined : { type: code ?? 'other', message };
      span(event, millis, attributes, failure, event === 'connect' ? SpanKind.CLIENT : SpanKind.INTERNAL);
    }),
    pgChannels.switched.subscribe(({ name, from, to, source, decisionMillis }) => {
      const attributes = { 'externalname.from': from, 'externalname.source': source };
      span('switch', decisionMillis, { [poolName]: name, 'server.address': to, ...attributes });
    }),
    pgChannels.drained.subscribe(({ name, durationMillis }) => span('drain', durationMillis, { [poolName]: name })),
    pgChannels.operationEnded.subscribe((event) => {
      const { name, attempts, retriedMillis, target = name, operation, error } = event;
      if (retriedMillis === undefined) return;
      const attributes = { 'externalname.attempts': attempts, 'externalname.operation': operation };
      const failure = error === undefined ? undefined : { type: errorType(event) };
      span(
        'retry',
        retriedMillis,
        { ...postgresql, [poolName]: name, 'server.address': target, ...attributes },
        failure,
      );
    }),
  ];
}
