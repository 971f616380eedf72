import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseManifests } from '@externalname/core/manifests';
import { validate } from '@externalname/core/validation';
import { describe, expect, it } from 'vitest';
import { codeBlocks, root } from './code-blocks.ts';

// TypeScript is compiled by compiled.long.test.ts and run by test/acceptance/documentation.test.ts, commands are in commands.test.ts.
describe('the other blocks that pages show', () => {
  const named = (languages: readonly string[]) =>
    codeBlocks(languages).map((block) => [`${block.page}:${block.line}`, block] as const);

  it.each(named(['json']))('%s is JSON', (_, { code }) => {
    expect(() => JSON.parse(code)).not.toThrow();
  });

  it.each(named(['yaml']).filter(([, { code }]) => /^kind: /m.test(code)))(
    '%s has manifests that an API server takes',
    (_, { code }) => {
      expect(parseManifests(code).length).toBeGreaterThan(0);
      expect(validate(code).filter(({ severity }) => severity === 'error')).toEqual([]);
    },
  );

  /** Programs in JavaScript, by the test that runs the page. */
  const programs: Readonly<Record<string, string>> = {
    'docs/start.md': 'test/package/guide-checks.ts',
    'docs/guides/first-hour.md': 'test/acceptance/first-hour.long.test.ts',
    'docs/guides/postgres-pair.md': 'test/package/guide-checks.ts',
    'docs/libraries/nextjs.md': 'test/compat/next.test.ts',
  };

  it('are programs that a test of their page runs, if they are JavaScript', () => {
    const pages = [...new Set(codeBlocks(['js', 'javascript', 'mjs', 'jsx', 'tsx']).map(({ page }) => page))];
    expect(pages.toSorted()).toEqual(Object.keys(programs).toSorted());
    for (const [page, test] of Object.entries(programs)) {
      const name = page.replace(/^.*\//, '');
      expect(readFileSync(join(root, test), 'utf8'), test).toContain(name);
    }
  });
});
