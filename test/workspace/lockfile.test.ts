import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8');

describe('the lockfile', () => {
  it('holds no address of a registry, so that it installs from whichever one a machine is set to', () => {
    expect(lockfile.match(/^.*(?:https?:\/\/|tarball:|git\+|codeload).*$/gm) ?? []).toEqual([]);
  });

  it('has a checksum for every package', () => {
    const resolutions = lockfile.match(/^ {4}resolution: .*$/gm) ?? [];
    expect(resolutions.length).toBeGreaterThan(100);
    expect(resolutions.filter((line) => !/\{integrity: sha512-[A-Za-z0-9+/]+=*\}$/.test(line))).toEqual([]);
  });
});
