import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { copyFolder } from './folder-copy.ts';
import { cacheFolder, preparedFolder } from './prepared-folder.ts';

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'prepared-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true, force: true });
});

describe('a prepared folder', () => {
  let builds = 0;
  const build = async (folder: string) => {
    builds++;
    await mkdir(join(folder, 'a'));
    await writeFile(join(folder, 'a', 'one'), '1');
    await writeFile(join(folder, 'two'), '22');
  };
  beforeEach(() => {
    builds = 0;
  });

  it('is made once and kept', async () => {
    const first = await preparedFolder({ cache, key: 'k', build });
    expect(await preparedFolder({ cache, key: 'k', build })).toBe(first);
    expect(builds).toBe(1);
    expect(await readFile(join(first, 'a', 'one'), 'utf8')).toBe('1');
  });

  it('is whole for everybody who makes it at the same time, and leaves no draft', async () => {
    const folders = await Promise.all(Array.from({ length: 10 }, () => preparedFolder({ cache, key: 'k', build })));
    expect(new Set(folders).size).toBe(1);
    expect(await readdir(cache)).toEqual(['k']);
    expect(await readFile(join(folders[0] ?? '', 'two'), 'utf8')).toBe('22');
  });

  it.each([
    ['a file is gone', (folder: string) => rm(join(folder, 'a', 'one'))],
    ['a file is shorter', (folder: string) => writeFile(join(folder, 'two'), '2')],
    ['its list of files is gone', (folder: string) => rm(join(folder, '..', 'manifest.json'))],
    ['all of it is gone', (folder: string) => rm(folder, { recursive: true })],
  ])('is made again if %s', async (_, damage) => {
    await damage(await preparedFolder({ cache, key: 'k', build }));
    const again = await preparedFolder({ cache, key: 'k', build });
    expect(builds).toBe(2);
    expect(await readFile(join(again, 'a', 'one'), 'utf8')).toBe('1');
    expect(await readFile(join(again, 'two'), 'utf8')).toBe('22');
    expect(await readdir(cache)).toEqual(['k']);
  });

  it('leaves nothing if making it fails', async () => {
    const failing = preparedFolder({ cache, key: 'k', build: () => Promise.reject(new Error('no')) });
    await expect(failing).rejects.toThrowError('no');
    expect(await readdir(cache)).toEqual([]);
  });

  it('clears away what a process that was killed had begun, but not what others are making', async () => {
    await mkdir(join(cache, '.k.old'));
    await utimes(join(cache, '.k.old'), new Date(0), new Date(0));
    await mkdir(join(cache, '.k.new'));
    await mkdir(join(cache, '.other.old'));
    await preparedFolder({ cache, key: 'k', build });
    expect((await readdir(cache)).sort()).toEqual(['.k.new', '.other.old', 'k']);
  });

  it('is kept where the environment says, unless the caller does', async () => {
    vi.stubEnv('EXTERNALNAME_CACHE_FOLDER', join(cache, 'environment'));
    expect(await cacheFolder()).toBe(join(cache, 'environment'));
    expect(await cacheFolder(join(cache, 'given'))).toBe(join(cache, 'given'));
    expect((await readdir(cache)).sort()).toEqual(['environment', 'given']);
  });
});

describe('a copy of a folder', () => {
  it.each([true, false])('has what the original has, but for what is left out (live: %s)', async (live) => {
    const [from, to] = [join(cache, 'from'), join(cache, 'to')];
    await mkdir(join(from, 'kept', 'deep'), { recursive: true });
    await mkdir(join(from, 'emptied'));
    const large = Buffer.alloc(300_001, 'x');
    await writeFile(join(from, 'kept', 'deep', 'large'), large);
    await writeFile(join(from, 'kept', 'empty'), '');
    await writeFile(join(from, 'emptied', 'gone'), 'x');
    await writeFile(join(from, 'end'), 'last');
    const skip = (path: string) => path.startsWith('emptied/');
    await copyFolder(from, to, { live, skip, last: ['end', 'not there'] });
    expect((await readdir(to, { recursive: true })).sort()).toEqual([
      'emptied',
      'end',
      'kept',
      'kept/deep',
      'kept/deep/large',
      'kept/empty',
    ]);
    expect((await readFile(join(to, 'kept', 'deep', 'large'))).equals(large)).toBe(true);
    expect(await readFile(join(to, 'end'), 'utf8')).toBe('last');
  });

  it('tolerates files that come and go meanwhile, if it is told that they do', async () => {
    const from = join(cache, 'from');
    await mkdir(from);
    const names = Array.from({ length: 200 }, (_, n) => join(from, String(n)));
    await Promise.all(names.map((name) => writeFile(name, 'x'.repeat(10_000))));
    const copying = copyFolder(from, join(cache, 'to'), { live: true });
    await Promise.all(names.map((name) => rm(name)));
    await copying;
    expect(await readdir(from)).toEqual([]);
  });

  it('fails if the target exists already', async () => {
    await mkdir(join(cache, 'from'));
    await mkdir(join(cache, 'to'));
    await expect(copyFolder(join(cache, 'from'), join(cache, 'to'))).rejects.toMatchObject({ code: 'EEXIST' });
  });
});
