// The code that the documentation shows.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

/** One fenced block of a page. */
export interface CodeBlock {
  /** Path of the page from the root of the repository. */
  readonly page: string;
  /** Line of its first line of code, from 1. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
}

/** All blocks of the READMEs and of `docs/`, in the order of pages and lines. */
export function codeBlocks(languages: readonly string[]): readonly CodeBlock[] {
  return pages().flatMap((page) => {
    const text = readFileSync(join(root, page), 'utf8');
    return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap((match) => {
      const [, language = '', code = ''] = match;
      if (!languages.includes(language)) return [];
      return [{ page, line: text.slice(0, match.index).split('\n').length + 1, language, code }];
    });
  });
}

function pages(): readonly string[] {
  const documents = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.startsWith('api/') && !path.startsWith('site/'))
    .map((path) => join('docs', path));
  return [...readmes(), ...documents].sort();
}

/** The README of the repository, and those of packages and examples. */
export function readmes(): readonly string[] {
  const below = ['packages', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => join(folder, name, 'README.md')),
  );
  return ['README.md', ...below].filter((page) => existsSync(join(root, page)));
}
