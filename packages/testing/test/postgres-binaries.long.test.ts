import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PostgresPair, PostgresUnavailableError } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const isRoot = process.getuid?.() === 0;

describe('PostgreSQL’s programs', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp('/tmp/binaries-');
    await chmod(folder, 0o755);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });

  it('are prepared once by two processes that start at the same time, and again if they were damaged', async () => {
    const cache = join(folder, 'cache');
    const codes = await Promise.all([startInOwnProcess(cache), startInOwnProcess(cache)]);
    expect(codes).toEqual([3, 3]);
    const prepared = await readdir(cache);
    expect(prepared.sort()).toEqual([
      expect.stringMatching(/^data-18\.\d+-[0-9a-f]{12}$/),
      expect.stringMatching(/^postgresql-.*-18\./),
    ]);
    const [data = '', programs = ''] = prepared;
    await rm(join(cache, data, 'contents/global/pg_control'));
    await rm(join(cache, programs, 'contents/bin/postgres'));
    await program(join(cache, programs, 'contents/bin/postgres'), 'echo cut short');
    const pair = await PostgresPair.start({ cacheFolder: cache });
    await pair.close();
    expect((await readdir(cache)).sort()).toEqual(prepared);
  }, 120_000);

  it('are taken from the folder that the environment names, and from nowhere else then', async () => {
    vi.stubEnv('EXTERNALNAME_POSTGRES_BIN', join(folder, 'nowhere'));
    await expect(PostgresPair.start()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE',
      message: expect.stringContaining(`${folder}/nowhere/postgres does not run`),
    });
  });

  it.each([
    ['are too old', 'postgres (PostgreSQL) 11.22', /is PostgreSQL 11\.22; version 12 or later is needed/],
    ['are something else', 'hello', /says "hello": this is not PostgreSQL/],
  ])('are refused if they %s', async (_, says, message) => {
    await program(join(folder, 'postgres'), `echo '${says}'`);
    await expect(PostgresPair.start({ binaries: folder })).rejects.toThrowError(message);
  });

  it('are refused with their own words if they do not run', async () => {
    await program(join(folder, 'postgres'), 'echo "libfoo.so.1: cannot open shared object file" >&2; exit 127');
    await expect(PostgresPair.start({ binaries: folder })).rejects.toThrowError(/libfoo\.so\.1: cannot open shared/);
  });

  it('report the output of initdb if that fails', async () => {
    await program(join(folder, 'postgres'), 'echo "postgres (PostgreSQL) 18.4"');
    await program(join(folder, 'initdb'), 'echo "initdb: error: the moon is full" >&2; exit 1');
    const cacheFolder = join(folder, 'cache');
    await expect(PostgresPair.start({ binaries: folder, cacheFolder })).rejects.toThrowError(/the moon is full/);
    expect(await readdir(cacheFolder)).toEqual([]);
  });

  it.runIf(isRoot)('say so in one sentence if there is no account to run them as', async () => {
    const start = PostgresPair.start({ account: 'nobody-at-all' });
    await expect(start).rejects.toBeInstanceOf(PostgresUnavailableError);
    await expect(start).rejects.toThrowError(/PostgreSQL refuses to run as root, and there is no account to run it as/);
    await expect(PostgresPair.start({ account: 'root' })).rejects.toThrowError(/refuses to run as root/);
  });

  it.runIf(isRoot)('say so if their account cannot reach the cache folder', async () => {
    await chmod(folder, 0o700);
    const cacheFolder = join(folder, 'cache');
    await expect(PostgresPair.start({ cacheFolder })).rejects.toThrowError(
      `PostgreSQL runs as nobody, which cannot reach the folder ${cacheFolder}`,
    );
  });

  it.runIf(isRoot)('run in /tmp if their account cannot reach the folder for temporary files', async () => {
    await mkdir(join(folder, 'closed'), { mode: 0o700 });
    vi.stubEnv('TMPDIR', join(folder, 'closed'));
    await using pair = await PostgresPair.start();
    expect(pair.primary.dataFolder).toMatch(/^\/tmp\/externalname-/);
  });
});

async function program(path: string, script: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}

async function startInOwnProcess(cache: string): Promise<unknown> {
  const holder = fileURLToPath(new URL('fixtures/pair-holder.mts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@externalname/source', '--import', 'tsx', holder, 'exit'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, EXTERNALNAME_CACHE_FOLDER: cache },
  });
  const [code] = await once(child, 'exit');
  expect(existsSync(cache)).toBe(true);
  return code;
}
