import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** See {@link preparedFolder}. */
export interface PreparedFolderOptions {
  /** Folder that holds all prepared ones. See {@link cacheFolder}. */
  cache: string;
  /** Name of this one. It must contain everything that the content depends on. */
  key: string;
  /** Fills the folder, which exists and is empty. */
  build: (folder: string) => Promise<void>;
}

/**
 * Returns a folder that takes time to make and is kept for the next start.
 *
 * The folder is made under another name and then renamed, so that no process sees half of it and two processes may make it at
 * the same time. Before each use, all files are checked by size: if a cleaner of old files removed some, the folder is made again.
 */
export async function preparedFolder(options: PreparedFolderOptions): Promise<string> {
  const { cache, key, build } = options;
  const folder = join(cache, key);
  if (await isComplete(folder)) return join(folder, contents);
  await removeOldDrafts(cache, key);
  const unique = randomBytes(6).toString('hex');
  const draft = join(cache, `.${key}.${unique}`);
  try {
    await mkdir(join(draft, contents), { recursive: true });
    await chmod(draft, 0o755);
    await build(join(draft, contents));
    await writeFile(join(draft, manifest), JSON.stringify(await fileSizes(join(draft, contents))));
    await putInPlace(draft, folder, join(cache, `.${key}.${unique}.old`));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return join(folder, contents);
}

/**
 * Where prepared folders are kept.
 *
 * The first of: the given one; the environment's `EXTERNALNAME_CACHE_FOLDER`; `/var/cache/externalname` for root, because the
 * account that PostgreSQL runs as cannot reach root's own folder; `~/Library/Caches/externalname` on macOS;
 * `$XDG_CACHE_HOME/externalname` or `~/.cache/externalname`; and if that is not writable, a folder of this user's own in
 * the folder for temporary files.
 */
export async function cacheFolder(given?: string): Promise<string> {
  const named = given ?? process.env['EXTERNALNAME_CACHE_FOLDER'];
  if (named !== undefined && named !== '') {
    await mkdir(named, { recursive: true });
    return named;
  }
  const usual = usualCacheFolder();
  try {
    await mkdir(usual, { recursive: true, mode: 0o755 });
    await assertOwn(usual);
    // The account that runs root's servers must reach it, whatever the umask is.
    if (process.getuid?.() === 0) await chmod(usual, 0o755);
    return usual;
  } catch {
    const fallback = join(tmpdir(), `externalname-cache-${process.getuid?.() ?? 'user'}`);
    await mkdir(fallback, { recursive: true, mode: 0o755 });
    await assertOwn(fallback);
    return fallback;
  }
}

function usualCacheFolder(): string {
  if (process.getuid?.() === 0) return '/var/cache/externalname';
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'externalname');
  const base = process.env['XDG_CACHE_HOME'];
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'externalname');
}

// Programs are run from this folder, so no other user may write to it.
async function assertOwn(folder: string): Promise<void> {
  const { uid, mode } = await lstat(folder);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) {
    throw new Error(`${folder} belongs to another user, or other users may write in it`);
  }
}

async function putInPlace(draft: string, folder: string, away: string): Promise<void> {
  for (;;) {
    try {
      await rename(draft, folder);
      return;
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
    // Another process was faster, or the folder there is damaged.
    if (await isComplete(folder)) return;
    await rename(folder, away).catch(ignoreMissing);
    await rm(away, { recursive: true, force: true });
  }
}

// A process that was killed while it prepared a folder has left its draft.
async function removeOldDrafts(cache: string, key: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(`.${key}.`)) continue;
    const { mtimeMs } = await stat(join(cache, name)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs > oldDraftMillis) await rm(join(cache, name), { recursive: true, force: true });
  }
}

async function isComplete(folder: string): Promise<boolean> {
  let sizes: [string, number][];
  try {
    sizes = Object.entries(JSON.parse(await readFile(join(folder, manifest), 'utf8')) as Record<string, number>);
  } catch {
    return false;
  }
  const found = await Promise.all(
    sizes.map(([path, size]) =>
      stat(join(folder, contents, path)).then(
        (file) => file.size === size,
        () => false,
      ),
    ),
  );
  return found.every(Boolean);
}

async function fileSizes(folder: string): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    sizes[path.slice(folder.length + 1)] = (await stat(path)).size;
  }
  return sizes;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

const contents = 'contents';
const manifest = 'manifest.json';
// Making one takes seconds.
const oldDraftMillis = 3_600_000;
