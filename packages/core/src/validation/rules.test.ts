import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { validationRules } from './index.ts';

describe('the rules', () => {
  it('each have a source and a hint', () => {
    for (const [code, { source, hint }] of Object.entries(validationRules)) {
      expect(source, code).toMatch(/\w{3}/);
      expect(hint, code).toMatch(/\.$/);
    }
  });

  it('stand in the guide with both, each once', () => {
    const guide = readFileSync(new URL('../../../../docs/guides/validation.md', import.meta.url), 'utf8');
    const rows = [...guide.matchAll(/^\| `([a-z-]+)` \| (.*) \| (.*) \|$/gm)].map(([, code, hint, source]) => [
      code,
      { source, hint },
    ]);
    const known = new Set(Object.keys(validationRules));
    expect(rows.filter(([code]) => known.has(String(code)))).toEqual(Object.entries(validationRules));
  });
});
