import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetOfChain } from './target-of-chain.ts';

const clusterDomain = 'cluster.local';
const service = 'webscaler-db.default.svc.cluster.local';

describe('the target of a chain of names', () => {
  it.each<[string, [string, ...string[]], string, string[]]>([
    ['is what externalName says', [service, 'primary-db.example.com'], 'primary-db.example.com', [service]],
    [
      'is the first name outside the cluster, never a later alias of the provider',
      [service, 'primary-db.example.com', 'db-7.provider.net', 'host-3.provider.net'],
      'primary-db.example.com',
      [service],
    ],
    [
      'comes after the hops inside the cluster',
      [service, 'db.data.svc.cluster.local', 'primary-db.example.com'],
      'primary-db.example.com',
      [service, 'db.data.svc.cluster.local'],
    ],
    [
      'is the last name of a chain that stays inside the cluster',
      [service, 'a.data.svc.cluster.local', 'b.data.svc.cluster.local'],
      'b.data.svc.cluster.local',
      [service, 'a.data.svc.cluster.local'],
    ],
    ['is the Service itself where it has no CNAME', [service], service, []],
    [
      'is a name outside the cluster itself, whatever it is an alias of',
      ['db.example.com', 'x.net'],
      'db.example.com',
      [],
    ],
    [
      'is canonical',
      ['WebScaler-DB.default.svc.cluster.local.', 'Primary-DB.Example.COM.'],
      'primary-db.example.com',
      [service],
    ],
    [
      'is outside where only its text looks like the cluster domain',
      [service, 'db.notcluster.local'],
      'db.notcluster.local',
      [service],
    ],
    [
      'is the first name outside, even where the chain comes back in',
      [service, 'a.example.com', 'b.data.svc.cluster.local'],
      'a.example.com',
      [service],
    ],
  ])('%s', (_, names, externalName, via) => {
    expect(targetOfChain(names, { clusterDomain })).toEqual({ externalName, via });
  });

  it('depends on the cluster domain', () => {
    const names: [string, string] = ['db.shop.svc.k8s.internal', 'db.default.svc.cluster.local'];
    expect(targetOfChain(names, { clusterDomain: 'k8s.internal' }).externalName).toBe('db.default.svc.cluster.local');
  });

  it('is the host itself where the application named a plain host', () => {
    const names: [string, string] = [service, 'primary-db.example.com'];
    expect(targetOfChain(names, { clusterDomain, plainHost: true })).toEqual({ externalName: service, via: [] });
  });

  it('is always a name of the chain, with those before it as the way', () => {
    const name = fc.constantFrom('a.cluster.local', 'b.cluster.local', 'c.example.com', 'd.example.net');
    const chain = fc.tuple(name, fc.array(name)).map(([first, rest]): [string, ...string[]] => [first, ...rest]);
    return fc.assert(
      fc.property(chain, fc.boolean(), (names, plainHost) => {
        const { externalName, via } = targetOfChain(names, { clusterDomain, plainHost });
        expect([...via, externalName]).toEqual(names.slice(0, via.length + 1));
      }),
    );
  });
});
