import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { ScriptedResolver } from '../../test/support/scripted-resolver.ts';
import { createTargetPolicy } from './policy.ts';
import { type ResolveEndpointsOptions, resolveEndpoints } from './resolve-endpoints.ts';
import type { Target } from './target-source.ts';

const target: Target = {
  externalName: 'primary-db.example.com',
  via: ['webscaler-db.default.svc.cluster.local'],
  version: '1',
  source: 'dns',
  stale: false,
};

function world(addresses: readonly string[] = ['203.0.113.1', '2001:db8::1']) {
  const resolver = new ScriptedResolver(new ManualClock());
  resolver.set(target.externalName, { addresses, ttlSeconds: 60 });
  const policy = createTargetPolicy({ service: 'webscaler-db', allowedTargets: [target.externalName] });
  const resolve = (options: Partial<ResolveEndpointsOptions> = {}, of: Target = target) =>
    resolveEndpoints(of, { resolver, policy, port: 5432, ...options });
  return { resolver, resolve };
}

describe('the endpoints of a target', () => {
  it('are its addresses, in the order of the answer, with the port', async () => {
    await expect(world().resolve()).resolves.toEqual([
      { target, address: '203.0.113.1', family: 4, port: 5432 },
      { target, address: '2001:db8::1', family: 6, port: 5432 },
    ]);
  });

  it('are asked for past the cache on request', async () => {
    const { resolver, resolve } = world();
    await resolve();
    await resolve({ fresh: true });
    expect(resolver.asked).toEqual([
      { name: target.externalName, fresh: false },
      { name: target.externalName, fresh: true },
    ]);
  });

  it('are not asked for where the target is not allowed', async () => {
    const { resolver, resolve } = world();
    await expect(resolve({}, { ...target, externalName: 'evil.example.org' })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
    });
    expect(resolver.asked).toEqual([]);
  });

  it('are those that the policy lets through', async () => {
    const { resolve } = world(['127.0.0.1', '203.0.113.1', 'fe80::1']);
    await expect(resolve()).resolves.toEqual([expect.objectContaining({ address: '203.0.113.1' })]);
  });

  it('are refused where none is left', async () => {
    await expect(world(['169.254.169.254']).resolve()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED',
      address: '169.254.169.254',
      reason: 'metadata',
    });
  });

  it('are refused with every reason where several were', async () => {
    await expect(world(['127.0.0.1', '::']).resolve()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED',
      address: '127.0.0.1',
      cause: { errors: [{ reason: 'loopback' }, { reason: 'unspecified' }] },
    });
  });

  it('are judged again each time, because DNS may name another address each time', async () => {
    const { resolver, resolve } = world(['203.0.113.1']);
    await resolve();
    resolver.set(target.externalName, { addresses: ['127.0.0.1'], ttlSeconds: 0 });
    await expect(resolve()).rejects.toMatchObject({ reason: 'loopback' });
  });

  it('are the first 16 of each family, however many DNS names', async () => {
    const v4 = Array.from({ length: 2_300 }, (_, index) => `203.0.${113 + (index >> 8)}.${index & 255}`);
    const v6 = Array.from({ length: 20 }, (_, index) => `2001:db8::${index + 1}`);
    const { resolve } = world([...v4, ...v6]);
    const endpoints = await resolve();
    expect(endpoints.map(({ address }) => address)).toEqual([...v4.slice(0, 16), ...v6.slice(0, 16)]);
  });

  it('are missing with the error of the resolver', async () => {
    const { resolver, resolve } = world();
    resolver.set(target.externalName, { failure: 'not-found' });
    await expect(resolve()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND' });
    resolver.set(target.externalName, { addresses: [], ttlSeconds: 1 });
    await expect(resolve()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_DNS_NO_ADDRESS' });
  });

  it('are the host itself where that is an IP address', async () => {
    const host = (externalName: string): Target => ({ ...target, externalName, via: [], source: 'static' });
    const { resolver, resolve } = world();
    for (const [address, family] of [
      ['127.0.0.1', 4],
      ['::1', 6],
    ] as const) {
      const policy = createTargetPolicy({ host: address });
      await expect(resolve({ policy }, host(address))).resolves.toMatchObject([{ address, family }]);
    }
    expect(resolver.asked).toEqual([]);
  });

  it('are found by hosts file and search list for a plain host only, and only on request', async () => {
    const { resolver, resolve } = world();
    const searched: string[] = [];
    const withSearch = Object.assign(resolver, {
      resolveHost: (name: string) => {
        searched.push(name);
        return resolver.resolve(name);
      },
    });
    await resolve({ resolver: withSearch });
    expect(searched).toEqual([]);
    await resolve({ resolver: withSearch, plainHost: true });
    expect(searched).toEqual([target.externalName]);
    await expect(world().resolve({ plainHost: true })).resolves.toHaveLength(2);
  });

  it.each([0, 65_536, 1.5, Number.NaN])('are refused with %d for a port', async (port) => {
    const { resolver, resolve } = world();
    await expect(resolve({ port })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument: 'port',
    });
    expect(resolver.asked).toEqual([]);
  });

  it('are not asked for by a caller who has left', async () => {
    const { resolver, resolve } = world();
    await expect(resolve({ signal: AbortSignal.abort('gone') })).rejects.toBe('gone');
    expect(resolver.asked).toEqual([]);
  });
});
