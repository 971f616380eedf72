import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseHosts } from './hosts-file.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { searchCandidates } from './search-list.ts';
import { parseServerAddress } from './server-address.ts';

describe('resolv.conf', () => {
  it('is read as kubelet writes it', () => {
    const text =
      'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n';
    expect(parseResolvConf(text)).toEqual({
      nameservers: ['10.96.0.10'],
      searchDomains: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      ndots: 5,
      rotate: false,
      useTcp: false,
      edns0: false,
    });
  });

  it('is read with all options, comments, tabs and line ends', () => {
    const text = [
      '# a comment',
      '; another',
      '\tnameserver\t2001:db8::53 ',
      'nameserver fe80::1%eth0\r',
      'domain old.example',
      'search One.example. two.example',
      'options timeout:3 attempts:4 rotate use-vc edns0',
      'options ndots:2 no-such-option',
      'sortlist 10.0.0.0',
    ].join('\n');
    expect(parseResolvConf(text)).toEqual({
      nameservers: ['2001:db8::53', 'fe80::1%eth0'],
      searchDomains: ['one.example', 'two.example'],
      ndots: 2,
      timeoutMillis: 3000,
      attempts: 4,
      rotate: true,
      useTcp: true,
      edns0: true,
    });
  });

  it.each<[string, string, object]>([
    [
      'at most three servers count',
      'nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4',
      { nameservers: ['1.1.1.1', '2.2.2.2', '3.3.3.3'] },
    ],
    ['no server is the machine itself', '', { nameservers: ['127.0.0.1'], ndots: 1, searchDomains: [] }],
    ['the last of domain and search counts', 'search a.example\ndomain b.example', { searchDomains: ['b.example'] }],
    ['an empty search list is one', 'domain a.example\nsearch', { searchDomains: [] }],
    ['the root in a search list adds nothing', 'search . a.example', { searchDomains: ['a.example'] }],
    [
      'values beyond the limits are cut',
      'options ndots:99 timeout:99 attempts:99',
      { ndots: 15, timeoutMillis: 30_000, attempts: 5 },
    ],
    ['the last of an option counts', 'options ndots:2 ndots:3', { ndots: 3 }],
    ['an option without a number is passed over', 'options ndots: timeout:x', { ndots: 1 }],
  ])('%s', (_, text, expected) => {
    expect(parseResolvConf(text)).toMatchObject(expected);
  });

  it('is completed by the environment and by the name of the machine', () => {
    const context = {
      hostname: 'node-1.example.com',
      environment: { LOCALDOMAIN: 'x.example y.example', RES_OPTIONS: 'ndots:4' },
    };
    expect(parseResolvConf('search a.example\noptions ndots:2', context)).toMatchObject({
      searchDomains: ['x.example', 'y.example'],
      ndots: 4,
    });
    expect(parseResolvConf('', { hostname: 'node-1.example.com' }).searchDomains).toEqual(['example.com']);
    expect(parseResolvConf('', { hostname: 'webscaler-client' }).searchDomains).toEqual([]);
  });

  it('never makes the parsers of either file throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseResolvConf(text);
        parseHosts(text);
      }),
    );
  });
});

describe('the search list', () => {
  const settings = { searchDomains: ['default.svc.cluster.local', 'svc.cluster.local'], ndots: 2 };
  it.each([
    ['db', ['db.default.svc.cluster.local', 'db.svc.cluster.local', 'db']],
    ['db.shop', ['db.shop.default.svc.cluster.local', 'db.shop.svc.cluster.local', 'db.shop']],
    [
      'db.example.com',
      ['db.example.com', 'db.example.com.default.svc.cluster.local', 'db.example.com.svc.cluster.local'],
    ],
    ['DB.', ['db']],
  ])('completes %s in the order of libc', (host, candidates) => {
    expect(searchCandidates(host, settings)).toEqual(candidates);
  });
});

describe('the address of a server', () => {
  it.each([
    ['10.96.0.10', '10.96.0.10:53', 4],
    ['127.0.0.1:5353', '127.0.0.1:5353', 4],
    ['::1', '[::1]:53', 6],
    ['[::1]', '[::1]:53', 6],
    ['[2001:db8::53]:5353', '[2001:db8::53]:5353', 6],
    ['fe80::1%eth0', '[fe80::1%eth0]:53', 6],
  ])('%s is %s', (text, full, family) => {
    expect(parseServerAddress(text)).toMatchObject({ text: full, family });
    expect(parseServerAddress(full).text).toBe(full);
  });

  it.each([
    '',
    'dns.example.com',
    '10.96.0.10:',
    '10.96.0.10:0',
    '10.96.0.10:65536',
    '[10.96.0.10]',
    '::1:5353:',
    '[::1',
    '1.2.3',
  ])('%j is refused', (text) => {
    expect(() => parseServerAddress(text)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'nameservers' }),
    );
  });
});
