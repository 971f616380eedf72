import type { EventChannel } from '@externalname/core/events';
import type { LabelName } from './labels.ts';

export type Labels = readonly LabelName[];
/** A value for each label. */
export type Tuple<Own extends readonly unknown[]> = { readonly [Index in keyof Own]: string };
/** Values of a gauge, each before its labels. */
export type Readings<Values extends readonly string[] = readonly string[]> = readonly (readonly [
  value: number,
  ...labels: Values,
])[];

/** What a channel tells of a metric. */
export interface Feed<Values extends readonly string[] = readonly string[], Event extends object = never> {
  readonly channel: EventChannel<Event>;
  /** The labels of an event, or `undefined` if it is not counted. */
  values(event: Event, hopOf: (name: string) => string): Values | undefined;
  /** What it adds to a histogram, or sets a gauge to. */
  readonly millis: ((event: Event) => number) | undefined;
  /** Whether two events have the same labels, for what comes with every statement: to compare is cheaper than to look for them. */
  readonly isLike: ((event: Event, other: Event) => boolean) | undefined;
}

export function from<const Values extends readonly string[], Event extends object>(
  channel: EventChannel<Event>,
  values: Feed<Values, Event>['values'],
  millis?: (event: Event) => number,
  isLike?: (event: Event, other: Event) => boolean,
): Feed<Values> {
  return { channel, values, millis, isLike } as unknown as Feed<Values>;
}
