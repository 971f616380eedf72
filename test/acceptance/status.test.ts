import { kubernetesSource } from '@externalname/kubernetes';
import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { expect, it } from 'vitest';

const soon = { timeout: 30_000, interval: 50 };

it('a pool that is pushed its target says in status() while switches would go unseen', async () => {
  await using pair = await PostgresPair.start();
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'webscaler-db', namespace: 'default' },
    spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
  } as const;
  await using cluster = await LocalCluster.start({
    services: [service],
    hosts: Object.fromEntries(Object.entries(pair.addresses).map(([name, address]) => [name, [address]])),
  });
  await using source = kubernetesSource({
    service: 'webscaler-db',
    clusterDomain: 'cluster.local',
    kubeConfig: await cluster.writeKubeconfig(),
  });
  const pool = new Pool({
    service: 'webscaler-db',
    source,
    allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    port: pair.port,
    user: pair.user,
    password: pair.password,
    database: pair.database,
    ssl: { ca: pair.ca },
  });
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
    await cluster.services.apply(service);
    await expect.poll(isStale, soon).toBe(false);
  } finally {
    await pool.end();
  }
});
