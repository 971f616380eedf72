import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from '@externalname/core/internal';

/** How the processes of one PostgreSQL server are recognized. */
export interface ServerProcessMarks {
  /** Passed to `postgres` as `-D<dataFolder>`. */
  readonly dataFolder: string;
  /** The server's `cluster_name`, which PostgreSQL puts into the title of every process that it forks. */
  readonly clusterName: string;
}

/** A living process. */
export interface ServerProcess {
  readonly pid: number;
  readonly stopped: boolean;
}

/**
 * Lists the living processes of a server.
 *
 * Process groups and parents do not show it: every backend makes a session of its own, and the backends of a dead postmaster
 * belong to init. Working folders do, but a container may not allow reading them. Every process may read command lines.
 */
export async function serverProcesses(marks: ServerProcessMarks): Promise<ServerProcess[]> {
  return process.platform === 'linux' ? fromProc(marks) : fromPs(await psOutput(), marks);
}

/** Kills all processes of a server, like a power cut, and returns when none is left. */
export async function killServerProcesses(marks: ServerProcessMarks, postmaster?: number): Promise<void> {
  // Backends that see their postmaster end tell their clients. Frozen ones see nothing.
  if (postmaster !== undefined) await freezeServerProcesses(marks, postmaster);
  await untilNone(
    async () => (await serverProcesses(marks)).map(({ pid }) => pid),
    (pid) => signal(pid, 'SIGKILL'),
  );
}

/** Stops all processes of a server, like a machine that hangs, and returns when none runs. */
export async function freezeServerProcesses(marks: ServerProcessMarks, postmaster: number): Promise<void> {
  signal(postmaster, 'SIGSTOP');
  await untilNone(
    async () => (await serverProcesses(marks)).filter(({ stopped }) => !stopped).map(({ pid }) => pid),
    (pid) => signal(pid, 'SIGSTOP'),
  );
}

/** Lets frozen processes go on: backends first, the postmaster last. */
export async function thawServerProcesses(marks: ServerProcessMarks, postmaster: number): Promise<void> {
  for (const { pid } of await serverProcesses(marks)) if (pid !== postmaster) signal(pid, 'SIGCONT');
  signal(postmaster, 'SIGCONT');
}

/** Sends a signal. It is not an error if the process has ended meanwhile. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

// A process that is being forked may show neither mark for an instant, so the list must be empty twice.
async function untilNone(list: () => Promise<number[]>, act: (pid: number) => void): Promise<void> {
  for (let none = 0; none < 2; ) {
    const pids = await list();
    none = pids.length === 0 ? none + 1 : 0;
    for (const pid of pids) act(pid);
    await sleep(pollMillis);
  }
}

function fromProc(marks: ServerProcessMarks): ServerProcess[] {
  const processes: ServerProcess[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
      if (!bearsMark(line, marks)) continue;
      // The state follows the program's name in brackets, which may hold any character (proc_pid_stat(5)).
      const status = readFileSync(`/proc/${name}/stat`, 'latin1');
      const state = status.charAt(status.lastIndexOf(')') + 2);
      if (state !== 'Z' && state !== 'X') processes.push({ pid: Number(name), stopped: state === 'T' });
    } catch {
      // It has ended.
    }
  }
  return processes;
}

function fromPs(output: string, marks: ServerProcessMarks): ServerProcess[] {
  const processes: ServerProcess[] = [];
  for (const row of output.split('\n')) {
    const [, pid, state = '', line = ''] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(row) ?? [];
    if (pid === undefined || state.startsWith('Z') || !bearsMark(line, marks)) continue;
    processes.push({ pid: Number(pid), stopped: state.startsWith('T') });
  }
  return processes;
}

/** Whether a command line belongs to a process of the server. */
export function bearsMark(commandLine: string, { dataFolder, clusterName }: ServerProcessMarks): boolean {
  return (
    commandLine.startsWith(`postgres: ${clusterName}: `) || `${commandLine} `.includes(`postgres -D${dataFolder} `)
  );
}

function psOutput(): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('ps', ['-axww', '-o', 'pid=,state=,command='], { maxBuffer: 64 * 2 ** 20 }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(error);
    });
  });
}

const pollMillis = 2;
