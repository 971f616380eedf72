import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { PostgresBinaries } from './binaries.ts';

/** One run of the server program, from its start to its end. */
export interface Postmaster {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

/** Starts the server program on the data folder in `folder`. `log` is the file descriptor for its output. */
export function spawnPostmaster(binaries: PostgresBinaries, folder: string, log: number): Postmaster {
  const child = spawn(binaries.postgres, [`-D${join(folder, 'data')}`], {
    ...binaries.account.identity,
    cwd: folder,
    // Ctrl-C in the terminal is for this process, not for the server.
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  child.unref();
  return { child, ended };
}

/** Whether the server accepts connections. `pg_ctl` reads the same line of the same file. */
export async function isReady(dataFolder: string, pid: number | undefined): Promise<boolean> {
  const lines = await postmasterFile(dataFolder);
  return lines[0]?.trim() === String(pid) && lines[7]?.trim() === 'ready';
}

/** Removes what a killed postmaster leaves: its file, and a small segment of System V shared memory, of which a system has few. */
export async function removeLeftovers(dataFolder: string): Promise<void> {
  const segment = /^\s*\d+\s+(\d+)\s*$/.exec((await postmasterFile(dataFolder))[6] ?? '')?.[1];
  if (segment !== undefined) {
    // Without ipcrm the file stays: the next start in this folder reads it and takes the segment back.
    const removed = await new Promise<boolean>((resolve) => {
      execFile('ipcrm', ['-m', segment], (error) => resolve(error === null));
    });
    if (!removed) return;
  }
  await rm(join(dataFolder, 'postmaster.pid'), { force: true });
}

/** Whether a server accepts TCP connections there. */
export function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

async function postmasterFile(dataFolder: string): Promise<string[]> {
  const text = await readFile(join(dataFolder, 'postmaster.pid'), 'utf8').catch(() => '');
  return text.split('\n');
}
