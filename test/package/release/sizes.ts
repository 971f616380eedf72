// How large the packages are, with limits: what became larger than its limit was either not meant, or gets a new limit that a review sees.
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Packed } from '../packed.ts';
import { sizeOf } from '../without-client-node.ts';
import type { Installed } from './alone.ts';

/** In kB: the tarball, what it unpacks to, and a folder in which it was installed with all that it must have. */
type Sizes = readonly [tarball: number, unpacked: number, installed: number];

// A sixth above what they are. testing brings PostgreSQL, drill brings testing, and prometheus here both of the clients that one can choose.
const limits: Readonly<Record<string, Sizes>> = {
  cli: [50, 160, 12_000],
  core: [440, 1_800, 1_800],
  doctor: [75, 280, 3_000],
  drill: [50, 165, 155_000],
  engines: [75, 300, 2_500],
  http: [28, 90, 3_900],
  kubernetes: [108, 410, 2_200],
  pg: [310, 1_250, 6_800],
  prometheus: [45, 225, 21_000],
  testing: [270, 1_020, 150_000],
};

/** One line for each package, and what is over its limit. */
export async function sizeTable(
  packed: readonly Packed[],
  installed: ReadonlyMap<Packed, Installed>,
): Promise<{ readonly lines: readonly string[]; readonly over: readonly string[] }> {
  const rows = [['package', 'tarball', 'limit', 'unpacked', 'limit', 'installed', 'limit', 'packages']];
  const over: string[] = [];
  for (const each of packed) {
    const name = basename(each.manifest.name);
    const alone = installed.get(each);
    const bytes = [(await stat(each.tarball)).size, await sizeOf(each.folder), alone?.bytes ?? 0];
    const most = limits[name];
    if (most === undefined) over.push(`${name}: it has no limits`);
    const cells = bytes.flatMap((size, index) => {
      const [is, limit] = [Math.ceil(size / 1000), most?.[index] ?? 0];
      if (is > limit) over.push(`${name}: ${rows[0]?.[1 + 2 * index]} ${is} kB, limit ${limit} kB`);
      return [`${is} kB`, `${limit} kB`];
    });
    rows.push([name, ...cells, String(alone?.packages ?? 0)]);
  }
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = ([first = '', ...rest]: readonly string[]) =>
    [first.padEnd(widths[0] ?? 0), ...rest.map((cell, index) => cell.padStart(widths[index + 1] ?? 0))].join('  ');
  return { lines: rows.map(line), over };
}
