import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const here = dirname(fileURLToPath(import.meta.url));
const guide = join(here, '../../docs/guides/postgres-pair.md');

describe('the failover test of the guide', () => {
  let folder: string;
  beforeAll(async () => {
    // Beside this file, so that it finds the same packages.
    folder = await mkdtemp(join(here, '.guide-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('passes with vitest as it stands', async () => {
    await writeFile(join(folder, 'failover.test.ts'), await block('failover.test.ts'));
    await writeFile(join(folder, 'vitest.config.ts'), config);
    const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
    const output = await run([vitest, 'run', '--root', folder, '--reporter=verbose']);
    expect(output).toMatch(/Tests\s+1 passed/);
  });

  it('passes with node:test as it stands', async () => {
    await writeFile(join(folder, 'failover.test.mjs'), await block('failover.test.mjs'));
    const flags = ['--conditions=@externalname/source', '--import', 'tsx', '--test', '--test-reporter=tap'];
    const output = await run([...flags, join(folder, 'failover.test.mjs')]);
    expect(output).toMatch(/^# pass 1$/m);
    expect(output).toMatch(/^# fail 0$/m);
  });
});

const config = `export default {
  resolve: { conditions: ['@externalname/source', 'node'] },
  ssr: { resolve: { conditions: ['@externalname/source', 'node'], externalConditions: ['@externalname/source', 'node'] } },
};\n`;

async function block(file: string): Promise<string> {
  const text = await readFile(guide, 'utf8');
  const found = [...text.matchAll(/^```(?:ts|js)\n\/\/ (.*)\n([\s\S]*?)^```$/gm)].find(([, name]) => name === file);
  if (found?.[2] === undefined) throw new Error(`the guide has no block that begins with "// ${file}"`);
  return found[2];
}

function run(parameters: string[]): Promise<string> {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, VITEST: ___, ...env } = process.env;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, parameters, { cwd: here, env: { ...env, NO_COLOR: '1' } }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${stdout}\n${stderr}`, { cause: error }));
    });
  });
}
