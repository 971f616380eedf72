import { existsSync, statSync } from 'node:fs';
import { dirname, join, posix, relative, resolve } from 'node:path';
import type { MarkdownRenderer } from 'vitepress';
import { isPage, pageOf, pagesFolder, repository } from './pages.ts';

/**
 * Links of a document lead from file to file, as a clone and a code host need them. On the site they lead from page to page; a link to a
 * file that is not a page leads to the repository, or is plain text as long as the repository has no address.
 */
export function linksOfRepository(
  markdown: MarkdownRenderer,
  documents: ReadonlyMap<string, string>,
  address: string | undefined,
): void {
  markdown.core.ruler.push('links-of-repository', ({ tokens, env }) => {
    const document = documents.get(relative(pagesFolder, env.path));
    if (document === undefined) return;
    for (const { children } of tokens) {
      let dropped = false;
      for (const token of children ?? []) {
        if (token.type === 'link_close' && dropped) {
          dropped = false;
          Object.assign(token, { type: 'text', tag: '', nesting: 0, content: '' });
        }
        if (token.type !== 'link_open') continue;
        const target = targetOf(join(repository, document), token.attrGet('href') ?? '', address);
        if (target !== undefined) token.attrSet('href', target);
        else {
          dropped = true;
          Object.assign(token, { type: 'text', tag: '', nesting: 0, content: '' });
        }
      }
    }
  });
}

function targetOf(document: string, href: string, address: string | undefined): string | undefined {
  if (/^([a-z]+:|#|\/)/.test(href)) return href;
  const [path = '', anchor] = href.split('#');
  const file = resolve(dirname(document), decodeURIComponent(path));
  const fragment = anchor === undefined ? '' : `#${anchor}`;
  const readme = existsSync(file) && statSync(file).isDirectory() ? join(file, 'README.md') : file;
  const inRepository = relative(repository, readme);
  if (isPage(inRepository) && existsSync(readme)) {
    const page = posix
      .join('/', pageOf(inRepository))
      .replace(/index\.md$/, '')
      .replace(/\.md$/, '');
    return `${page}${fragment}`;
  }
  return address === undefined
    ? undefined
    : `${address.replace(/^git\+|\.git$/g, '')}/blob/main/${relative(repository, file)}${fragment}`;
}
