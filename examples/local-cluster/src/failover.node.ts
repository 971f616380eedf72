import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { externalNameService, switchJsonPatch } from '@externalname/core/manifests';
import { LocalCluster } from '@externalname/testing';
import { findDatabase } from './find-database.ts';

let cluster: LocalCluster;

before(async () => {
  cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
    hosts: { 'primary-db.example.com': ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12'] },
  });
});

after(() => cluster.close());

test('goes to the secondary after the switch', async () => {
  assert.equal(await findDatabase(cluster.nameserver), '127.0.0.11');
  await cluster.services.patch(
    'default',
    'webscaler-db',
    switchJsonPatch({ externalName: 'secondary-db.example.com' }),
  );
  assert.equal(await findDatabase(cluster.nameserver), '127.0.0.12');
});
