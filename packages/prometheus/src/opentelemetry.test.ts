import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Collection, collectTelemetry } from './opentelemetry.ts';
import { followerChannels, pgChannels } from './payloads.ts';

const finished = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(finished)] });
let exporter: InMemoryMetricExporter;
let meterProvider: MeterProvider;
let telemetry: Collection;

beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()));
afterAll(() => context.disable());

beforeEach(() => {
  finished.reset();
  exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  meterProvider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
  });
  telemetry = collectTelemetry({ meterProvider, tracerProvider });
});

afterEach(async () => {
  telemetry.close();
  await meterProvider.shutdown();
});

/** What was exported, by name. */
async function exported(): Promise<Record<string, { unit: string; points: DataPoint<unknown>[] }>> {
  await meterProvider.forceFlush();
  const scopes = exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
  const all = scopes.flatMap(({ metrics }) => metrics);
  return Object.fromEntries(
    all.map(({ descriptor, dataPoints }) => [descriptor.name, { unit: descriptor.unit, points: [...dataPoints] }]),
  );
}

function pool(name: string, idle: number) {
  return {
    status: () => ({
      name,
      target: undefined,
      candidate: undefined,
      refusal: undefined,
      serving: true,
      servedMillisAgo: undefined,
      targetMillis: undefined,
      confirmedMillisAgo: undefined,
      max: 10,
      waiting: 1,
      connections: [{ role: 'primary', state: 'idle', count: idle }],
      readySessions: {},
    }),
  };
}

describe('metrics', () => {
  it('of a follower have the same values as for Prometheus', async () => {
    telemetry.addFollower({
      status: () => ({
        service: 'webscaler-db',
        engineName: 'patroni demo',
        engineHeardMillisAgo: 3_000,
        engine: { state: 'leader', member: 'db-1' },
        holdsLease: true,
        settled: false,
        hold: { reason: 'not-writable' },
      }),
    });
    const of = { engine: 'patroni demo', service: 'webscaler-db' };
    followerChannels.switched.publish(() => ({ ...of, elapsedMillis: 150, dryRun: false }));
    const all = await exported();
    const attributes = { 'externalname.external_service': 'webscaler-db', 'externalname.engine': 'patroni demo' };
    const pointsOf = (name: string) => all[name]?.points.map((point) => [point.attributes, point.value]);
    expect(pointsOf('externalname.follower.leader')).toEqual([[{ ...attributes, 'externalname.member': 'db-1' }, 1]]);
    expect(pointsOf('externalname.follower.holding')).toEqual([
      [{ ...attributes, 'externalname.reason': 'not-writable' }, 1],
    ]);
    expect(pointsOf('externalname.follower.lease_held')).toEqual([
      [{ 'externalname.external_service': 'webscaler-db' }, 1],
    ]);
    expect(pointsOf('externalname.follower.switches')).toContainEqual([
      { ...attributes, 'externalname.result': 'switched' },
      1,
    ]);
    expect(all['externalname.follower.engine.heard']?.unit).toBe('s');
    expect(all['externalname.follower.switch.duration']?.points[0]?.value).toMatchObject({ count: 1, sum: 0.15 });
  });

  it('have the names, units and attributes of the semantic conventions, and add up over pools of one name', async () => {
    telemetry.add(pool('webscaler-db', 3));
    telemetry.add(pool('webscaler-db', 4));
    telemetry.add(pool('other-db', 1));
    const all = await exported();
    expect(all['db.client.connection.count']).toMatchObject({
      unit: '{connection}',
      points: [
        {
          value: 7,
          attributes: {
            'db.client.connection.pool.name': 'webscaler-db',
            'db.client.connection.state': 'idle',
            'externalname.role': 'primary',
          },
        },
        { value: 1, attributes: { 'db.client.connection.pool.name': 'other-db' } },
      ],
    });
    expect(all['db.client.connection.pending_requests']).toMatchObject({
      unit: '{request}',
      points: [{ value: 2 }, {}],
    });
    expect(all['db.client.connection.max']).toMatchObject({ points: [{ value: 20 }, { value: 10 }] });
  });

  it('record operations with their target and error, and callers whose time was up', async () => {
    const name = 'webscaler-db';
    const call = { name, operation: 'query', durationMillis: 20, attempts: 1, target: 'primary-db.example.com' };
    pgChannels.operationEnded.publish(() => call);
    const duplicate = Object.assign(new Error('duplicate key'), { code: '23505', severity: 'ERROR' });
    pgChannels.operationEnded.publish(() => ({ ...call, error: duplicate, kind: 'statement' }));
    pgChannels.waited.publish(() => ({ name, durationMillis: 500, error: new Error('late'), kind: 'deadline' }));
    pgChannels.connected.publish(() => ({ name, target: 'primary-db.example.com', durationMillis: 30 }));
    const all = await exported();
    const common = { 'db.system.name': 'postgresql', 'server.address': 'primary-db.example.com' };
    expect(all['db.client.operation.duration']).toMatchObject({
      unit: 's',
      points: [
        { attributes: common, value: { sum: 0.02 } },
        { attributes: { ...common, 'error.type': '23505', 'db.response.status_code': '23505' } },
      ],
    });
    expect(all['db.client.connection.timeouts']).toMatchObject({ points: [{ value: 1 }] });
    expect(all['db.client.connection.wait_time']).toMatchObject({ points: [{ value: { sum: 0.5 } }] });
    expect(all['db.client.connection.create_time']).toMatchObject({ points: [{ value: { sum: 0.03 } }] });
  });
});

describe('metrics: false', () => {
  it('leaves the metrics to another, and makes spans', async () => {
    telemetry.close();
    telemetry = collectTelemetry({ meterProvider, tracerProvider, metrics: false, pools: [pool('webscaler-db', 3)] });
    pgChannels.drained.publish(() => ({ name: 'webscaler-db', durationMillis: 1 }));
    expect(await exported()).toEqual({});
    expect(finished.getFinishedSpans()).toMatchObject([{ name: 'externalname.drain' }]);
  });
});

describe('spans', () => {
  it('tell of resolve, connect, switch, drain and retry, as children of what was active', () => {
    const name = 'webscaler-db';
    const request = tracerProvider.getTracer('test').startSpan('request');
    const step = { name, target: 'primary-db.example.com' };
    context.with(trace.setSpan(context.active(), request), () => {
      pgChannels.stepTaken.publish(() => ({ ...step, event: 'resolve', millis: 3 }));
      const refused = { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' };
      pgChannels.stepTaken.publish(() => ({
        ...step,
        event: 'connect',
        address: '10.0.0.1:5432',
        millis: 7,
        ...refused,
      }));
      pgChannels.switched.publish(() => ({ name, from: 'a', to: 'b', source: 'dns', decisionMillis: 40 }));
      pgChannels.drained.publish(() => ({ name, durationMillis: 250 }));
      const call = { name, operation: 'query', durationMillis: 600, attempts: 3, retriedMillis: 500 };
      pgChannels.operationEnded.publish(() => call);
    });
    request.end();
    const spans = finished.getFinishedSpans().filter((span) => span.name !== 'request');
    expect(
      spans.map((span) => [span.name, Math.round(span.duration[0] * 1_000 + span.duration[1] / 1e6), span.status.code]),
    ).toEqual([
      ['externalname.resolve', 3, 0],
      ['externalname.connect', 7, 2],
      ['externalname.switch', 40, 0],
      ['externalname.drain', 250, 0],
      ['externalname.retry', 500, 0],
    ]);
    for (const span of spans) expect(span.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
    expect(spans[1]?.attributes).toMatchObject({
      'network.peer.address': '10.0.0.1:5432',
      'error.type': 'ECONNREFUSED',
    });
  });

  it('can be left out', () => {
    telemetry.close();
    telemetry = collectTelemetry({ meterProvider, tracerProvider, spans: false });
    pgChannels.drained.publish(() => ({ name: 'webscaler-db', durationMillis: 1 }));
    expect(finished.getFinishedSpans()).toEqual([]);
  });
});

describe('close()', () => {
  it('ends every subscription', () => {
    telemetry.close();
    expect(Object.values(pgChannels).filter((channel) => channel.hasSubscribers)).toEqual([]);
    telemetry.close();
  });
});
