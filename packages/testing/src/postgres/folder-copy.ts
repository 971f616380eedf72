import { chown, constants, copyFile, lstat, mkdir, open, readdir, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/** See {@link copyFolder}. */
export interface FolderCopyOptions {
  /** Owner of the copy. @defaultValue the user of this process */
  owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Whether other processes write in the source meanwhile. If so, a file may vanish or shrink without an error. @defaultValue false */
  live?: boolean | undefined;
  /** Whether to leave out a file, or a folder with its content. Gets the path below the source. @defaultValue copies everything */
  skip?: ((path: string) => boolean) | undefined;
  /** Files that are copied after all others. @defaultValue none */
  last?: readonly string[] | undefined;
  /** Ends the copying before the next file. Files that were copied stay. */
  signal?: AbortSignal | undefined;
}

/**
 * Copies a folder and its content to `target`, which must not exist. Uses copy-on-write if the file system can.
 */
export async function copyFolder(source: string, target: string, options: FolderCopyOptions = {}): Promise<void> {
  const { owner, live = false, skip = () => false, last = [], signal } = options;
  const own = async (path: string) => {
    if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  };
  const files: string[] = [];
  const visit = async (path: string): Promise<void> => {
    const from = join(source, path);
    const to = join(target, path);
    await mkdir(to, { mode: (await lstat(from)).mode & 0o777 });
    await own(to);
    for (const entry of await readdir(from, { withFileTypes: true })) {
      const child = join(path, entry.name);
      if (skip(child)) continue;
      if (entry.isDirectory()) await ignoreVanished(visit(child), live);
      else if (entry.isSymbolicLink()) await symlink(await readlink(join(source, child)), join(target, child));
      else if (entry.isFile()) files.push(child);
    }
  };
  await visit('');
  const copyOne = async (path: string, buffer: Buffer) => {
    signal?.throwIfAborted();
    const to = join(target, path);
    if (live) await copyWhileWritten(join(source, path), to, buffer);
    else await copyFile(join(source, path), to, constants.COPYFILE_FICLONE);
    await own(to);
  };
  const queue = files.filter((path) => !last.includes(path)).values();
  const worker = async () => {
    const buffer = Buffer.allocUnsafe(live ? copyChunkBytes : 0);
    for (const path of queue) await ignoreVanished(copyOne(path, buffer), live);
  };
  // Not Promise.all: if one fails, the others are still writing, and a removal of the target would meet new files.
  const ends = await Promise.allSettled(Array.from({ length: parallelCopies }, worker));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  for (const path of last)
    if (files.includes(path)) await ignoreVanished(copyOne(path, Buffer.alloc(copyChunkBytes)), live);
}

// copyFile() reads the size first, and never ends if the file is truncated before it gets there.
async function copyWhileWritten(from: string, to: string, buffer: Buffer): Promise<void> {
  const source = await open(from, 'r');
  try {
    const { mode } = await source.stat();
    const target = await open(to, 'wx', mode & 0o777);
    try {
      for (;;) {
        const { bytesRead } = await source.read(buffer, 0, buffer.length, null);
        if (bytesRead === 0) return;
        await target.writeFile(buffer.subarray(0, bytesRead));
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function ignoreVanished(work: Promise<void>, live: boolean): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!live || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

// The thread pool of Node.js has four threads; more in flight only keeps them busy.
const parallelCopies = 8;
const copyChunkBytes = 128 * 1024;
