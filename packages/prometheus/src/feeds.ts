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
  /** Whether it comes with every statement, and its labels depend on `name`, `target`, `operation` and `error` alone. */
  readonly isStatement: boolean;
}

export function from<const Values extends readonly string[], Event extends object>(
  channel: EventChannel<Event>,
  values: Feed<Values, Event>['values'],
  millis?: (event: Event) => number,
  isStatement = false,
): Feed<Values> {
  return { channel, values, millis, isStatement } as unknown as Feed<Values>;
}
