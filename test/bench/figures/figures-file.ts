import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

/** The folder whose pages have figures. */
export const docs: string = join(root, 'docs');

export function readFigures(folder: string = docs): Figures {
  return JSON.parse(readFileSync(join(folder, 'figures.json'), 'utf8')) as Figures;
}

export async function writeFigures(folder: string, name: string, measurement: Measurement): Promise<void> {
  const figures = { ...readFigures(folder), [name]: measurement };
  const sorted = Object.fromEntries(Object.entries(figures).sort(([one], [other]) => (one < other ? -1 : 1)));
  writeFileSync(join(folder, 'figures.json'), await formatted(sorted));
}

/** JSON as the repository has it. */
export function formatted(value: object): Promise<string> {
  return new Promise((done, failed) => {
    const words = ['format', '--stdin-file-path=docs/figures.json'];
    const child = execFile(
      join(root, 'node_modules/.bin/biome'),
      words,
      { cwd: root, maxBuffer: 2 ** 26 },
      (error, text) => (error === null ? done(text) : failed(error)),
    );
    child.stdin?.end(`${JSON.stringify(value, null, 2)}\n`);
  });
}
