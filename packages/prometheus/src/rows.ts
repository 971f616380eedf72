import type { EventChannel } from '@externalname/core/events';
import { type LabelName, openTelemetryLabels } from './labels.ts';
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
export interface Metric extends MetricRow, Filling<Reading> {
  /** Names of its labels, and of the further labels that OpenTelemetry alone has. */
  readonly allLabels: Labels;
}

/** A value, and those of its labels in their order. */
export type Reading = readonly [value: number, ...labels: string[]];

interface Filling<Read> {
  /** What happens: it is added up, and of a gauge the last value stays. */
  readonly feeds?: readonly Feed<Read>[];
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
  /** What an event adds, of a histogram in milliseconds, or `undefined` if it is not counted. */
  read(event: Event, hopOf: (name: string) => string): Read | undefined;
}

export function from<const Read extends Reading, Event extends object>(
  channel: EventChannel<Event>,
  read: Feed<Read, Event>['read'],
): Feed<Read> {
  return { channel, read } as unknown as Feed<Read>;
}

/** What a row is made of in addition to its path and its labels. */
interface Texts<Own extends Labels>
  extends Pick<MetricRow, 'help' | 'buckets'>,
    Filling<readonly [value: number, ...labels: { readonly [Index in keyof Own]: string }]> {
  /** Its name in the semantic conventions. */
  readonly otel?: string;
  /** What the name in Prometheus ends in. */
  readonly suffix?: string;
}

// From a switch in a data centre to one across regions.
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export const counter = rowsOf({ kind: 'counter', suffix: '_total' });
export const histogram = rowsOf({ kind: 'histogram', suffix: '_seconds', buckets });
/** By how the values of several pools of one name become one. What has no sum is mostly a point in time. */
export const gauge = {
  sum: rowsOf({ kind: 'gauge', several: 'sum', suffix: '' }),
  min: rowsOf({ kind: 'gauge', several: 'min', suffix: '_timestamp_seconds' }),
  max: rowsOf({ kind: 'gauge', several: 'max', suffix: '_timestamp_seconds' }),
};

function rowsOf(kind: Pick<MetricRow, 'kind' | 'several' | 'buckets'> & { readonly suffix: string }) {
  return <const Own extends Labels>(path: string, allLabels: Own, texts: Texts<Own>): Metric => {
    const { suffix, ...row } = { ...kind, otel: `externalname.${path}`, ...texts };
    const name = `externalname_${path.replaceAll('.', '_')}${suffix}`;
    const labels = allLabels.filter((label) => !openTelemetryLabels.has(label));
    const source = row.feeds?.map(({ channel }) => channel.name).join(', ') ?? 'status()';
    return { ...row, name, labels, allLabels, unit: unitOf(name), source } as unknown as Metric;
  };
}

function unitOf(name: string): MetricRow['unit'] {
  if (name.endsWith('_timestamp_seconds')) return 'dateTimeFromNow';
  if (name.endsWith('_seconds')) return 's';
  return name.endsWith('_bytes') ? 'bytes' : 'short';
}

type Labels = readonly LabelName[];
