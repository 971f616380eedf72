import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './run.ts';

/** What one benchmark measured, and where. */
export interface Measurement {
  readonly command: string;
  /** The day, in UTC: 2026-11-29. */
  readonly date: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  /** The load of the machine (its average of one minute) before each run. */
  readonly load: readonly number[];
  /** How long all runs took together. */
  readonly seconds: number;
  /** By the figure's name, its value in each run. `null` is what never came. */
  readonly measured: Readonly<Record<string, readonly (number | null)[]>>;
}

/** `docs/figures.json`: by the benchmark's name, what it measured. */
export type Figures = Readonly<Record<string, Measurement>>;

const file = join(root, 'docs/figures.json');

export function readFigures(): Figures {
  return JSON.parse(readFileSync(file, 'utf8')) as Figures;
}

export async function writeFigures(name: string, measurement: Measurement): Promise<void> {
  const figures = { ...readFigures(), [name]: measurement };
  const sorted = Object.fromEntries(Object.entries(figures).sort(([one], [other]) => (one < other ? -1 : 1)));
  writeFileSync(file, `${JSON.stringify(sorted, null, 2)}\n`);
  await promisify(execFile)(join(root, 'node_modules/.bin/biome'), ['format', '--write', file], { cwd: root });
}
