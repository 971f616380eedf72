// What a user of the published packages may write, compiled and run twice: as an ES module and as a CommonJS one.
// It goes through a planned switch on real PostgreSQL servers, as packed code has failed where sources did not: it
// starts programs, looks for files and imports packages at run time.
import { strict as assert } from 'node:assert';
import { type ExternalNameError, isExternalNameError, parseServiceReference } from '@externalname/core';
import { externalNameService, switchJsonPatch } from '@externalname/core/manifests';
import { kubernetesSource, type NotExternalNameError } from '@externalname/kubernetes';
import ourPg, { Pool, type PoolOptions } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { Pool as PgPool } from 'pg';

async function main(): Promise<void> {
  assert.equal(parseServiceReference('webscaler-db.default').name, 'webscaler-db');
  const named: ourPg.PoolClient['release'] | undefined = undefined;
  assert.deepEqual([ourPg.Pool, ourPg.Pool.name, ourPg.Client.name, named], [Pool, 'Pool', 'Client', undefined]);
  assert.throws(() => new Pool({ service: 'webscaler-db' }), hasCode('ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED'));

  const lost = kubernetesSource({ service: 'webscaler-db', kubeConfig: '/nowhere/kubeconfig' });
  await assert.rejects(lost.current(), (error: ExternalNameError | NotExternalNameError) =>
    hasCode('ERR_EXTERNALNAME_KUBERNETES_CONFIG')(error),
  );
  await lost.close();

  const pair = await PostgresPair.start();
  const cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
    hosts: Object.fromEntries(Object.entries(pair.addresses).map(([name, address]) => [name, [address]])),
  });
  const source = kubernetesSource({ service: 'webscaler-db', kubeConfig: await cluster.writeKubeconfig() });
  const options: PoolOptions = {
    service: 'webscaler-db',
    allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    source,
    port: pair.port,
    database: pair.database,
    user: pair.user,
    password: pair.password,
    ssl: { ca: pair.ca },
  };
  const pool = new Pool(options);
  try {
    assert.ok(pool instanceof PgPool, "the pool is an instance of the user's own pg.Pool");
    assert.equal(await serverOf(pool), pair.addresses['primary-db.example.com']);

    await pair.switchover({
      onPromoted: async () => {
        const patch = switchJsonPatch({ externalName: 'secondary-db.example.com' });
        await cluster.services.patch('default', 'webscaler-db', patch);
      },
    });
    assert.equal(await serverOf(pool), pair.addresses['secondary-db.example.com']);
  } finally {
    await pool.end();
    await source.close();
    await cluster.close();
    await pair.close();
  }
}

async function serverOf(pool: Pool): Promise<string | undefined> {
  const { rows } = await pool.query<{ address: string }>('select host(inet_server_addr()) as address');
  return rows[0]?.address;
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isExternalNameError(error) && error.code === code;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
