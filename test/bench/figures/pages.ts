import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { benchmarks } from './benchmarks.ts';
import { blocks } from './blocks.ts';
import { drillBlock } from './drill-block.ts';
import { type KeptDrill, readDrills } from './drills.ts';
import { docs, type Figures, readFigures } from './figures-file.ts';
import { root } from './run.ts';

/** All that pages take their figures from. */
export interface Measured {
  readonly figures: Figures;
  readonly drills: Readonly<Record<string, KeptDrill>>;
}

export function readMeasured(folder: string = docs): Measured {
  return { figures: readFigures(folder), drills: readDrills(folder) };
}

/** From `<!-- figures:NAME -->` to `<!-- /figures -->`; in a line of text or around lines. `drill-NAME` is the plot of a drill. */
const marked = /(<!-- figures:([\w-]+) -->)([\s\S]*?)(<!-- \/figures -->)/g;

/** Pages, from the root of the repository, that have figures between markers. */
export function pagesWithFigures(): readonly string[] {
  const written = ['docs', 'packages', 'examples'].flatMap(pagesBelow);
  return ['README.md', ...written]
    .filter((page) => readFileSync(join(root, page), 'utf8').match(marked) !== null)
    .sort();
}

// What is installed or built is not looked into: it is many times as much as all that is written.
function pagesBelow(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return /^(node_modules|dist)$/.test(entry.name) ? [] : pagesBelow(path);
    return entry.isFile() && path.endsWith('.md') ? [path] : [];
  });
}

/**
 * The text of a page, by its path from the root of the repository, with its figures as they were measured. What stands in the block of a
 * benchmark that was not measured yet stays.
 */
export function withFigures(page: string, text: string, { figures, drills }: Measured): string {
  return text.replace(marked, (block, begin: string, name: string, _old: string, end: string) => {
    if (benchmarks.some((each) => each.name === name) && !(name in figures)) return block;
    if (name.startsWith('drill-')) {
      const drill = name.slice('drill-'.length);
      const picture = posix.relative(posix.dirname(page), `docs/drills/${drill}.svg`);
      return `${begin}${drillBlock(drills[drill], picture)}${end}`;
    }
    const render = blocks[name];
    if (render === undefined) {
      throw new Error(`no block of figures is called '${name}': there are ${Object.keys(blocks).join(', ')}`);
    }
    return `${begin}${render(figures)}${end}`;
  });
}

/** The text of a page without what the figures wrote. */
export function withoutFigures(text: string): string {
  return text.replace(marked, '');
}

/** Writes the figures into all pages, or into copies of them in another folder, and returns the pages that changed. */
export function writePages(measured: Measured, into: string = root): readonly string[] {
  return pagesWithFigures().filter((page) => {
    const old = readFileSync(join(root, page), 'utf8');
    const text = withFigures(page, old, measured);
    const target = join(into, page);
    if (text !== old || into !== root) {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
    return text !== old;
  });
}
