// Drills whose plots stand on pages: each is played once, its report kept in `docs/drills/`, and drawn from there.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DrillResult } from '@externalname/drill';
import { drillSvg, type PlottedDrill } from './drill-plot.ts';
import { formatted } from './figures-file.ts';
import { root } from './run.ts';

/** A drill as it is kept: what its plot needs, and where it was played. */
export interface KeptDrill
  extends PlottedDrill,
    Pick<DrillResult, 'startedAt' | 'workers' | 'connections' | 'ttlSeconds' | 'passed'> {
  readonly command: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly load: number;
}

/** By the name of the file: the options of `externalname drill`. */
export const drills: Readonly<Record<string, readonly string[]>> = {
  crash: ['--kind', 'crash'],
  planned: ['--kind', 'planned'],
};

/** Plays a drill as the command does. Rejects if it did not pass. */
export async function playDrill(options: readonly string[]): Promise<KeptDrill> {
  const load = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  const command = join(root, 'packages/cli/bin/externalname.mjs');
  const words = [command, 'drill', ...options, '--quiet', '-o', 'json'];
  const { stdout } = await promisify(execFile)(process.execPath, words, { maxBuffer: 2 ** 26, timeout: 300_000 });
  const { service, kind, stages, marks, plot, startedAt, workers, connections, ttlSeconds, passed } = JSON.parse(
    stdout,
  ) as DrillResult;
  return {
    command: ['externalname drill', ...options].join(' '),
    startedAt,
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    load,
    service,
    kind,
    passed,
    workers,
    connections,
    ttlSeconds,
    stages,
    marks,
    plot,
  };
}

/** The drills that are kept, by name. */
export function readDrills(docs: string): Readonly<Record<string, KeptDrill>> {
  const files = readdirSync(join(docs, 'drills')).filter((file) => file.endsWith('.json'));
  return Object.fromEntries(
    files.map((file) => [
      file.replace(/\.json$/, ''),
      JSON.parse(readFileSync(join(docs, 'drills', file), 'utf8')) as KeptDrill,
    ]),
  );
}

export async function writeDrill(docs: string, name: string, drill: KeptDrill): Promise<void> {
  mkdirSync(join(docs, 'drills'), { recursive: true });
  const file = join(docs, 'drills', `${name}.json`);
  writeFileSync(file, await formatted(drill));
}

/** Draws every drill that is kept, and returns the pictures that changed. */
export function writePlots(docs: string): readonly string[] {
  return Object.entries(readDrills(docs)).flatMap(([name, drill]) => {
    const file = join(docs, 'drills', `${name}.svg`);
    const svg = drillSvg(drill);
    if (svg === textOf(file)) return [];
    writeFileSync(file, svg);
    return [file];
  });
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
