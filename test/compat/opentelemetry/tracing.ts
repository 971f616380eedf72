// What an application loads before all else, by `node --import ./tracing.ts`. The test asks for what was recorded.
import { context, metrics, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, type Span, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { answer } from './commands.ts';

const begun: Span[] = [];
const recorder: SpanProcessor = {
  onStart: (span) => void begun.push(span),
  onEnd: () => undefined,
  forceFlush: async () => undefined,
  shutdown: async () => undefined,
};
const measurements = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: measurements });

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [recorder] }));
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
registerInstrumentations({ instrumentations: [new PgInstrumentation()] });

const names = new Map<string, string>();

answer({
  /** The spans since the last question, in the order in which they began. */
  spans() {
    const spans = begun.splice(0);
    for (const span of spans) names.set(span.spanContext().spanId, span.name);
    return spans.map((span) => ({
      name: span.name,
      parent: names.get(span.parentSpanContext?.spanId ?? '') ?? null,
      host: span.attributes['server.address'] ?? null,
      failed: span.status.code === SpanStatusCode.ERROR,
    }));
  },
  /** What is known of the pool's connections. */
  async connections() {
    await reader.forceFlush();
    const latest =
      measurements
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? [];
    return latest
      .filter(({ descriptor }) => descriptor.name.startsWith('db.client.connection.'))
      .flatMap(({ descriptor, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => ({
          name: [descriptor.name.slice('db.client.connection.'.length), attributes['db.client.connection.state']]
            .filter((part) => part !== undefined)
            .join(' '),
          pool: attributes['db.client.connection.pool.name'],
          value,
        })),
      );
  },
});
