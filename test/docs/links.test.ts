import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sidebar } from '../../docs/site/.vitepress/sidebar.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = pagesBelow(root).map((file) => relative(root, file));

describe('the documentation', () => {
  it.each(pages)('%s links to what exists', (page) => {
    const text = readFileSync(join(root, page), 'utf8');
    const anchors = (file: string) =>
      [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
    const broken = linksOf(text).filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? join(root, page) : resolve(join(root, dirname(page)), path);
      if (!existsSync(target)) return true;
      return anchor !== undefined && target.endsWith('.md') && !anchors(target).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it.each(['guides', 'decisions'])('has an index that lists every page of docs/%s', (folder) => {
    const index = folder === 'guides' ? 'docs/README.md' : `docs/${folder}/README.md`;
    const listed = new Set(
      linksOf(readFileSync(join(root, index), 'utf8')).map((link) => resolve(join(root, dirname(index)), link)),
    );
    const directory = join(root, 'docs', folder);
    const written = existsSync(directory) ? readdirSync(directory).filter((file) => file !== 'README.md') : [];
    expect(written.filter((file) => !listed.has(join(directory, file)))).toEqual([]);
  });
});

describe('the sidebar of the site', () => {
  const links = sidebar.flatMap(({ items }) => items.map(({ link }) => link.split('#')[0]));
  const files = (folder: string) =>
    pages.filter((page) => page.startsWith(`${folder}/`) && !page.endsWith('README.md'));

  it.each(['docs/guides', 'docs/libraries'])('names every page of %s', (folder) => {
    const expected = files(folder).map((page) => page.replace(/^docs|\.md$/g, ''));
    expect(expected.filter((link) => !links.includes(link))).toEqual([]);
  });

  it('names every example', () => {
    const expected = pages
      .filter((page) => /^examples\/[^/]+\/README\.md$/.test(page))
      .map((page) => `/${dirname(page)}/`);
    expect(expected.filter((link) => !links.includes(link))).toEqual([]);
  });

  it('names no page twice', () => {
    const counted = sidebar.flatMap(({ items }) => items.map(({ link }) => link));
    expect(counted.filter((link, index) => counted.indexOf(link) !== index)).toEqual([]);
  });
});

function pagesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist', '.git'].includes(entry.name) ? [] : pagesBelow(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

function linksOf(text: string): readonly string[] {
  const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link));
}

// As the hosts of repositories make them: lower case, punctuation dropped, spaces to hyphens.
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
}
