import { externalNameService, switchJsonPatch } from '@externalname/core/manifests';
import { LocalCluster } from '@externalname/testing';
import { expect, it } from 'vitest';
import { findDatabase } from './find-database.ts';

it('goes to the secondary after the switch, and survives a DNS that fails', async () => {
  await using cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
    hosts: { 'primary-db.example.com': ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12'] },
  });
  expect(await findDatabase(cluster.nameserver)).toBe('127.0.0.11');

  await cluster.services.patch(
    'default',
    'webscaler-db',
    switchJsonPatch({ externalName: 'secondary-db.example.com' }),
  );
  expect(await findDatabase(cluster.nameserver)).toBe('127.0.0.12');

  const fault = cluster.dns.fault({ kind: 'servfail' });
  await expect(findDatabase(cluster.nameserver)).rejects.toMatchObject({ code: 'ESERVFAIL' });
  fault.end();
  expect(await findDatabase(cluster.nameserver)).toBe('127.0.0.12');
});
