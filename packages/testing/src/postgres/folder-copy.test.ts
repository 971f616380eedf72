import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyFolder } from './folder-copy.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'folder-copy-'));
  await mkdir(join(folder, 'source/below'), { recursive: true });
  const content = Buffer.alloc(64 * 1024, 'x');
  await Promise.all(
    Array.from({ length: 200 }, (_, index) => writeFile(join(folder, 'source', `file-${index}`), content)),
  );
  await writeFile(join(folder, 'source/below/deep'), 'deep');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('a copy of a folder', () => {
  it('has all that was in it', async () => {
    await copyFolder(join(folder, 'source'), join(folder, 'target'));
    expect((await readdir(join(folder, 'target'), { recursive: true })).sort()).toEqual(
      (await readdir(join(folder, 'source'), { recursive: true })).sort(),
    );
  });

  it.each([
    ['a stopped server', false],
    ['a running server', true],
  ])('writes nothing any more once it has failed: of %s', async (_, live) => {
    const target = join(folder, 'target');
    let asked = 0;
    // Fails one of the copies that go on at the same time, and not the others.
    const signal = {
      throwIfAborted() {
        asked += 1;
        if (asked === 10) throw new Error('given up');
      },
    } as AbortSignal;
    await expect(copyFolder(join(folder, 'source'), target, { live, signal })).rejects.toThrow('given up');
    const written = (await readdir(target)).length;
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect((await readdir(target)).length).toBe(written);
  });
});
