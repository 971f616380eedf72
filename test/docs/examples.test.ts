import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseManifests, toYaml } from '@externalname/core/manifests';
import { validate } from '@externalname/core/validation';
import { describe, expect, it } from 'vitest';
import { root } from './code-blocks.ts';

const examples = readdirSync(join(root, 'examples')).filter((name) => existsSync(inExample(name, 'package.json')));
const withManifests = examples.filter((name) => existsSync(inExample(name, 'manifests.yaml')));
const tests = ['examples', 'test/acceptance'].flatMap(testsBelow);

describe.each(examples)('the example %s', (name) => {
  it('has a README that says how to run it', () => {
    const readme = readFileSync(inExample(name, 'README.md'), 'utf8');
    expect(readme).toMatch(new RegExp(`pnpm (--filter @externalname-examples/${name} |--dir examples/${name} |demo)`));
  });

  it('has manifests for a cluster, or says whose it takes', () => {
    const readme = readFileSync(inExample(name, 'README.md'), 'utf8');
    // One prints manifests, and one is a test.
    const without = ['manifests', 'local-cluster'].includes(name);
    expect(without || /\]\((?:\.\.\/[a-z-]+\/)?manifests\.yaml\)/.test(readme)).toBe(true);
  });

  it('is run by a test', () => {
    const runs = new RegExp(`^examples/${name}/|examples/${name}/src|'@externalname-examples/${name}'`);
    expect(tests.some(({ file, text }) => runs.test(file) || runs.test(text))).toBe(true);
  });

  it('is named in the table of contents and on the site', () => {
    const contents = readFileSync(join(root, 'docs/README.md'), 'utf8');
    const sidebar = readFileSync(join(root, 'docs/site/.vitepress/sidebar.ts'), 'utf8');
    expect(contents).toContain(`(../examples/${name}/README.md)`);
    expect(sidebar).toContain(`'/examples/${name}/'`);
  });
});

describe.each(withManifests)('the manifests of the example %s', (name) => {
  const text = readFileSync(inExample(name, 'manifests.yaml'), 'utf8');

  it('hold nothing that an API server would refuse, nor a warning', () => {
    expect(validate(text)).toEqual([]);
  });

  it('are those that its program makes', async () => {
    const { manifests } = (await import(inExample(name, 'src/manifests.ts'))) as {
      manifests: () => Parameters<typeof toYaml>[0];
    };
    expect(text).toBe(toYaml(manifests()));
    expect(parseManifests(text).length).toBeGreaterThan(0);
  });
});

function testsBelow(folder: string): readonly { readonly file: string; readonly text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(?:test|node)\.ts$/.test(path) && !path.includes('node_modules'))
    .map((path) => join(folder, path))
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));
}

function inExample(name: string, file: string): string {
  return join(root, 'examples', name, file);
}
