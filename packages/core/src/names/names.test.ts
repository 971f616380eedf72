import { describe, expect, it } from 'vitest';
import { discoverClusterContext } from './cluster-domain.ts';
import { canonicalName, hostNameProblem, isWithin } from './dns-name.ts';
import { isServiceName, parseServiceReference } from './service-reference.ts';
import { matchesTargetPattern, parseTargetPattern } from './target-pattern.ts';

describe('a host name', () => {
  it('is compared in lower case and without its trailing dot', () => {
    expect(canonicalName('Primary-DB.Example.COM.')).toBe('primary-db.example.com');
  });

  it.each([
    ['primary-db.example.com', undefined],
    ['primary-db.example.com.', undefined],
    ['1.2.3.4', undefined],
    ['', 'empty'],
    ['.', 'empty'],
    ['a..b', 'label-empty'],
    ['.a', 'label-empty'],
    ['a..', 'label-empty'],
    ['-a.b', 'label-syntax'],
    ['a-.b', 'label-syntax'],
    ['a_b', 'label-syntax'],
    ['a b', 'label-syntax'],
    ['é.example', 'label-syntax'],
    [`${'a'.repeat(63)}.b`, undefined],
    [`${'a'.repeat(64)}.b`, 'label-too-long'],
    [`${'a.'.repeat(126)}a`, undefined],
    [`${'a.'.repeat(127)}a`, 'too-long'],
  ])('%j: %s', (name, problem) => {
    expect(hostNameProblem(name)).toBe(problem);
  });

  it('is within itself and the domains above it, by whole labels only', () => {
    expect(isWithin('db.Example.com', 'example.com.')).toBe(true);
    expect(isWithin('example.com', 'example.com')).toBe(true);
    expect(isWithin('badexample.com', 'example.com')).toBe(false);
  });
});

describe('the name of a Service', () => {
  it.each([
    'webscaler-db',
    'webscaler-db.default',
    'webscaler-db.default.svc',
    'webscaler-db.default.svc.cluster.local',
    'webscaler-db.default.svc.cluster.local.',
  ])('%s stands for webscaler-db.default.svc.cluster.local', (text) => {
    expect(parseServiceReference(text).fullName).toBe('webscaler-db.default.svc.cluster.local');
  });

  it('is completed from where the process runs', () => {
    const reference = parseServiceReference('db', { namespace: 'shop', clusterDomain: 'k8s.internal' });
    expect(reference).toEqual({
      name: 'db',
      namespace: 'shop',
      clusterDomain: 'k8s.internal',
      fullName: 'db.shop.svc.k8s.internal',
    });
  });

  it.each(['', 'a..b', 'a.b.pod.cluster.local', 'db.example.com', 'a b'])('%j is refused before any I/O', (text) => {
    expect(() => parseServiceReference(text)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'service' }),
    );
  });

  it('is told from other names of the cluster', () => {
    expect(isServiceName('db.default.svc.cluster.local', 'cluster.local')).toBe(true);
    expect(isServiceName('x.db.default.svc.cluster.local', 'cluster.local')).toBe(false);
    expect(isServiceName('primary-db.example.com', 'cluster.local')).toBe(false);
  });
});

describe('the cluster a process runs in', () => {
  it('is read from the search list that kubelet writes', () => {
    const searchDomains = ['shop.svc.k8s.internal', 'svc.k8s.internal', 'k8s.internal'];
    expect(discoverClusterContext({ searchDomains, readNamespace: () => undefined })).toEqual({
      namespace: 'shop',
      clusterDomain: 'k8s.internal',
    });
  });

  it('has the namespace of the service account where there is one', () => {
    const context = discoverClusterContext({ searchDomains: ['a.svc.cluster.local'], readNamespace: () => 'b' });
    expect(context.namespace).toBe('b');
  });

  it('is default and cluster.local where nothing says otherwise', () => {
    expect(discoverClusterContext({ searchDomains: [], readNamespace: () => undefined })).toEqual({
      namespace: 'default',
      clusterDomain: 'cluster.local',
    });
  });
});

describe('an allow-list of targets', () => {
  const allows = (pattern: string, name: string) => matchesTargetPattern(name, [parseTargetPattern(pattern)]);

  it('matches an exact name in any case, with or without the trailing dot', () => {
    expect(allows('Primary-DB.example.com', 'primary-db.EXAMPLE.com.')).toBe(true);
    expect(allows('primary-db.example.com', 'x.primary-db.example.com')).toBe(false);
  });

  it('matches exactly one label where it says *.', () => {
    expect(allows('*.example.com', 'primary-db.example.com')).toBe(true);
    expect(allows('*.example.com', 'example.com')).toBe(false);
    expect(allows('*.example.com', 'a.b.example.com')).toBe(false);
    expect(allows('*.example.com', '.example.com')).toBe(false);
    expect(allows('*.example.com', 'a.badexample.com')).toBe(false);
  });

  it.each(['*', '*.', '*.com', 'a.*.com', 'db*.example.com', '**.example.com', '', '10.0.0.0/8'])(
    'refuses %j as an entry',
    (text) => {
      expect(() => parseTargetPattern(text)).toThrow(
        expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT' }),
      );
    },
  );
});
