import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { metrics } from '../../packages/prometheus/src/index.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

describe('what is made of the table of metrics', () => {
  it('is up to date: the dashboard, the rules, the manifest, and the tables of the guide', async () => {
    const args = [
      '--conditions=@externalname/source',
      '--import',
      'tsx',
      'packages/prometheus/generate/main.ts',
      '--check',
    ];
    await expect(promisify(execFile)(process.execPath, args, { cwd: root })).resolves.toMatchObject({ stderr: '' });
  });

  const known: readonly string[] = Object.values(metrics).map(({ name }) => name);
  const nameOf = (text: string) => text.replace(/_(bucket|count|sum)$/, '');

  it.each(['monitoring/dashboard.json', 'monitoring/rules.yaml', 'monitoring/prometheus-rule.yaml'])(
    '%s names no metric that does not exist',
    (file) => {
      const named = read(`packages/prometheus/${file}`).match(/externalname_[a-z_]+/g) ?? [];
      expect(named.length).toBeGreaterThan(10);
      expect(named.filter((name) => !known.includes(name) && !known.includes(nameOf(name)))).toEqual([]);
    },
  );

  it('shows every metric on the dashboard', () => {
    const text = read('packages/prometheus/monitoring/dashboard.json');
    expect(known.filter((name) => !text.includes(name))).toEqual([]);
  });
});

describe('each alert', () => {
  const runbooks = [
    ...read('packages/prometheus/monitoring/rules.yaml').matchAll(/alert: (\w+)[\s\S]*?runbook: (\S+)/g),
  ];

  it.each(runbooks.map(([, alert = '', runbook = '']) => [alert, runbook]))('%s has a runbook', (alert, runbook) => {
    const text = read(runbook);
    expect(text).toContain(`\`${alert}\``);
    expect(text.match(/^## .*/gm)).toEqual(['## What users feel', '## What to look at', '## What to do']);
  });
});
