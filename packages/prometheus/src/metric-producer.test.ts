import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { afterEach, describe, expect, it } from 'vitest';
import { createMetricProducer } from './metric-producer.ts';
import { collectTelemetry } from './opentelemetry.ts';
import { pgChannels } from './payloads.ts';

const name = 'webscaler-db';
const closing: { close(): void }[] = [];

afterEach(() => {
  for (const each of closing.splice(0)) each.close();
});

function opened<T extends { close(): void }>(collection: T): T {
  closing.push(collection);
  return collection;
}

const pool = {
  status: () => ({
    name,
    target: { externalName: 'primary-db.example.com', source: 'dns', stale: false },
    candidate: undefined,
    refusal: undefined,
    serving: true,
    servedMillisAgo: undefined,
    targetMillis: undefined,
    confirmedMillisAgo: undefined,
    max: 10,
    waiting: 1,
    connections: [{ role: 'primary', state: 'idle', count: 3 }],
    readySessions: {},
  }),
};

function happen(): void {
  const call = { name, operation: 'query', attempts: 1, target: 'primary-db.example.com' };
  for (const durationMillis of [0, 1, 1.5, 40, 11_000])
    pgChannels.operationEnded.publish(() => ({ ...call, durationMillis }));
  const duplicate = Object.assign(new Error('duplicate key'), { code: '23505', severity: 'ERROR' });
  pgChannels.operationEnded.publish(() => ({ ...call, durationMillis: 2, error: duplicate, kind: 'statement' }));
  pgChannels.waited.publish(() => ({ name, durationMillis: 500, error: new Error('late'), kind: 'deadline' }));
  pgChannels.switched.publish(() => ({ name, from: 'a', to: 'b', source: 'dns', decisionMillis: 40 }));
}

/** What a reader exports, by name. */
async function exportedBy(metricProducers: MetricProducer[], act: (provider: MeterProvider) => void) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000, metricProducers });
  const provider = new MeterProvider({ readers: [reader] });
  try {
    act(provider);
    await provider.forceFlush();
    const scopes = exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
    return new Map(scopes.flatMap(({ metrics }) => metrics).map((metric) => [metric.descriptor.name, metric]));
  } finally {
    await provider.shutdown();
  }
}

function facts({ descriptor, dataPoints, ...rest }: MetricData) {
  const { name: called, description, unit, valueType } = descriptor;
  const points = dataPoints.map(({ attributes, value }) => {
    if (typeof value === 'number') return { attributes, value };
    const { count, sum, buckets } = value as { count: number; sum: number; buckets: object };
    return { attributes, value: { count, sum, buckets } };
  });
  return { ...rest, descriptor: { name: called, description, unit, valueType }, points };
}

describe('createMetricProducer()', () => {
  it('has for a reader what the SDK makes of the same events', async () => {
    const produced = opened(createMetricProducer({ pools: [pool] }));
    const sdk = await exportedBy([], (meterProvider) => {
      opened(collectTelemetry({ pools: [pool], meterProvider, spans: false }));
      happen();
    });
    const ours = await exportedBy([produced], () => undefined);
    expect(sdk.size).toBeGreaterThan(10);
    for (const [called, metric] of sdk) {
      const own = ours.get(called);
      expect(own && facts(own), called).toEqual(facts(metric));
    }
    expect([...ours.keys()].sort()).toEqual([...sdk.keys()].sort());
  });

  it('counts from the beginning, or from the last collection', async () => {
    const calls = (metrics: ReadonlyMap<string, MetricData>) =>
      metrics.get('db.client.operation.duration')?.dataPoints.map(({ value }) => (value as { count: number }).count);
    const cumulative = opened(createMetricProducer());
    const delta = opened(createMetricProducer({ temporality: 'delta' }));
    const both = async (): Promise<unknown[]> => [
      calls(await exportedBy([cumulative], () => undefined)),
      calls(await exportedBy([delta], () => undefined)),
    ];
    happen();
    expect(await both()).toEqual([
      [5, 1],
      [5, 1],
    ]);
    happen();
    expect(await both()).toEqual([
      [10, 2],
      [5, 1],
    ]);
    expect(await both()).toEqual([[10, 2], undefined]);
  });

  it('ends its subscriptions when it is closed', () => {
    createMetricProducer().close();
    expect(pgChannels.operationEnded.hasSubscribers).toBe(false);
  });
});
