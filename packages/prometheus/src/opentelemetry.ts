import { aBoolean, anObjectWith, aText, checkOptions, listOf, optional } from '@externalname/core/internal';
import {
  type Attributes,
  type MeterProvider,
  type ObservableGauge,
  type ObservableUpDownCounter,
  metrics as otelMetrics,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import type { Collection } from './collector.ts';
import { type MetricRow, metrics } from './metrics.ts';
import { Observer } from './observer.ts';
import { type OperationPayload, type PoolLike, pgChannels } from './payloads.ts';

export type { Collection } from './collector.ts';
export type { PoolLike, PoolStatusLike } from './payloads.ts';

/** See {@link collectTelemetry}. */
export interface TelemetryOptions {
  /** The pools whose gauges are read. More of them by {@link Collection.add}. @defaultValue none */
  pools?: readonly PoolLike[] | undefined;
  /** Where the metrics go. @defaultValue the global one */
  meterProvider?: MeterProvider | undefined;
  /** Where the spans go. @defaultValue the global one */
  tracerProvider?: TracerProvider | undefined;
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
    meterProvider: optional(anObjectWith('getMeter')),
    tracerProvider: optional(anObjectWith('getTracer')),
    spans: optional(aBoolean),
    clusterDomain: optional(aText),
  });
  const { pools = [], spans = true, clusterDomain = 'cluster.local' } = options;
  const { meterProvider = otelMetrics.getMeterProvider(), tracerProvider = trace.getTracerProvider() } = options;
  const meter = meterProvider.getMeter(library);
  const timeouts = meter.createCounter('db.client.connection.timeouts', {
    description: 'Callers whose time was up before they had a connection',
    unit: '{timeout}',
  });
  const write = new Map<MetricRow, (value: number, attributes: Attributes) => void>();
  const observer = new Observer(
    {
      count: (row, labels) => write.get(row)?.(1, attributesOf(row, labels)),
      record: (row, labels, seconds, event) => {
        const attributes = attributesOf(row, labels, event);
        write.get(row)?.(seconds, attributes);
        if (row.name === metrics.waitDuration.name && attributes['error.type'] === 'deadline') {
          timeouts.add(1, { [poolName]: attributes[poolName] });
        }
      },
    },
    { pools, clusterDomain },
  );
  const stops: (() => void)[] = [];
  for (const row of rows) {
    const settings = { description: row.help, unit: unitOf(row) };
    if (row.kind === 'counter') {
      const counter = meter.createCounter(row.otel, settings);
      write.set(row, (value, attributes) => counter.add(value, attributes));
    } else if (row.kind === 'histogram') {
      const advice = { explicitBucketBoundaries: [...(row.buckets ?? [])] };
      const histogram = meter.createHistogram(row.otel, { ...settings, advice });
      write.set(row, (value, attributes) => histogram.record(value, attributes));
    } else {
      const gauge: ObservableGauge | ObservableUpDownCounter =
        row.several === 'sum'
          ? meter.createObservableUpDownCounter(row.otel, settings)
          : meter.createObservableGauge(row.otel, settings);
      const observe: Parameters<typeof gauge.addCallback>[0] = (result) => {
        for (const { labels, value } of observer.readings(row)) result.observe(value, attributesOf(row, labels));
      };
      gauge.addCallback(observe);
      stops.push(() => gauge.removeCallback(observe));
    }
  }
  if (spans) stops.push(...traceSteps(tracerProvider));
  const close = () => {
    observer.close();
    for (const stop of stops.splice(0)) stop();
  };
  return { add: (pool) => observer.add(pool), close, [Symbol.dispose]: close };
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

function attributesOf(row: MetricRow, labels: Readonly<Record<string, string>>, event?: OperationPayload): Attributes {
  const isConvention = row.otel.startsWith('db.');
  const attributes: Attributes = {};
  for (const [label, value] of Object.entries(labels)) {
    if (label === 'pool') attributes[poolName] = value;
    else if (label === 'state') attributes['db.client.connection.state'] = value;
    else if (label === 'result' && isConvention) {
      if (value !== 'ok') attributes['error.type'] = value;
    } else attributes[`externalname.${label}`] = value;
  }
  if (event === undefined) return attributes;
  Object.assign(attributes, postgresql, { 'server.address': event.target ?? event.name });
  if (event.error !== undefined) {
    attributes['error.type'] = errorType(event);
    const state = sqlStateOf(event.error);
    if (state !== undefined) attributes['db.response.status_code'] = state;
  }
  return attributes;
}

function errorType({ error, kind = 'other' }: OperationPayload): string {
  return sqlStateOf(error) ?? kind;
}

function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return typeof code === 'string' && typeof severity === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

function unitOf({ unit, otel }: MetricRow): string {
  if (otel === 'db.client.connection.pending_requests') return '{request}';
  if (otel.startsWith('db.client.connection.') && unit === 'short') return '{connection}';
  return unit === 'short' ? '1' : 's';
}

const library = '@externalname/prometheus';
const poolName = 'db.client.connection.pool.name';
const postgresql = { 'db.system.name': 'postgresql' } as const;
const rows: readonly MetricRow[] = Object.values(metrics);
