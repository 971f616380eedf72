import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { expect } from 'vitest';

/** What times may be at most, in milliseconds. Held only where `ENGINES_LIMITS` is set, on a machine that does nothing else. */
export interface Limits {
  readonly medianMillis: number;
  readonly worstMillis: number;
}

/** Prints the middle and the worst of some times beside the load of the machine, and adds them to the file that `ENGINES_REPORT` names. */
export function report(what: string, times: readonly number[], limits?: Limits): void {
  const sorted = [...times].sort((one, two) => one - two).map(Math.round);
  const [median = Number.NaN, worst = Number.NaN] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const load = (loadavg()[0] ?? 0).toFixed(1);
  const text = `engines: ${what}: median ${median} ms, worst ${worst} ms of ${sorted.length} (load ${load})`;
  console.info(text);
  const file = process.env['ENGINES_REPORT'];
  if (file !== undefined) writeFileSync(file, `${text} ${JSON.stringify(sorted)}\n`, { flag: 'a' });
  if (limits === undefined || process.env['ENGINES_LIMITS'] === undefined) return;
  expect(median, what).toBeLessThanOrEqual(limits.medianMillis);
  expect(worst, what).toBeLessThanOrEqual(limits.worstMillis);
}
