import type { Attributes } from '@opentelemetry/api';
import { rows, table } from './metrics.ts';
import type { Observer } from './observer.ts';
import type { Metric } from './rows.ts';
import type { Cell } from './tally.ts';

/** A metric as OpenTelemetry knows it: a counter, a sum that goes up and down, a gauge, or a histogram. */
export interface Instrument {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: 'counter' | 'sum' | 'gauge' | 'histogram';
  readonly row: Metric;
  read(): readonly Point[];
}

/** One value of an instrument. */
type Point = Pick<Cell, 'count' | 'sum' | 'buckets'> & { readonly attributes: Attributes };

/** What an observer sees, by the names, units and attributes of the semantic conventions where those have one. */
export function instrumentsOf(observer: Observer): readonly Instrument[] {
  const instruments = rows.map((row): Instrument => {
    const kind = row.several === 'sum' ? 'sum' : row.kind;
    const read = () => observer.read(row).map((cell) => ({ ...cell, attributes: attributesOf(row, cell) }));
    return { name: row.otel, description: row.help, unit: unitOf(row), kind, row, read };
  });
  const timeouts: Instrument = {
    name: 'db.client.connection.timeouts',
    description: 'Callers whose time was up before they had a connection',
    unit: '{timeout}',
    kind: 'counter',
    row: table.waitDuration,
    read: () => {
      const late = observer.read(table.waitDuration).filter(({ labels }) => labels['result'] === 'deadline');
      return late.map((cell) => ({ ...cell, sum: cell.count, attributes: { [poolName]: cell.labels['pool'] } }));
    },
  };
  return [...instruments, timeouts];
}

/** The attributes that stand for the labels of a row. */
export function attributesOf({ otel }: Metric, { labels }: Cell): Attributes {
  const isConvention = otel.startsWith('db.');
  const attributes: Attributes = otel === table.operationDuration.otel ? { ...postgresql } : {};
  for (const [label, value] of Object.entries(labels)) {
    if (isConvention && label === 'result') {
      // What failed: a SQLSTATE, or the kind of failure.
      if (value !== 'ok') attributes['error.type'] = labels['status'] || value;
    } else if (value !== '') attributes[conventions[label] ?? `externalname.${label}`] = value;
  }
  return attributes;
}

function unitOf({ unit, otel }: Metric): string {
  if (otel === table.waiters.otel) return '{request}';
  if (otel.startsWith('db.client.connection.') && unit === 'short') return '{connection}';
  if (unit === 'bytes') return 'By';
  return unit === 'short' ? '1' : 's';
}

/** The name of the meter and of the tracer. */
export const library = '@externalname/prometheus';
export const poolName = 'db.client.connection.pool.name';
export const postgresql = { 'db.system.name': 'postgresql' } as const;
const conventions: Readonly<Record<string, string>> = {
  pool: poolName,
  state: 'db.client.connection.state',
  server: 'server.address',
  status: 'db.response.status_code',
};
