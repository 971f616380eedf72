import type { EventChannel } from '@externalname/core/events';
import type { LabelName } from './labels.ts';
import type { BalancedStatusLike, FollowerStatusLike, PoolStatusLike } from './payloads.ts';

/** One metric. The collector, the documentation, the dashboard and the alerts are all made of these rows. */
export interface MetricRow {
  /** By the conventions of Prometheus: base units, `_total` for counters. */
  readonly name: string;
  /** What kind of metric it is. */
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** Of its values, as Grafana calls it. */
  readonly unit: 's' | 'bytes' | 'short' | 'dateTimeFromNow';
  /** Names of its labels. */
  readonly labels: readonly LabelName[];
  /** What it says, in a sentence. */
  readonly help: string;
  /** Where it comes from: a diagnostics channel, or `status()` of the pools and followers. */
  readonly source: string;
  /** Upper ends of the buckets of a histogram, in seconds. */
  readonly buckets?: readonly number[];
  /** Its name in OpenTelemetry: that of the semantic conventions where they have one. */
  readonly otel: string;
  /** Of a gauge, how the values of several pools of one name become one. */
  readonly several?: 'sum' | 'min' | 'max';
}

/** A row with what fills it. */
export interface Metric extends MetricRow, Filling {
  /** Labels that OpenTelemetry has in addition. */
  readonly also: Labels;
}

/** A value, and those of its labels in their order. */
export type Reading = readonly [value: number, ...labels: string[]];

interface Filling<Read = Reading, Fed = Read> {
  /** What happens: it is added up, and of a gauge the last value stays. */
  readonly feeds?: readonly Feed<Fed>[];
  /** What is read of each pool. Of a counter, where it begins: one that begins with 1 has not increased for Prometheus. */
  readonly pool?: (status: PoolStatusLike) => readonly Read[];
  /** Of a counter: what each pool itself has counted since it was made. */
  readonly counted?: (status: PoolStatusLike | BalancedStatusLike) => readonly Read[];
  /** The same as `pool`, of each follower. */
  readonly follower?: (status: FollowerStatusLike) => readonly Read[];
}

/** What a channel tells of a metric. */
export interface Feed<Read = Reading, Event extends object = never> {
  readonly channel: EventChannel<Event>;
  /** What an event adds, or `undefined` if it is not counted. */
  read(event: Event, hopOf: (name: string) => string): Read | undefined;
  /** Whether it comes with every statement, and its labels depend on `name`, `target`, `operation` and `error` alone. */
  readonly isStatement: boolean;
}

export function from<const Read extends Reading, Event extends object>(
  channel: EventChannel<Event>,
  read: Feed<Read, Event>['read'],
  isStatement = false,
): Feed<Read> {
  return { channel, read, isStatement } as unknown as Feed<Read>;
}

/** What a row is made of in addition to its path and its labels. */
interface Texts<Own extends Labels, Also extends Labels = readonly []>
  extends Filling<ReadingOf<Own>, ReadingOf<readonly [...Own, ...Also]>> {
  readonly help: string;
  /** Its name in the semantic conventions. */
  readonly otel?: string;
  readonly also?: Also;
  /** What the name in Prometheus ends in. */
  readonly suffix?: string;
}

export function counter<const Own extends Labels>(path: string, labels: Own, texts: Texts<Own>) {
  return rowOf(path, labels, { kind: 'counter', suffix: '_total', ...texts });
}

export function gauge<const Own extends Labels>(
  path: string,
  labels: Own,
  several: 'sum' | 'min' | 'max',
  texts: Texts<Own>,
) {
  const suffix = several === 'sum' ? '' : '_timestamp_seconds';
  return rowOf(path, labels, { kind: 'gauge', several, suffix, ...texts });
}

export function histogram<const Own extends Labels, const Also extends Labels = readonly []>(
  path: string,
  labels: Own,
  buckets: readonly number[],
  texts: Texts<Own, Also>,
) {
  return rowOf(path, labels, { kind: 'histogram', buckets, suffix: '_seconds', ...texts });
}

function rowOf<const Own extends Labels, Also extends Labels>(
  path: string,
  labels: Own,
  { suffix, ...row }: Pick<MetricRow, 'kind' | 'several' | 'buckets'> & Texts<Own, Also>,
): Metric & { readonly labels: Own } {
  const name = `externalname_${path.replaceAll('.', '_')}${suffix}`;
  const source = row.feeds?.map(({ channel }) => (channel as { name: string }).name).join(', ') ?? 'status()';
  const made = { also: [], otel: `externalname.${path}`, ...row, name, labels, unit: unitOf(name), source };
  return made as unknown as Metric & { readonly labels: Own };
}

function unitOf(name: string): MetricRow['unit'] {
  if (name.endsWith('_timestamp_seconds')) return 'dateTimeFromNow';
  if (name.endsWith('_seconds')) return 's';
  return name.endsWith('_bytes') ? 'bytes' : 'short';
}

type Labels = readonly LabelName[];
type ReadingOf<Own extends Labels> = readonly [value: number, ...labels: { readonly [Index in keyof Own]: string }];
