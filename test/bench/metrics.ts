/**
 * What metrics cost: throughput of `pool.query('select 1')` on loopback, with ten connections, in processes that have a part of them on,
 * beside one that has nothing on. Each process is asked in turn for a slice; printed is the median of the ratios to `nothing` in the same
 * round: of the throughput, and (`cpu`) of the statements for a second of the process' own processor time, which says more on a busy
 * machine.
 *
 *   pnpm bench:metrics [--rounds=31] [--millis=300] [--json]
 *
 * A process does not change while it is measured: what is turned on and off is compiled again each time. It runs the packages as they are
 * built, not their sources through a loader. `nothing, once more` is another process with nothing on: as far as it is from 1, the others
 * say nothing.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type { Pool, PoolOptions } from '@externalname/pg';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricProducer,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import { builtPackage } from './built-package.ts';
import { median, primaryName, Scenario, secondaryName } from './compared-pools.ts';

const parts = {
  nothing: 'nothing',
  control: 'nothing, once more',
  prometheus: 'Prometheus',
  api: 'OpenTelemetry without an SDK',
  spans: 'OpenTelemetry: spans',
  produced: 'OpenTelemetry: createMetricProducer()',
  recorded: 'OpenTelemetry: metrics of collectTelemetry()',
  all: 'all: Prometheus, spans, createMetricProducer()',
} as const;
type Part = keyof typeof parts;

/** What a process is told first. */
interface Setting {
  readonly part: Part;
  readonly options: PoolOptions;
}

/** What it is asked for, again and again, and answers. */
interface Question {
  readonly callers: number;
  readonly millis: number;
}

interface Slice {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

if (process.send === undefined) await compare();
else await measure();

async function compare(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '31' },
      millis: { type: 'string', default: '300' },
      json: { type: 'boolean', default: false },
    },
  });
  const millis = Number(values.millis);
  await using scenario = await Scenario.start();
  const { port, user, password, database, ca } = scenario.pair;
  const options: PoolOptions = {
    service: 'webscaler-db',
    allowedTargets: [primaryName, secondaryName],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [scenario.cluster.nameserver] },
    ...{ port, user, password, database, ssl: { ca }, max: 10 },
  };
  const processes = (Object.keys(parts) as Part[]).map((part) => ({ part, child: fork(import.meta.filename) }));
  const report: Record<string, Record<string, number>> = {};
  try {
    for (const { part, child } of processes) await answered(child, { part, options } satisfies Setting);
    for (const callers of [1, 10, 64]) {
      const ratios = new Map<string, number[]>();
      for (let round = -2; round < Number(values.rounds); round++) {
        // Each is the first in turn.
        const turn = Math.abs(round) % processes.length;
        const slices = new Map<Part, Slice>();
        for (const { part, child } of [...processes.slice(turn), ...processes.slice(0, turn)]) {
          slices.set(part, (await answered(child, { callers, millis } satisfies Question)) as Slice);
        }
        const base = slices.get('nothing');
        // The first rounds are for the compiler.
        if (base === undefined || round < 0) continue;
        for (const [part, { perSecond, perCpuSecond }] of slices) {
          push(ratios, part, perSecond / base.perSecond);
          push(ratios, `${part}, cpu`, perCpuSecond / base.perCpuSecond);
        }
      }
      for (const part of Object.keys(parts) as Part[]) {
        const ratio = (of: string) => Number(median(ratios.get(of) ?? []).toFixed(3));
        const row = { [`${callers} at once`]: ratio(part), [`${callers}, cpu`]: ratio(`${part}, cpu`) };
        if (part !== 'nothing') report[parts[part]] = { ...report[parts[part]], ...row };
      }
    }
  } finally {
    for (const { child } of processes) child.disconnect();
    await Promise.all(processes.map(({ child }) => child.exitCode ?? once(child, 'exit')));
  }
  const load = Number((loadavg()[0] ?? 0).toFixed(1));
  if (values.json) console.log(JSON.stringify({ load, rounds: Number(values.rounds), millis, report }));
  else {
    console.log(
      `Node ${process.version}, ${cpus().length} cores, load ${load}; ${values.rounds} rounds of ${millis} ms`,
    );
    console.table(report);
  }
}

async function answered(child: ChildProcess, message: Setting | Question): Promise<unknown> {
  const asked = new AbortController();
  const { signal } = asked;
  try {
    const answer = once(child, 'message', { signal });
    const exit = once(child, 'exit', { signal });
    child.send(message);
    const [value] = await Promise.race([answer, exit.then(() => Promise.reject(new Error('a process ended')))]);
    return value;
  } finally {
    asked.abort();
  }
}

function push(ratios: Map<string, number[]>, part: string, ratio: number): void {
  ratios.set(part, [...(ratios.get(part) ?? []), ratio]);
}

async function measure(): Promise<void> {
  const [setting] = (await once(process, 'message')) as [Setting];
  const { Pool } = await builtPackage('pg');
  const pool = new Pool(setting.options);
  pool.on('error', () => undefined);
  const end = await begin(setting.part, pool);
  process.on('message', ({ callers, millis }: Question) => {
    const answer = slice(pool, callers, millis).then((result) => process.send?.(result));
    answer.catch((error: unknown) => process.emit('uncaughtException', error as Error));
  });
  process.send?.('ready');
  await once(process, 'disconnect');
  await pool.end();
  await end();
}

/** Turns a part on, with what reads it once a second. Resolves with what ends it. */
async function begin(part: Part, pool: Pool): Promise<() => Promise<void>> {
  const { collectMetrics } = await builtPackage('prometheus');
  const { createMetricProducer } = await builtPackage('prometheus/metric-producer');
  const { collectTelemetry } = await builtPackage('prometheus/opentelemetry');
  const { register } = await import('prom-client');
  const pools = [pool];
  const ends: (() => unknown)[] = [];
  const isOn = (...those: Part[]) => [...those, 'all'].includes(part);
  const read = (metricProducers: MetricProducer[]) => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({
      exporter,
      metricProducers,
      exportIntervalMillis: 1_000,
      exportTimeoutMillis: 500,
    });
    const emptied = setInterval(() => exporter.reset(), 1_000);
    const provider = new MeterProvider({ readers: [reader] });
    ends.push(
      () => clearInterval(emptied),
      () => provider.shutdown(),
    );
    return provider;
  };
  if (isOn('prometheus')) {
    collectMetrics({ pools });
    const scraped = setInterval(() => void register.metrics(), 1_000);
    ends.push(() => clearInterval(scraped));
  }
  if (isOn('produced')) read([createMetricProducer({ pools })]);
  if (part === 'recorded') collectTelemetry({ pools, meterProvider: read([]), spans: false });
  if (part === 'api') collectTelemetry({ pools });
  if (isOn('spans')) {
    const spanProcessors = [new BatchSpanProcessor(new InMemorySpanExporter())];
    collectTelemetry({ tracerProvider: new BasicTracerProvider({ spanProcessors }), metrics: false });
  }
  return async () => {
    for (const each of ends) await each();
  };
}

async function slice(pool: Pool, callers: number, millis: number): Promise<Slice> {
  let done = 0;
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + millis;
  const call = async () => {
    while (performance.now() < until) {
      await pool.query('select 1');
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (done / (performance.now() - startedAt)) * 1_000, perCpuSecond: (done / (user + system)) * 1e6 };
}
