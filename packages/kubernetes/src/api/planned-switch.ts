import type { PlannedSwitch } from '@externalname/core';
import { canonicalName } from '@externalname/core/names';

/** The annotation of a Service that announces a switch. */
export const plannedAnnotation = 'switch.externalname/planned';

/** What the annotation says: `secondary-db.example.com holdMillis=10000 id=...`. The id makes a second announcement another one. */
export function writePlan(to: string, holdMillis: number, id: string): string {
  return `${to} holdMillis=${holdMillis} id=${id}`;
}

/** Reads it; `undefined` if it is not understood. */
export function readPlan(text: string): PlannedSwitch | undefined {
  const [, to, holdMillis] = /^([^ =]{1,253}) holdMillis=(\d{1,9}) id=\S{1,100}$/.exec(text) ?? [];
  if (to === undefined) return undefined;
  return { to: canonicalName(to), holdMillis: Number(holdMillis) };
}
