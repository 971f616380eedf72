import type { Attributes } from '@opentelemetry/api';
import { type MetricRow, metrics, type ValuesOf } from './metrics.ts';
import { Observer } from './observer.ts';
import type { FollowerLike, OperationPayload, PoolLike } from './payloads.ts';
import type { Tally } from './tally.ts';

/** What OpenTelemetry is told of a metric. */
export interface Instrument {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
}

/** A counter, a sum that goes up and down, or a gauge, whose values are there to be read. */
export interface Readable extends Instrument {
  readonly kind: 'counter' | 'sum' | 'gauge';
  read(): Iterable<readonly [value: number, attributes: Attributes]>;
}

/** A histogram. */
export interface Counted extends Instrument {
  readonly row: MetricRow;
  readonly tally: Tally;
}

/** Observes pools and followers for OpenTelemetry: by the names, units and attributes of the semantic conventions where those have one. */
export function observePools(pools: readonly PoolLike[], followers: readonly FollowerLike[], clusterDomain: string) {
  const observer = new Observer({ pools, followers, clusterDomain, operations: { row: callRow, values: factsOfCall } });
  const readable: Readable[] = [];
  const histograms: Counted[] = [];
  for (const row of rows) {
    const instrument = { name: row.otel, description: row.help, unit: unitOf(row) };
    const tally = observer.tallies.get(row);
    if (tally === undefined) {
      const kind = row.several === 'sum' ? 'sum' : 'gauge';
      const read = () => observer.readings(row).map(({ labels, value }) => [value, attributesOf(row, labels)] as const);
      readable.push({ ...instrument, kind, read });
    } else if (row.kind === 'counter') {
      const read = () => [...tally.cells()].map(({ labels, count }) => [count, attributesOf(row, labels)] as const);
      readable.push({ ...instrument, kind: 'counter', read });
    } else histograms.push({ ...instrument, row, tally });
  }
  readable.push({
    name: 'db.client.connection.timeouts',
    description: 'Callers whose time was up before they had a connection',
    unit: '{timeout}',
    kind: 'counter',
    read: () =>
      [...(observer.tallies.get(metrics.waitDuration)?.cells() ?? [])]
        .filter(({ labels }) => labels['result'] === 'deadline')
        .map(({ labels, count }) => [count, { [poolName]: labels['pool'] }] as const),
  });
  return { observer, readable, histograms };
}

/** The attributes that stand for the labels of a row. */
export function attributesOf({ otel }: MetricRow, labels: Readonly<Record<string, string>>): Attributes {
  const isConvention = otel.startsWith('db.');
  const attributes: Attributes = otel === callRow.otel ? { ...postgresql } : {};
  for (const [label, value] of Object.entries(labels)) {
    if (isConvention && label === 'result') {
      if (value !== 'ok') attributes['error.type'] = value;
    } else if (value !== '') attributes[conventions[label] ?? `externalname.${label}`] = value;
  }
  return attributes;
}

/** What failed: a SQLSTATE, or the kind of failure. */
export function errorType({ error, kind = 'other' }: OperationPayload): string {
  return sqlStateOf(error) ?? kind;
}

function factsOfCall(event: OperationPayload): ValuesOf<typeof callRow> {
  const { name, operation, target = name, error } = event;
  if (error === undefined) return [name, operation, 'ok', target, ''];
  return [name, operation, errorType(event), target, sqlStateOf(error) ?? ''];
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
// The conventions want to know more of a call.
const callRow = {
  ...metrics.operationDuration,
  labels: [...metrics.operationDuration.labels, 'server', 'status'],
} as const;
const rows: readonly MetricRow[] = Object.values({ ...metrics, operationDuration: callRow });
