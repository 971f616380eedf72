import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitepress';
import { withMermaid } from 'vitepress-plugin-mermaid';
import { scrollableDiagrams, searchAsDialog } from './accessibility.ts';
import { linksOfRepository } from './links.ts';
import { assemblePages, repository } from './pages.ts';
import { sidebar } from './sidebar.ts';

const { repository: address } = JSON.parse(readFileSync(`${repository}/package.json`, 'utf8')) as {
  repository?: { url: string };
};

// Before the site looks for its pages.
const documents = assemblePages();

/** The site: the documents of the repository where they lie, so that a page reads the same here, in a clone and on a code host. */
export default withMermaid(
  defineConfig({
    title: 'externalname',
    description:
      'Kubernetes ExternalName Services that survive a switch: an SDK for Node.js, and a resilient PostgreSQL client',
    lang: 'en',
    // The path below which a host shows it, as GitHub Pages do for a repository: `/externalname/`.
    base: process.env['SITE_BASE'] ?? '/',
    srcDir: './dist/pages',
    outDir: './dist/site',
    cacheDir: './dist/cache',
    cleanUrls: true,
    lastUpdated: false,
    markdown: {
      theme: { light: 'github-light-high-contrast', dark: 'github-dark-high-contrast' },
      // The text of errors, commands and types stands for itself: `{{ }}` of a template of ours is not one of Vue's.
      attrs: { disable: true },
      config: (markdown) => {
        markdown.use(linksOfRepository, documents, address?.url);
        markdown.use(scrollableDiagrams);
      },
    },
    themeConfig: {
      nav: [
        { text: 'Start', link: '/start' },
        { text: 'Concepts', link: '/concepts' },
        { text: 'Guides', link: '/guides/disaster-recovery', activeMatch: '/guides/' },
        { text: 'Reference', link: '/options', activeMatch: '/packages/|/options|/errors|/events' },
      ],
      sidebar,
      outline: [2, 3],
      search: { provider: 'local' },
      externalLinkIcon: true,
    },
    vite: { plugins: [searchAsDialog], build: { chunkSizeWarningLimit: 2_000 } },
  }),
);
