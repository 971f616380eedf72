import { readFile, rename, writeFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { InvalidArgumentError } from '@externalname/core';
import { aBoolean, aDate, aText, checkOptions, describeValue, optional, type Shape } from '@externalname/core/internal';
import { metrics } from './metrics.ts';

/** See {@link writeDrill}. */
export interface DrillRecord {
  /** The absolute path of the file, which holds nothing else. Its name ends in `.prom` for the textfile collector of node_exporter. */
  file: string;
  /** The Service whose switch was rehearsed. */
  name: string;
  /** Whether the rehearsal kept within its thresholds. */
  passed: boolean;
  /** When it was over. @defaultValue now */
  at?: Date | undefined;
}

/**
 * Writes the result of a rehearsal for Prometheus into a file, in place of an earlier one of the same Service and result: for the
 * textfile collector of node_exporter. What rehearses a switch ends soon after, and could not be scraped.
 *
 * Other results in the file stay, so that a rehearsal that failed does not hide when the last one passed. The file is replaced as a
 * whole, so that a scrape never sees half of it.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a file that holds anything else
 *
 * @example
 * ```ts
 * import { writeDrill } from '@externalname/prometheus/drill';
 *
 * await writeDrill({ file: '/var/lib/node_exporter/externalname.prom', name: 'webscaler-db', passed: true });
 * ```
 */
export async function writeDrill(record: DrillRecord): Promise<void> {
  checkOptions(record, { file: anAbsolutePath, name: aText, passed: aBoolean, at: optional(aDate) }, 'record');
  const { file, name, passed, at = new Date() } = record;
  const series = `${metric}{external_service="${escaped(name)}",result="${passed ? 'passed' : 'failed'}"}`;
  const others = (await linesOf(file)).filter((line) => !line.startsWith(`${series} `));
  const lines = [...others, `${series} ${at.getTime() / 1_000}`].sort();
  const head = [`# HELP ${metric} ${metrics.drills.help}`, `# TYPE ${metric} gauge`];
  // Beside it, because a file can only be renamed within its file system; not ending in .prom, because node_exporter reads those.
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, [...head, ...lines, ''].join('\n'));
  await rename(temporary, file);
}

async function linesOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.every((line) => line.startsWith(`${metric}{`) && /^\w+\{.*\} \S+$/.test(line))) return lines;
  const advice = `must hold nothing but drills, and ${file} has another line: give it a file of its own`;
  throw new InvalidArgumentError('file', advice);
}

const anAbsolutePath: Shape = (argument, value) => {
  if (typeof value === 'string' && isAbsolute(value) && !value.includes('\0')) return;
  throw new InvalidArgumentError(argument, `must be an absolute path, got ${describeValue(value)}`);
};

// Prometheus documentation, "Exposition formats".
function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

const metric = metrics.drills.name;
