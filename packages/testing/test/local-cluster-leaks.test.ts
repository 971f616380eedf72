import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalCluster } from '@externalname/testing';
import { expect, it } from 'vitest';
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
