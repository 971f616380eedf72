import { aBoolean, anObjectWith, aText, checkOptions, listOf, optional } from '@externalname/core/internal';
import {
  type Attributes,
  type MeterProvider,
  type Observable,
  metrics as otelMetrics,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import type { Collection } from './collector.ts';
import { type MetricRow, metrics, type ValuesOf } from './metrics.ts';
import { Observer } from './observer.ts';
import { type OperationPayload, type PoolLike, pgChannels } from './payloads.ts';
import type { Cell } from './tally.ts';

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
  const observer = new Observer({ pools, clusterDomain, operations: { row: callRow, values: factsOfCall } });
  const stops: (() => void)[] = [];
  const observe = (instrument: Observable, read: Parameters<Observable['addCallback']>[0]) => {
    instrument.addCallback(read);
    stops.push(() => instrument.removeCallback(read));
  };
  for (const row of rows) {
    const settings = { description: row.help, unit: unitOf(row) };
    const tally = observer.tallies.get(row);
    if (tally === undefined) {
      const gauge =
        row.several === 'sum'
          ? meter.createObservableUpDownCounter(row.otel, settings)
          : meter.createObservableGauge(row.otel, settings);
      observe(gauge, (result) => {
        for (const { labels, value } of observer.readings(row)) result.observe(value, attributesOf(row, labels));
      });
    } else if (row.kind === 'counter') {
      observe(meter.createObservableCounter(row.otel, settings), (result) => {
        for (const { labels, count } of tally.cells()) result.observe(count, attributesOf(row, labels));
      });
    } else {
      // The API takes the values of a histogram one by one alone.
      const advice = { explicitBucketBoundaries: [...(row.buckets ?? [])] };
      const histogram = meter.createHistogram(row.otel, { ...settings, advice });
      const attributes = new WeakMap<Cell, Attributes>();
      tally.heard = (cell, seconds) => {
        let own = attributes.get(cell);
        if (own === undefined) {
          own = attributesOf(row, cell.labels);
          attributes.set(cell, own);
        }
        histogram.record(seconds, own);
      };
    }
  }
  const timeouts = meter.createObservableCounter('db.client.connection.timeouts', {
    description: 'Callers whose time was up before they had a connection',
    unit: '{timeout}',
  });
  observe(timeouts, (result) => {
    for (const { labels, count } of observer.tallies.get(metrics.waitDuration)?.cells() ?? []) {
      if (labels['result'] === 'deadline') result.observe(count, { [poolName]: labels['pool'] });
    }
  });
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

function attributesOf({ otel }: MetricRow, labels: Readonly<Record<string, string>>): Attributes {
  const isConvention = otel.startsWith('db.');
  const attributes: Attributes = otel === callRow.otel ? { ...postgresql } : {};
  for (const [label, value] of Object.entries(labels)) {
    if (isConvention && label === 'result') {
      if (value !== 'ok') attributes['error.type'] = value;
    } else if (value !== '') attributes[conventions[label] ?? `externalname.${label}`] = value;
  }
  return attributes;
}

function factsOfCall(event: OperationPayload): ValuesOf<typeof callRow> {
  const { name, operation, target = name, error } = event;
  if (error === undefined) return [name, operation, 'ok', target, ''];
  return [name, operation, errorType(event), target, sqlStateOf(error) ?? ''];
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
const conventions: Readonly<Record<string, string>> = {
  pool: poolName,
  state: 'db.client.connection.state',
  server: 'server.address',
  status: 'db.response.status_code',
};
const postgresql = { 'db.system.name': 'postgresql' } as const;
// The conventions want to know more of a call.
const callRow = {
  ...metrics.operationDuration,
  labels: [...metrics.operationDuration.labels, 'server', 'status'],
} as const;
const rows: readonly MetricRow[] = Object.values({ ...metrics, operationDuration: callRow });
