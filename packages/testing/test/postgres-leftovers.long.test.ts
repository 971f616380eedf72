import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { PostgresPair } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { answer, childrenOf, commandLines, processesIn, sharedMemoryMadeBy } from './support/server-traces.ts';

// Each starts servers several times, maybe on a machine that is busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

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
    ['dies of an uncaught error', 'throw', undefined],
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
    for (const address of held.addresses) expect(await answer({ address, port: held.port })).toBe('ECONNREFUSED');
    for (const pid of held.processIds) expect(sharedMemoryMadeBy(pid)).toEqual([]);
  });

  it.each([0, 30, 100, 250, 500])('whose process is killed %i ms after it has begun to start it', async (millis) => {
    const child = hold('wait');
    try {
      const begun = () => readdirSync(folder).find((name) => name.startsWith('externalname-'));
      await expect.poll(begun, { timeout: 20_000, interval: 5 }).toBeDefined();
      const own = join(folder, begun() ?? '');
      await new Promise((resolve) => setTimeout(resolve, millis));
      child.kill('SIGKILL');
      await expect.poll(() => existsSync(own), patience).toBe(false);
      const named = () => commandLines().filter((line) => line.includes(`-D${own}/`));
      await expect.poll(named, patience).toEqual([]);
    } finally {
      child.kill('SIGKILL');
    }
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

function hold(ending: string): ChildProcessByStdio<null, Readable, null> {
  const program = fileURLToPath(new URL('fixtures/pair-holder.mts', import.meta.url));
  return spawn(process.execPath, ['--conditions=@externalname/source', '--import', 'tsx', program, ending], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

async function holdPair(ending: string): Promise<{ child: ChildProcess; held: Held }> {
  const child = hold(ending);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) throw new Error('the process that holds the pair said nothing');
  if (ending === 'wait' || ending === 'freeze') await lines.next();
  return { child, held: JSON.parse(first.value) as Held };
}

const patience = { timeout: 10_000, interval: 20 };
