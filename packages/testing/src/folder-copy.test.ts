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
    const controller = new AbortController();
    const target = join(folder, 'target');
    const copying = copyFolder(join(folder, 'source'), target, { live, signal: controller.signal });
    const failed = expect(copying).rejects.toThrow('given up');
    setImmediate(() => controller.abort(new Error('given up')));
    await failed;
    // Would meet ENOTEMPTY if somebody still wrote.
    await rm(target, { recursive: true });
    await new Promise((resolve) => setImmediate(resolve));
    await expect(readdir(target)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
