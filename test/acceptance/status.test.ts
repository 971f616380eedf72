import { kubernetesSource } from '@externalname/kubernetes';
import { Pool } from '@externalname/pg';
import { expect, it } from 'vitest';
import { startWebscaler } from '../compat/support/webscaler.ts';

const soon = { timeout: 30_000, interval: 50 };

it('a pool that is pushed its target says in status() while switches would go unseen', async () => {
  await using webscaler = await startWebscaler();
  const { cluster } = webscaler;
  await using source = kubernetesSource({
    service: 'webscaler-db',
    clusterDomain: 'cluster.local',
    kubeConfig: await cluster.writeKubeconfig(),
  });
  const pool = new Pool(webscaler.options({ source }));
  const isStale = () => pool.status().target?.stale;
  try {
    await pool.query('select 1');
    expect(pool.status()).toMatchObject({ target: { externalName: 'primary-db.example.com', stale: false } });

    cluster.api.fault({ kind: 'refusing' });
    await expect.poll(isStale, soon).toBe(true);
    // The database is as well as before, and goes on serving.
    await pool.query('select 1');
    expect(pool.status()).toMatchObject({ target: { externalName: 'primary-db.example.com' }, serving: true });
    cluster.api.heal();
    await expect.poll(isStale, soon).toBe(false);

    await cluster.services.delete('default', 'webscaler-db');
    await expect.poll(isStale, soon).toBe(true);
    await cluster.services.apply({
      metadata: { name: 'webscaler-db', namespace: 'default' },
      spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
    });
    await expect.poll(isStale, soon).toBe(false);
  } finally {
    await pool.end();
  }
});
