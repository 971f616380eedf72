import { DnsResolver } from '@externalname/core';
import { externalNameService } from '@externalname/core/manifests';
import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kubernetesSource } from '../src/index.ts';
import { until } from './scripted-api.ts';

let cluster: LocalCluster;
let kubeConfig: string;
let resolver: DnsResolver;

beforeEach(async () => {
  const service = (name: string, externalName: string) =>
    externalNameService({ name, namespace: 'default', externalName });
  cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [
      service('webscaler-db', 'region-db.default.svc.cluster.local'),
      service('region-db', 'primary-db.example.com'),
    ],
    hosts: { 'primary-db.example.com': ['192.0.2.10'], 'secondary-db.example.com': ['192.0.2.20'] },
  });
  kubeConfig = await cluster.writeKubeconfig();
  resolver = new DnsResolver({ nameservers: [cluster.nameserver] });
});
afterEach(async () => {
  await resolver.close();
  await cluster.close();
});

const point = (service: string, value: string) =>
  cluster.services.patch('default', service, [{ op: 'replace', path: '/spec/externalName', value }]);
const options = () => ({ service: 'webscaler-db', namespace: 'default', clusterDomain: 'cluster.local', kubeConfig });

describe('a Service that points to another Service of the cluster', () => {
  it('has the first name outside the cluster for a target', async () => {
    await using source = kubernetesSource({ ...options(), resolver });
    expect(await source.current()).toMatchObject({
      externalName: 'primary-db.example.com',
      via: ['webscaler-db.default.svc.cluster.local', 'region-db.default.svc.cluster.local'],
      source: 'kubernetes',
      stale: false,
    });
  });

  it('is followed when the other one is switched, and when it is itself', async () => {
    await using source = kubernetesSource({ ...options(), resolver });
    const names: string[] = [];
    source.subscribe(({ externalName }) => names.push(externalName));
    await source.current();
    await point('region-db', 'secondary-db.example.com');
    await until('the inner switch', () => names.includes('secondary-db.example.com'));
    await point('webscaler-db', 'primary-db.example.com');
    await until('the outer switch', () => names.at(-1) === 'primary-db.example.com');
    // The other one is none of its business any more.
    await point('region-db', 'tertiary-db.example.com');
    await point('webscaler-db', 'secondary-db.example.com');
    await until('the next switch', () => names.at(-1) === 'secondary-db.example.com');
    expect(names).toEqual([
      'primary-db.example.com',
      'secondary-db.example.com',
      'primary-db.example.com',
      'secondary-db.example.com',
    ]);
  });

  it('is asked again, through both, if a fresh answer is wanted', async () => {
    await using source = kubernetesSource({ ...options(), resolver });
    await source.current();
    await point('region-db', 'secondary-db.example.com');
    expect((await source.current({ fresh: true })).externalName).toBe('secondary-db.example.com');
  });

  it('has the last good target, marked stale, while no DNS server answers', async () => {
    await using source = kubernetesSource({ ...options(), resolver });
    await source.current();
    const fault = cluster.dns.fault({ kind: 'servfail' });
    expect(await source.current({ fresh: true })).toMatchObject({
      externalName: 'primary-db.example.com',
      stale: true,
    });
    fault.end();
    expect(await source.current({ fresh: true })).toMatchObject({ stale: false });
  });

  it('has that name for a target if there is no resolver for the rest', async () => {
    await using source = kubernetesSource(options());
    expect((await source.current()).externalName).toBe('region-db.default.svc.cluster.local');
  });
});
