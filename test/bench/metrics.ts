/**
 * What metrics cost: throughput of `pool.query('select 1')` on loopback with ten connections, with a part of them on, beside the same
 * pool with nothing on. Slices of the two alternate; printed is the median of the ratios of neighbours, and the middle half of them.
 *
 *   pnpm bench:metrics [--slices=31] [--millis=300] [--with=nothing|prometheus|api|metrics|spans|all]
 *
 * Each part is measured in a process of its own, as it is built, and not by its sources through a loader. `nothing` compares the pool with
 * itself: how far that is from 1 is how little the others can say.
 */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import { Registry } from 'prom-client';
import { builtPackage } from './built-package.ts';
import { median, Scenario } from './compared-pools.ts';

const parts = {
  nothing: 'nothing (how exact this is)',
  prometheus: 'Prometheus',
  api: 'OpenTelemetry, no SDK registered',
  metrics: 'OpenTelemetry, metrics of the SDK',
  spans: 'OpenTelemetry, spans of the SDK',
  all: 'all: Prometheus, metrics and spans of the SDK',
} as const;
type Part = keyof typeof parts;

const { values } = parseArgs({
  options: {
    slices: { type: 'string', default: '31' },
    millis: { type: 'string', default: '300' },
    with: { type: 'string' },
  },
});
const sliceMillis = Number(values.millis);

if (values.with === undefined) {
  const report: Record<string, object> = {};
  for (const part of Object.keys(parts) as Part[]) report[parts[part]] = inItsOwnProcess(part);
  console.log(
    `Node ${process.version}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; ` +
      `${values.slices} pairs of slices of ${values.millis} ms`,
  );
  console.table(report);
} else {
  console.log(JSON.stringify(await measure(values.with as Part)));
}

function inItsOwnProcess(part: Part): object {
  const { stdout, status } = spawnSync(
    process.execPath,
    [...process.execArgv, ...process.argv.slice(1), `--with=${part}`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      timeout: 600_000,
    },
  );
  if (status !== 0) throw new Error(`the benchmark of ${part} ended with ${status}`);
  return JSON.parse(stdout) as object;
}

interface Slice {
  readonly perSecond: number;
  /** Queries for a second of this process' own processor time, whatever else the machine does. */
  readonly perCpuSecond: number;
}

async function measure(part: Part): Promise<object> {
  const { Pool } = await builtPackage('pg');
  const { collectMetrics } = await builtPackage('prometheus');
  const { collectTelemetry } = await builtPackage('prometheus/opentelemetry');
  await using scenario = await Scenario.start();
  const pool = scenario.ours({ max: 10 }, Pool);
  const exporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
  const meterProvider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000, exportTimeoutMillis: 500 })],
  });
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(spans)] });
  const register = new Registry();
  const pools = [pool];
  const begin: Record<Part, () => readonly { close(): void }[]> = {
    nothing: () => [],
    prometheus: () => [collectMetrics({ pools, register })],
    api: () => [collectTelemetry({ pools })],
    metrics: () => [collectTelemetry({ pools, meterProvider, spans: false })],
    spans: () => [collectTelemetry({ pools, tracerProvider })],
    all: () => [collectMetrics({ pools, register }), collectTelemetry({ pools, meterProvider, tracerProvider })],
  };
  const observed = async (concurrency: number) => {
    const collections = begin[part]();
    try {
      return await slice(concurrency);
    } finally {
      await register.metrics();
      for (const collection of collections) collection.close();
      exporter.reset();
      spans.reset();
    }
  };
  const slice = async (concurrency: number): Promise<Slice> => {
    const startedAt = performance.now();
    // What was turned on or off a moment ago is compiled again first.
    const countsFrom = startedAt + sliceMillis / 4;
    const until = countsFrom + sliceMillis;
    let done = 0;
    let cpu: NodeJS.CpuUsage | undefined;
    const caller = async () => {
      for (let now = startedAt; now < until; now = performance.now()) {
        await pool.query('select 1');
        if (now < countsFrom) continue;
        cpu ??= process.cpuUsage();
        done += 1;
      }
    };
    await Promise.all(Array.from({ length: concurrency }, caller));
    const { user, system } = process.cpuUsage(cpu);
    return {
      perSecond: (done / (performance.now() - countsFrom)) * 1_000,
      perCpuSecond: (done / (user + system)) * 1e6,
    };
  };
  const compare = async (concurrency: number) => {
    await slice(concurrency);
    const pairs: { on: Slice; off: Slice }[] = [];
    for (let index = 0; index < Number(values.slices); index++) {
      // Each goes first in turn.
      const first = index % 2 === 0 ? await observed(concurrency) : undefined;
      const off = await slice(concurrency);
      pairs.push({ on: first ?? (await observed(concurrency)), off });
    }
    const ratio = (of: keyof Slice) => {
      const sorted = pairs.map(({ on, off }) => on[of] / off[of]).sort((one, other) => one - other);
      const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(3);
      return `${median(sorted).toFixed(3)} (${at(0.25)} to ${at(0.75)})`;
    };
    return { [`${concurrency} at once`]: ratio('perSecond'), [`${concurrency}: cpu`]: ratio('perCpuSecond') };
  };
  try {
    const report: Record<string, string> = {};
    for (const concurrency of [1, 10, 64]) Object.assign(report, await compare(concurrency));
    return report;
  } finally {
    await pool.end();
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
  }
}
