import { describe, expect, it } from 'vitest';
import { tour } from './tour.ts';

const service = 'webscaler-db.default.svc.cluster.local';

describe('the tour of the two hops', () => {
  it('draws and times the service in order, switched, mistyped and with its DNS out of order', async () => {
    const printed: string[] = [];
    await tour((text) => printed.push(text));
    const stable = printed
      .join('\n')
      .replace(/said by \S+/g, 'said by the DNS')
      .replace(/ +\d+\.\d\d ms/g, ' #')
      .replace(/ {2}(\w+ (NOERROR|NXDOMAIN|SERVFAIL) .*)$/gm, '')
      .split('\n')
      .map((line) => line.trimEnd());
    expect(stable.filter((line) => line !== '')).toEqual([
      '# The service points at the primary',
      service,
      '  |  CNAME, good for 5 s, said by the DNS',
      '  v',
      'primary-db.example.com',
      '  =  A 192.0.2.10, good for 5 s',
      'both hops #  2 queries',
      'second hop alone #  2 queries',
      'from the cache #  0 queries',
      '# Patched: it points at the secondary',
      service,
      '  |  CNAME, good for 5 s, said by the DNS',
      '  v',
      'secondary-db.example.com',
      '  =  A 198.51.100.20, good for 5 s',
      '  =  AAAA 2001:db8::20, good for 5 s',
      'both hops #  2 queries',
      'second hop alone #  2 queries',
      'from the cache #  0 queries',
      '# Patched with a typing error: the target does not exist',
      service,
      '  |  CNAME, good for 5 s, said by the DNS',
      '  v',
      'third-db.example.com',
      '  !  does not exist: correct spec.externalName, or create the record',
      'both hops #  4 queries',
      'second hop alone #  2 queries',
      'from the cache #  0 queries',
      "# The provider's DNS is out of order",
      service,
      '  |  CNAME, good for 5 s, said by the DNS',
      '  v',
      'primary-db.example.com',
      '  !  no DNS server answered for it: says nothing about the name',
      'both hops #  5 queries',
      'second hop alone #  3 queries',
      'from the cache #  0 queries',
    ]);
  }, 30_000);
});
