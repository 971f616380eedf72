/**
 * What metrics cost: throughput of `pool.query()` with everything on (Prometheus and OpenTelemetry, with spans), beside the same pool
 * with nothing on, in one run in which slices of the two alternate. Prints the median of the ratios of neighbours.
 *
 *   pnpm bench:metrics [--slices=21] [--millis=300] [--with=prometheus|opentelemetry|both]
 */
import { parseArgs } from 'node:util';
import { collectMetrics } from '@externalname/prometheus';
import { collectTelemetry } from '@externalname/prometheus/opentelemetry';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Registry } from 'prom-client';
import { builtPackage } from './built-package.ts';
import { median, Scenario } from './compared-pools.ts';

const { values } = parseArgs({
  options: {
    slices: { type: 'string', default: '21' },
    millis: { type: 'string', default: '300' },
    with: { type: 'string', default: 'both' },
  },
});
const sliceMillis = Number(values.millis);
const { Pool } = await builtPackage('pg');
await using scenario = await Scenario.start();
const pool = scenario.ours({ max: 10 }, Pool);
const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000, exportTimeoutMillis: 500 });
const meterProvider = new MeterProvider({ readers: [reader] });
const register = new Registry();
try {
  const report: Record<string, object> = {};
  for (const concurrency of [1, 10, 64]) report[`select 1, ${concurrency} at once`] = await compare(concurrency);
  console.table(report);
} finally {
  await pool.end();
  await meterProvider.shutdown();
}

async function compare(concurrency: number): Promise<object> {
  await slice(concurrency);
  const ratios: number[] = [];
  for (let index = 0; index < Number(values.slices); index++) {
    // Each goes first in turn.
    const order = index % 2 === 0 ? ([true, false] as const) : ([false, true] as const);
    const perSecond = new Map<boolean, number>();
    for (const on of order) perSecond.set(on, on ? await observed(concurrency) : await slice(concurrency));
    ratios.push((perSecond.get(true) ?? 0) / (perSecond.get(false) ?? 1));
  }
  return { 'with / without': Number(median(ratios).toFixed(3)) };
}

async function observed(concurrency: number): Promise<number> {
  const collections = [
    ...(values.with === 'opentelemetry' ? [] : [collectMetrics({ pools: [pool], register })]),
    ...(values.with === 'prometheus' ? [] : [collectTelemetry({ pools: [pool], meterProvider })]),
  ];
  try {
    const perSecond = await slice(concurrency);
    await register.metrics();
    return perSecond;
  } finally {
    for (const collection of collections) collection.close();
    exporter.reset();
  }
}

async function slice(concurrency: number): Promise<number> {
  const startedAt = performance.now();
  const until = startedAt + sliceMillis;
  let done = 0;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (performance.now() < until) {
        await pool.query('select 1');
        done += 1;
      }
    }),
  );
  return (done / (performance.now() - startedAt)) * 1_000;
}
