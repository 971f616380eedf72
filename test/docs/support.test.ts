import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { supported } from '../package/supported.ts';

const root = resolve(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/support.md'), 'utf8');
const row = (name: string) => new RegExp(`^\\| ${name} \\| (.*?) \\|`, 'm').exec(page)?.[1] ?? '';
const manifest = (path: string) => JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));

describe('the table of what is supported', () => {
  it('names the versions of PostgreSQL that pnpm test:postgres runs on', () => {
    expect(row('PostgreSQL')).toBe(supported.postgres.join(', '));
  });

  it('names the versions of Node.js, and the oldest that the packages take', () => {
    const [oldest, ...later] = supported.node;
    expect(row('Node\\.js')).toBe([`${oldest} (from 20.19)`, ...later].join(', '));
    expect(manifest('.').engines.node).toBe('>=20.19');
  });

  it('names the oldest pg that the package takes', () => {
    expect(`>=${supported.oldestPg.replace(/\.0$/, '')} <9`).toBe(manifest('packages/pg').peerDependencies.pg);
    expect(row('`pg`')).toBe('8.16 to the newest 8');
  });

  it('names what the workflow runs', () => {
    const workflow = readFileSync(join(root, '.github/workflows/ci.yml'), 'utf8');
    expect(workflow).toContain(`postgres: [${supported.postgres.join(', ')}]`);
    expect(workflow).toContain(`runtime: [${supported.node.join(', ')}, bun, deno]`);
  });

  it('names scripts that are there', () => {
    const named = [...page.matchAll(/`pnpm ([a-z:]+)/g)].map(([, script = '']) => script);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((script) => manifest('.').scripts[script] === undefined)).toEqual([]);
  });
});
