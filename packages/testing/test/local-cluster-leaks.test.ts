import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { LocalCluster } from '@externalname/testing';
import { expect, it, vi } from 'vitest';
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

it.each(['SIGTERM', 'SIGKILL'] as const)(
  'a process that %s ends leaves no kubeconfig with its token',
  async (signal) => {
    const folder = await mkdtemp(join(tmpdir(), 'leaks-test-'));
    try {
      const script = `
      const { LocalCluster } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url))});
      const cluster = await LocalCluster.start();
      console.log(await cluster.writeKubeconfig());
      process.kill(process.pid, '${signal}');
      setInterval(() => {}, 1000);`;
      const flags = ['--conditions=@externalname/source', '--import', 'tsx', '--input-type=module'];
      const child = execFile(process.execPath, [...flags, '-e', script], { env: { ...process.env, TMPDIR: folder } });
      const path = (await text(child.stdout as Readable)).trim();
      expect(path).toContain('kubeconfig');
      await vi.waitFor(() => expect(existsSync(dirname(path))).toBe(false), 10_000);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

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
