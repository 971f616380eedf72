import { ADDRCONFIG, type LookupAddress } from 'node:dns';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it, vi } from 'vitest';

vi.mock('node:os', () => ({ networkInterfaces: vi.fn() }));

const host = {
  name: 'db.example.com.',
  chain: [],
  canonicalName: 'db.example.com.',
  addresses: [
    { address: '203.0.113.7', family: 4, ttlSeconds: 5 },
    { address: '2001:db8::7', family: 6, ttlSeconds: 5 },
  ],
  expiresAt: 5000,
  stale: false,
} as const;

// The answers are those of dns.lookup, with glibc, in a network namespace that has these interfaces.
describe('lookup with ADDRCONFIG', () => {
  beforeEach(() => {
    vi.resetModules();
  });

  it.each([
    ['both families', ['10.0.0.1', '2001:db8::1'], 0, ['203.0.113.7', '2001:db8::7']],
    ['IPv4 alone', ['10.0.0.1'], 0, ['203.0.113.7']],
    ['IPv6 alone', ['2001:db8::1'], 0, ['2001:db8::7']],
    ['IPv4 alone', ['10.0.0.1'], 6, 'ENOTFOUND'],
    ['loopback alone', [], 0, ['203.0.113.7', '2001:db8::7']],
    ['loopback alone', [], 4, 'ENOTFOUND'],
    ['loopback alone', [], 6, 'ENOTFOUND'],
  ] as const)('on a machine with %s (%j) and family %i gives %j', async (_, addresses, family, expected) => {
    vi.mocked(networkInterfaces).mockReturnValue({ lo: [of('127.0.0.1'), of('::1')], eth0: addresses.map(of) });
    // The module is loaded again for each machine, because it remembers the interfaces for some seconds.
    const { createLookup } = await import('./lookup.ts');
    const lookup = promisify(createLookup({ resolveHost: async () => host }));
    const options = { family, hints: ADDRCONFIG, all: true, order: 'ipv4first' as const };
    if (expected === 'ENOTFOUND') {
      await expect(lookup('db.example.com', options)).rejects.toMatchObject({ code: expected });
    } else {
      const found = (await lookup('db.example.com', options)) as LookupAddress[];
      expect(found.map(({ address }) => address)).toEqual(expected);
    }
  });
});

function of(address: string): NetworkInterfaceInfo {
  const common = { address, mac: '00:00:00:00:00:00', internal: address === '127.0.0.1' || address === '::1' };
  if (address.includes(':')) {
    return { ...common, family: 'IPv6', netmask: 'ffff:ffff:ffff:ffff::', cidr: `${address}/64`, scopeid: 0 };
  }
  return { ...common, family: 'IPv4', netmask: '255.255.255.0', cidr: `${address}/24` };
}
