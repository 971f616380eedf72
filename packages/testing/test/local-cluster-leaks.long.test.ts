import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from './tools/programs.ts';

it('thirty clusters made and closed leave no socket, no timer and no file', async () => {
  const script = fileURLToPath(new URL('./leaks/thousand-clusters.ts', import.meta.url));
  // A temporary folder of its own: other tests leave and take files meanwhile.
  const folder = await mkdtemp(join(tmpdir(), 'leaks-test-'));
  try {
    const args = ['--conditions=@externalname/source', '--import', 'tsx', script, '30'];
    const ran = await run(process.execPath, args, { env: { TMPDIR: folder } });
    expect(ran.stdout).toMatch(/left: 0 resources \(none\), 0 files/);
    expect(ran.code).toBe(0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

describe('a process that wrote a kubeconfig, with a token in it, leaves none', () => {
  // A temporary folder of its own: other tests leave and take files meanwhile.
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'leaks-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it.each([
    ['it is terminated', `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);`],
    ['it is killed (kill -9)', `process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);`],
    ['it calls process.exit()', 'process.exit(0);'],
    ['it dies of an uncaught error', `setImmediate(() => { throw new Error('uncaught'); });`],
  ])('if %s', async (_, ending) => {
    const child = clusterIn(folder, `console.log(await cluster.writeKubeconfig()); ${ending}`);
    const path = (await text(child.stdout as Readable)).trim();
    expect(path).toContain('kubeconfig');
    await vi.waitFor(() => expect(existsSync(dirname(path))).toBe(false), 10_000);
  });

  it('if it is killed as soon as the folder is there', async () => {
    const child = clusterIn(folder, 'await cluster.writeKubeconfig(); setInterval(() => {}, 1000);');
    const own = () => readdirSync(folder).filter((name) => name.startsWith('externalname-'));
    try {
      const deadline = Date.now() + 20_000;
      while (own().length === 0 && Date.now() < deadline) await setImmediate();
      expect(own()).toHaveLength(1);
    } finally {
      child.kill('SIGKILL');
    }
    await vi.waitFor(() => expect(own()).toEqual([]), 10_000);
  });

  it('if it is the command', async () => {
    const bin = fileURLToPath(new URL('../bin/local-cluster.mjs', import.meta.url));
    const child = spawn(process.execPath, [bin], { detached: true, env: { ...process.env, TMPDIR: folder } });
    const files = () => readdirSync(folder, { recursive: true, encoding: 'utf8' });
    try {
      await vi.waitFor(() => expect(files().some((name) => name.endsWith('resolv.conf'))).toBe(true), 20_000);
    } finally {
      // Its whole group, as a terminal that is closed by force does.
      process.kill(-(child.pid ?? Number.NaN), 'SIGKILL');
    }
    await vi.waitFor(() => expect(files().filter((name) => name.startsWith('externalname-'))).toEqual([]), 10_000);
  });
});

/** A process whose temporary folder is the given one, and which has started `cluster`. */
function clusterIn(folder: string, script: string): ChildProcess {
  const start = `
    const { LocalCluster } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url))});
    const cluster = await LocalCluster.start();
    ${script}`;
  const flags = ['--conditions=@externalname/source', '--import', 'tsx', '--input-type=module'];
  return execFile(process.execPath, [...flags, '-e', start], { env: { ...process.env, TMPDIR: folder } });
}

it.each(['0.0.0.0', '::', '192.0.2.1', 'example.com'])(
  '%s is listened on only if that is spelled out',
  async (address) => {
    for (const options of [{ dns: { address } }, { api: { address } }]) {
      await expect(LocalCluster.start(options)).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
        message: expect.stringContaining('exposed: true'),
      });
    }
  },
);

it('an address of a network is listened on with exposed: true', async () => {
  await using cluster = await LocalCluster.start({ dns: { address: '0.0.0.0' }, exposed: true });
  expect(cluster.nameserver).toMatch(/^0\.0\.0\.0:/);
});

it('close() is idempotent, takes the kubeconfig along, and ends what waits', async () => {
  const cluster = await LocalCluster.start();
  const path = await cluster.writeKubeconfig();
  expect(existsSync(path)).toBe(true);
  cluster.dns.fault({ kind: 'stale' });
  await cluster.services.apply({ metadata: { name: 'a' }, spec: { type: 'ExternalName', externalName: 'b.example' } });
  const waiting = cluster.dns.caughtUp();
  await Promise.all([cluster.close(), cluster.close()]);
  await waiting;
  expect(existsSync(dirname(path))).toBe(false);
  await expect(cluster.writeKubeconfig()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
});
