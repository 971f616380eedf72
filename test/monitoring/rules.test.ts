import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has, promtool } from './support/programs.ts';

const rules = resolve(import.meta.dirname, '../../packages/prometheus/monitoring/rules.yaml');
const planted = join(import.meta.dirname, 'rules.promtool.yaml');

describe.skipIf(!has('promtool'))('the alert rules', () => {
  it('are in order, for promtool', async () => {
    expect(await promtool(['check', 'rules', '--lint=all', '--lint-fatal', rules])).toMatchObject({ status: 0 });
  });

  it('fire if their cause is planted, and do not on a healthy day', async () => {
    expect(await promtool(['test', 'rules', planted])).toMatchObject({ status: 0 });
  });

  it('each have a planted cause', async () => {
    const tests = await readFile(planted, 'utf8');
    const names = [...(await readFile(rules, 'utf8')).matchAll(/alert: (\w+)/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThanOrEqual(8);
    for (const name of names)
      expect(tests).toMatch(new RegExp(`"${name}",alertstate="firing"\\}\\)\\n.*\\n.*value: 1`));
  });
});
