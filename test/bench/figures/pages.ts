import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blocks } from './blocks.ts';
import type { Figures } from './figures-file.ts';
import { root } from './run.ts';

/** From `<!-- figures:NAME -->` to `<!-- /figures -->`; in a line of text or around lines. */
const marked = /(<!-- figures:(\w+) -->)([\s\S]*?)(<!-- \/figures -->)/g;

/** Pages, from the root of the repository, that have figures between markers. */
export function pagesWithFigures(): readonly string[] {
  const written = ['docs', 'packages', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md') && !/(^|\/)node_modules\//.test(path))
      .map((path) => join(folder, path)),
  );
  return ['README.md', ...written]
    .filter((page) => readFileSync(join(root, page), 'utf8').match(marked) !== null)
    .sort();
}

/** The text of a page with its figures as the file has them. */
export function withFigures(text: string, figures: Figures): string {
  return text.replace(marked, (_, begin: string, name: string, _old: string, end: string) => {
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

/** Writes the figures into all pages, and returns the pages that changed. */
export function writePages(figures: Figures): readonly string[] {
  return pagesWithFigures().filter((page) => {
    const path = join(root, page);
    const old = readFileSync(path, 'utf8');
    const text = withFigures(old, figures);
    if (text !== old) writeFileSync(path, text);
    return text !== old;
  });
}
