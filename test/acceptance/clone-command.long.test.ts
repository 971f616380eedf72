import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

// What needs pnpm as well is tried by `pnpm check:packages`.
describe('the command of testing, in a clone without a build', () => {
  it.each([
    ['npx', ['--package', '@externalname/testing', 'local-cluster']],
    ['npx', ['local-cluster']],
    ['node', ['packages/testing/bin/local-cluster.mjs']],
    [`packages/testing/bin/local-cluster.mjs`, []],
  ] as const)('runs as: %s %j', { timeout: 60_000 }, async (program, args) => {
    // A registry does not have it: asking one would be an error.
    const env = { ...process.env, npm_config_offline: 'true' };
    const { stdout } = await promisify(execFile)(program, [...args, '--help'], { cwd: root, env });
    expect(stdout).toMatch(/^Usage: local-cluster/);
  });

  it('hands its arguments on, and ends with the code of what it runs', { timeout: 60_000 }, async () => {
    const bin = resolve(root, 'packages/testing/bin/local-cluster.mjs');
    await expect(promisify(execFile)(process.execPath, [bin, '--nonsense'])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--nonsense'),
    });
  });
});
