import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalCluster } from '@externalname/testing';
import { expect, it } from 'vitest';
import { run } from './tools/programs.ts';

it('thirty clusters made and closed leave no socket, no timer and no file', async () => {
  const script = fileURLToPath(new URL('./leaks/thousand-clusters.ts', import.meta.url));
  const ran = await run(process.execPath, ['--conditions=@externalname/source', '--import', 'tsx', script, '30']);
  expect(ran.stdout).toMatch(/left: 0 resources \(none\), 0 files/);
  expect(ran.code).toBe(0);
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
