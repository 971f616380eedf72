import { InvalidArgumentError } from '@externalname/core';
import { longFlag, type Option } from './command.ts';

/** An option with a time: `--max-pause <time>`. Its value is in milliseconds. A number without a unit is taken for seconds. */
export function duration(
  flags: string,
  summary: string,
  bounds: { readonly least: number; readonly most: number },
): Option<number | undefined> {
  return {
    flags,
    summary,
    read(given) {
      const written = given.at(-1);
      if (written === undefined) return undefined;
      const [, number = '', unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(written) ?? [];
      const millis = number === '' ? Number.NaN : Number(number) * (unitMillis[unit] ?? Number.NaN);
      if (millis >= bounds.least && millis <= bounds.most) return millis;
      throw new InvalidArgumentError(
        longFlag(flags),
        `must be a time from ${shortTime(bounds.least)} to ${shortTime(bounds.most)}, such as 500ms, 5s or 2m, got ${JSON.stringify(written)}`,
      );
    },
  };
}

/** `380 ms`, `5.2 s`, `3 min`: for people. */
export function inWords(millis: number): string {
  if (millis < 1_000) return `${Math.round(millis)} ms`;
  if (millis < 60_000) return `${(millis / 1_000).toFixed(1)} s`;
  return `${Math.round(millis / 60_000)} min`;
}

/** `2.5 ms`, `380 ms`: whole milliseconds, but for what takes less than ten. */
export function shortMillis(millis: number): string {
  return `${millis < 10 ? millis.toFixed(1) : Math.round(millis)} ms`;
}

function shortTime(millis: number): string {
  const [unit = 'ms', size = 1] =
    Object.entries(unitMillis).findLast(([, each]) => millis >= each && millis % each === 0) ?? [];
  return `${millis / size}${unit}`;
}

const unitMillis: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
