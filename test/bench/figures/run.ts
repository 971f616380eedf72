import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Benchmark, Report } from './benchmarks.ts';

export const root = resolve(import.meta.dirname, '../../..');

/** Runs a benchmark once, in a process of its own, and gives its figures by name. */
export async function runOnce(
  benchmark: Benchmark,
  parameters: readonly string[] = benchmark.parameters,
): Promise<Record<string, number | null>> {
  const [program = '', ...words] = scriptOf(benchmark.script).split(' ');
  const child = spawn(program === 'node' ? process.execPath : program, [...words, ...parameters, '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const deadline = setTimeout(() => child.kill('SIGKILL'), runMillis);
  const [[code, signal], printed, said] = await Promise.all([
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    text(child.stdout),
    text(child.stderr),
  ]).finally(() => clearTimeout(deadline));
  if (code !== 0) {
    throw new Error(`it ended with ${code ?? signal}, after\n${[printed, said].join('\n').trim().slice(-4_000)}`);
  }
  return flat(reportOf(benchmark, printed));
}

/** The longest that a run may take, on a machine that is busy. */
const runMillis = 15 * 60_000;

function scriptOf(name: string): string {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const script = scripts[name];
  if (script === undefined) throw new Error(`package.json has no script ${name}`);
  return script;
}

function reportOf({ reportOf }: Benchmark, printed: string): Report {
  // Some print the object over several lines, and nothing else.
  const lines = printed.trim();
  const object = JSON.parse(lines.startsWith('{') ? lines : (lines.split('\n').at(-1) ?? '')) as Record<
    string,
    unknown
  >;
  return reportOf === undefined ? (object['report'] as Report) : reportOf(object);
}

function flat(report: Report, path: readonly string[] = []): Record<string, number | null> {
  return Object.fromEntries(
    Object.entries(report).flatMap(([name, value]) => {
      const here = [...path, name];
      if (typeof value === 'number' || value === null) return [[here.join(' / '), value]];
      return typeof value === 'object' ? Object.entries(flat(value, here)) : [];
    }),
  );
}
