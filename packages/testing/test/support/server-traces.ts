import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';

// What a server leaves on a machine, found in other ways than the package itself uses. Linux only.

/** Processes that live and whose working folder it is. */
export function processesIn(dataFolder: string): string[] {
  return processIds().filter((pid) => linkOf(`/proc/${pid}/cwd`).startsWith(dataFolder));
}

/** Living children of a process that run a program. */
export function childrenOf(parent: number, program: string): number[] {
  return processIds()
    .filter((pid) => {
      const status = textOf(`/proc/${pid}/stat`);
      const [state, parentId] = status.slice(status.lastIndexOf(')') + 2).split(' ');
      return state !== 'Z' && Number(parentId) === parent && textOf(`/proc/${pid}/cmdline`).startsWith(program);
    })
    .map(Number);
}

/** Command lines of all processes. */
export function commandLines(): string[] {
  return processIds().map((pid) => textOf(`/proc/${pid}/cmdline`));
}

/** Identifiers of the System V shared memory segments that a process has made (proc_sysvipc_shm). */
export function sharedMemoryMadeBy(pid: number): string[] {
  const rows = textOf('/proc/sysvipc/shm').trim().split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .flatMap((fields) => (fields[4] === String(pid) ? [fields[1] ?? ''] : []));
}

/** `connected`, or why not. */
export function answer({ address, port }: { address: string; port: number }): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port }, () => {
      socket.destroy();
      resolve('connected');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

function processIds(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
