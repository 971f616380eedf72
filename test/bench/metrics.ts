/**
 * What metrics cost: throughput of `pool.query('select 1')` on loopback, with ten connections, in a process that has a part of them on,
 * beside one that has nothing on.
 *
 *   pnpm bench:metrics [--trials=9] [--rounds=5] [--millis=300] [--parts=all] [--callers=1,10,64] [--json]
 *
 * The compiler of Node.js makes another program of the same source in each process, and two processes with nothing on differ by several
 * hundredths. So each trial starts new processes: one for each part, one with nothing on, and one more of those, the control. They are
 * asked in turn for a slice, forwards and backwards. A trial gives the ratio of what a part did in all its slices to what `nothing` did;
 * printed are the median of the trials, and after `±` its standard error (from the quartiles): of the throughput, and (`cpu`) of the
 * statements for a second of the process' own processor time, which says more on a busy machine.
 *
 * The packages run as they are built, not their sources through a loader.
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
import { buildPackages, builtPackage } from './built-package.ts';
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
  /** Where the packages are built. */
  readonly folders: Folders;
}

type Folders = Awaited<ReturnType<typeof buildPackages<'pg' | 'prometheus'>>>['folders'];

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
      trials: { type: 'string', default: '9' },
      rounds: { type: 'string', default: '5' },
      millis: { type: 'string', default: '300' },
      parts: { type: 'string', default: Object.keys(parts).join() },
      callers: { type: 'string', default: '1,10,64' },
      json: { type: 'boolean', default: false },
    },
  });
  const [trials, rounds, millis] = [values.trials, values.rounds, values.millis].map(Number) as [
    number,
    number,
    number,
  ];
  const compared: readonly Part[] = ['nothing', 'control', ...named(values.parts)];
  await using built = await buildPackages('pg', 'prometheus');
  const { folders } = built;
  await using scenario = await Scenario.start();
  const { port, user, password, database, ca } = scenario.pair;
  const options: PoolOptions = {
    service: 'webscaler-db',
    allowedTargets: [primaryName, secondaryName],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [scenario.cluster.nameserver] },
    ...{ port, user, password, database, ssl: { ca }, max: 10 },
  };
  const ratios = new Map<string, number[]>();
  for (let trial = 0; trial < trials; trial++) {
    const processes = rotated(compared, trial).map((part) => ({ part, child: fork(import.meta.filename) }));
    try {
      for (const { part, child } of processes) await answered(child, { part, options, folders } satisfies Setting);
      for (const callers of values.callers.split(',').map(Number)) {
        const sums = await slices(processes, { callers, millis }, rounds);
        const base = sums.get('nothing');
        for (const [part, { perSecond, perCpuSecond }] of sums) {
          if (base === undefined || part === 'nothing') continue;
          push(ratios, `${part} ${callers} at once`, perSecond / base.perSecond);
          push(ratios, `${part} ${callers}, cpu`, perCpuSecond / base.perCpuSecond);
        }
      }
    } finally {
      for (const { child } of processes) child.disconnect();
      await Promise.all(processes.map(({ child }) => child.exitCode ?? once(child, 'exit')));
    }
  }
  const columns = values.callers.split(',').flatMap((callers) => [`${callers} at once`, `${callers}, cpu`]);
  const report = compared.slice(1).map((part) => {
    const cells = columns.map((column) => [column, middle(ratios.get(`${part} ${column}`) ?? [])] as const);
    return [parts[part], Object.fromEntries(cells)] as const;
  });
  const load = Number((loadavg()[0] ?? 0).toFixed(1));
  if (values.json) console.log(JSON.stringify({ load, trials, rounds, millis, report: Object.fromEntries(report) }));
  else {
    console.log(
      `Node ${process.version}, ${cpus().length} cores, load ${load}; ${trials} trials of ${2 * rounds} slices of ${millis} ms`,
    );
    const shown = ({ ratio, error }: Middle) => `${ratio.toFixed(3)} ±${error.toFixed(3)}`;
    console.table(
      Object.fromEntries(
        report.map(([part, cells]) => [
          part,
          Object.fromEntries(Object.entries(cells).map(([column, cell]) => [column, shown(cell)])),
        ]),
      ),
    );
  }
}

/** Asks each process in turn, forwards and backwards, and adds up what it did. */
async function slices(
  processes: readonly { readonly part: Part; readonly child: ChildProcess }[],
  question: Question,
  rounds: number,
): Promise<ReadonlyMap<Part, Slice>> {
  const sums = new Map<Part, Slice>();
  for (let round = -2; round < rounds; round++) {
    for (const { part, child } of [...processes, ...processes.toReversed()]) {
      const { perSecond, perCpuSecond } = (await answered(child, question)) as Slice;
      // The first rounds are for the compiler.
      if (round < 0) continue;
      const before = sums.get(part) ?? { perSecond: 0, perCpuSecond: 0 };
      sums.set(part, {
        perSecond: before.perSecond + perSecond,
        perCpuSecond: before.perCpuSecond + perCpuSecond,
      });
    }
  }
  return sums;
}

function named(list: string): readonly Part[] {
  return list
    .split(',')
    .map((name) => {
      if (name in parts) return name as Part;
      throw new Error(`--parts: there is no part ${name}; name some of ${Object.keys(parts).join(', ')}`);
    })
    .filter((part) => part !== 'nothing' && part !== 'control');
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const turn = by % list.length;
  return [...list.slice(turn), ...list.slice(0, turn)];
}

/** The middle of several ratios, and its standard error, from the quartiles. */
interface Middle {
  readonly ratio: number;
  readonly error: number;
}

function middle(ratios: readonly number[]): Middle {
  const sorted = ratios.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  // Of a normal distribution, the quartiles are 1.35 deviations apart, and the error of a median is 1.25 times that of a mean.
  const error = ((at(0.75) - at(0.25)) / 1.35) * (1.25 / Math.sqrt(sorted.length));
  return { ratio: Number(median(ratios).toFixed(3)), error: Number(error.toFixed(3)) };
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
  const { part, options, folders } = setting;
  const { Pool } = await builtPackage('pg', folders.pg);
  const pool = new Pool(options);
  pool.on('error', () => undefined);
  const end = await begin(part, pool, folders.prometheus);
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
async function begin(part: Part, pool: Pool, folder: string): Promise<() => Promise<void>> {
  const { collectMetrics } = await builtPackage('prometheus', folder);
  const { createMetricProducer } = await builtPackage('prometheus/metric-producer', folder);
  const { collectTelemetry } = await builtPackage('prometheus/opentelemetry', folder);
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
