import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PostgresPair } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

interface Held {
  readonly port: number;
  readonly addresses: string[];
  readonly folders: string[];
  readonly processIds: number[];
}

describe.runIf(process.platform === 'linux')('nothing is left of a pair', () => {
  // A folder of our own, so that pairs of other tests are not taken for leftovers.
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp('/tmp/leftovers-');
    await chmod(folder, 0o755);
    vi.stubEnv('TMPDIR', folder);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['calls process.exit', 'exit', undefined],
    ['dies of an error that nobody catches', 'throw', undefined],
    ['returns without closing it', 'forget', undefined],
    ['is interrupted (Ctrl-C)', 'wait', 'SIGINT'],
    ['is terminated', 'wait', 'SIGTERM'],
    ['is killed (kill -9)', 'wait', 'SIGKILL'],
    ['is killed while one of the servers is frozen', 'freeze', 'SIGKILL'],
  ] as const)('whose process %s', async (_, ending, signal) => {
    const { child, held } = await holdPair(ending);
    try {
      expect(held.folders).toHaveLength(2);
      if (signal !== undefined) {
        for (const data of held.folders) expect(processesIn(data).length).toBeGreaterThan(3);
        for (const pid of held.processIds) expect(sharedMemoryMadeBy(pid)).toHaveLength(1);
        child.kill(signal);
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    } finally {
      child.kill('SIGKILL');
    }
    for (const data of held.folders) {
      await expect.poll(() => existsSync(dirname(dirname(data))), patience).toBe(false);
      expect(processesIn(data)).toEqual([]);
    }
    for (const address of held.addresses) expect(await portAnswer(address, held.port)).toBe('ECONNREFUSED');
    for (const pid of held.processIds) expect(sharedMemoryMadeBy(pid)).toEqual([]);
  });

  it('whose watchdog was killed, once it is closed', async () => {
    const pair = await PostgresPair.start();
    const { dataFolder } = pair.primary;
    for (const pid of childrenOf(process.pid, '/bin/sh')) process.kill(pid, 'SIGKILL');
    await pair.close();
    expect(processesIn(dataFolder)).toEqual([]);
    expect(existsSync(dirname(dirname(dataFolder)))).toBe(false);
  });

  it('whose start was given up', async () => {
    for (const millis of [0, 5, 50, 150, 300]) {
      await expect(PostgresPair.start({ signal: AbortSignal.timeout(millis) })).rejects.toMatchObject({
        name: 'TimeoutError',
      });
      expect(readdirSync(folder).filter((name) => name.startsWith('externalname-'))).toEqual([]);
    }
  });

  it('nor of its watchdog, when the last pair is closed', async () => {
    const pair = await PostgresPair.start();
    expect(childrenOf(process.pid, '/bin/sh')).toHaveLength(1);
    await pair.close();
    await expect.poll(() => childrenOf(process.pid, '/bin/sh'), patience).toEqual([]);
  });
});

async function holdPair(ending: string): Promise<{ child: ChildProcess; held: Held }> {
  const program = fileURLToPath(new URL('fixtures/pair-holder.mts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@externalname/source', '--import', 'tsx', program, ending], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) throw new Error('the process that holds the pair said nothing');
  if (ending === 'wait' || ending === 'freeze') await lines.next();
  return { child, held: JSON.parse(first.value) as Held };
}

/** Processes whose working folder it is: another way to find them than the one that the package uses. */
function processesIn(dataFolder: string): string[] {
  return processIds().filter((pid) => linkOf(`/proc/${pid}/cwd`).startsWith(dataFolder));
}

function childrenOf(parent: number, program: string): number[] {
  return processIds()
    .filter((pid) => {
      const status = textOf(`/proc/${pid}/stat`);
      const [state, parentId] = status.slice(status.lastIndexOf(')') + 2).split(' ');
      return state !== 'Z' && Number(parentId) === parent && textOf(`/proc/${pid}/cmdline`).startsWith(program);
    })
    .map(Number);
}

/** Identifiers of the System V shared memory segments that a process has made (proc_sysvipc_shm). */
function sharedMemoryMadeBy(pid: number): string[] {
  const rows = textOf('/proc/sysvipc/shm').trim().split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .flatMap((fields) => (fields[4] === String(pid) ? [fields[1] ?? ''] : []));
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

function portAnswer(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port }, () => {
      socket.destroy();
      resolve('connected');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

const patience = { timeout: 10_000, interval: 20 };
