import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AddressRefusedEvent, addressRefused, type TargetRefusedEvent, targetRefused } from '../events/index.ts';
import { createTargetPolicy, looksLikeAddress, type TargetPolicyOptions } from './policy.ts';
import { AddressRefusedError } from './refusals.ts';

const service = 'webscaler-db';
const via = ['webscaler-db.default.svc.cluster.local'];
const primary = { externalName: 'primary-db.example.com', via };
const allowedTargets = ['primary-db.example.com', 'secondary-db.example.com'];

it('the options of a policy are those that were given, and none that stand on a prototype', () => {
  const polluted = Object.assign(Object.create({ allowedTargets: 'any', allowedNetworks: 'any' }), { service: 'db' });
  expect(() => createTargetPolicy(polluted)).toThrow(
    expect.objectContaining({ code: 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED' }),
  );
});

describe('the policy of a Service', () => {
  const policy = createTargetPolicy({ service, allowedTargets });

  it('allows the hosts on its list, in any case', () => {
    policy.checkTarget(primary);
    policy.checkTarget({ externalName: 'Secondary-DB.example.com', via });
  });

  it.each([
    'tertiary-db.example.com',
    'example.com',
    'x.primary-db.example.com',
    'primary-db.example.com.evil.org',
    'localhost',
  ])('refuses %s', (externalName) => {
    expect(() => policy.checkTarget({ externalName, via })).toThrow(
      expect.objectContaining({
        code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
        outcome: 'not-executed',
        target: externalName,
        via,
        allowed: allowedTargets,
      }),
    );
  });

  it('says what was refused, how it was reached, and what to write if it was meant', () => {
    expect(() => policy.checkTarget({ externalName: 'evil.example.org', via })).toThrow(
      'refused target evil.example.org (by way of webscaler-db.default.svc.cluster.local): ' +
        'if the switch was meant, add it to allowedTargets (now: primary-db.example.com, secondary-db.example.com)',
    );
  });

  it('refuses the Service itself, which it is when it has no CNAME, unless it is listed', () => {
    const itself = { externalName: 'webscaler-db.default.svc.cluster.local', via: [] };
    expect(() => policy.checkTarget(itself)).toThrow(/has no CNAME.*is no longer, of type ExternalName/);
    createTargetPolicy({ service, allowedTargets: [itself.externalName] }).checkTarget(itself);
  });

  it('refuses another target inside the cluster unless it is listed', () => {
    const other = { externalName: 'postgres.data.svc.cluster.local', via };
    expect(() => policy.checkTarget(other)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_TARGET_REFUSED' }),
    );
    createTargetPolicy({ service, allowedTargets: [other.externalName] }).checkTarget(other);
  });

  it('allows any host, but no IP address, where any is spelled out', () => {
    const open = createTargetPolicy({ service, allowedTargets: 'any' });
    open.checkTarget({ externalName: 'whatever.example.org', via });
    expect(() => open.checkTarget({ externalName: '203.0.113.7', via })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS' }),
    );
    expect(() => open.checkAddress(primary, '127.0.0.1')).toThrow(AddressRefusedError);
  });

  it.each(['10.0.0.1', '999.9.9.9', '127.1', '0x7f000001', '1', 'db.0x7f', '::1', 'fe80::1'])(
    'answers %s, an IP address to some resolver, with the Service and EndpointSlice that do work',
    (externalName) => {
      expect(() => policy.checkTarget({ externalName, via })).toThrow(
        expect.objectContaining({
          code: 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS',
          target: externalName,
          message: expect.stringContaining('Service without selector and an EndpointSlice'),
        }),
      );
    },
  );

  it.each(['10.0.0.1.example.com', '1password.com', 'db1', 'x.0xyz', '127.1.'.concat('example')])(
    'takes %s for the host name that it is',
    (name) => {
      expect(looksLikeAddress(name)).toBe(false);
    },
  );

  it('keeps its messages short, however long the name that DNS handed over', () => {
    const externalName = 'a'.repeat(100_000);
    expect(() => policy.checkTarget({ externalName, via })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,600}$/) }),
    );
  });
});

describe('a policy that cannot be made', () => {
  const failure = (options: TargetPolicyOptions) => {
    try {
      createTargetPolicy(options);
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it.each<[string, TargetPolicyOptions]>([
    ['a Service without an allow-list', { service }],
    ['a Service with an empty one', { service, allowedTargets: [] }],
    ['a Service that is also named as host', { service, host: service }],
    ['nothing at all', {}],
  ])('%s: says what to write, before any I/O', (_, options) => {
    expect(failure(options)).toMatchObject({
      code: 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED',
      outcome: 'not-executed',
      message: expect.stringContaining("allowedTargets: ['primary-db.example.com', 'secondary-db.example.com']"),
    });
  });

  it.each<[string, TargetPolicyOptions, string]>([
    ['a wildcard for a whole top-level domain', { service, allowedTargets: ['a.b', '*.com'] }, 'allowedTargets[1]'],
    ['an IP address among the targets', { service, allowedTargets: ['203.0.113.7'] }, 'allowedTargets[0]'],
    ['a network among the targets', { service, allowedTargets: ['10.0.0.0/8'] }, 'allowedTargets[0]'],
    ['a host among the networks', { host: 'a', allowedNetworks: ['db.example.com'] }, 'allowedNetworks[0]'],
    ['a prefix that is too long', { host: 'a', allowedNetworks: ['10.0.0.0/33'] }, 'allowedNetworks[0]'],
    ['an empty prefix', { host: 'a', allowedNetworks: ['10.0.0.0/'] }, 'allowedNetworks[0]'],
    ['a network mask', { host: 'a', allowedNetworks: ['10.0.0.0/255.0.0.0'] }, 'allowedNetworks[0]'],
    ['an address of two parts', { host: 'a', allowedNetworks: ['127.1'] }, 'allowedNetworks[0]'],
    ['bits behind the prefix', { host: 'a', allowedNetworks: ['::/0', '10.1.2.3/8'] }, 'allowedNetworks[1]'],
    ['a zone', { host: 'a', allowedNetworks: ['fe80::%eth0/10'] }, 'allowedNetworks[0]'],
    ['no network at all', { host: 'a', allowedNetworks: [] }, 'allowedNetworks'],
  ])('%s', (_, options, argument) => {
    expect(failure(options)).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument });
  });
});

describe('an address that a Service leads to', () => {
  const reasonFor = (address: string, allowedNetworks?: TargetPolicyOptions['allowedNetworks']) => {
    try {
      createTargetPolicy({ service, allowedTargets, allowedNetworks }).checkAddress(primary, address);
    } catch (error) {
      return error instanceof AddressRefusedError ? error.reason : error;
    }
    return 'allowed';
  };

  it.each([
    ['203.0.113.7', 'allowed'],
    ['10.0.0.1', 'allowed'],
    ['192.168.1.1', 'allowed'],
    ['2001:db8::1', 'allowed'],
    ['fd00::1', 'allowed'],
    ['126.255.255.255', 'allowed'],
    ['128.0.0.0', 'allowed'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['169.254.0.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['febf::1', 'link-local'],
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['FD00:0EC2::0254', 'metadata'],
    ['fd20:ce::254', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'multicast'],
    ['ff02::1', 'multicast'],
    // IPv4-mapped: the kernel connects to the IPv4 address.
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['::ffff:a9fe:a9fe', 'metadata'],
    ['::ffff:0.0.0.0', 'unspecified'],
    ['::ffff:203.0.113.7', 'allowed'],
    // IPv4-compatible
    ['::127.0.0.1', 'transition'],
    ['::203.0.113.7', 'transition'],
    ['::a9fe:a9fe', 'transition'],
    // IPv4-translated
    ['::ffff:0:127.0.0.1', 'transition'],
    // NAT64: the IPv4 address behind the translator counts.
    ['64:ff9b::127.0.0.1', 'loopback'],
    ['64:ff9b::a9fe:a9fe', 'metadata'],
    ['64:ff9b::203.0.113.7', 'allowed'],
    ['64:ff9b:1::203.0.113.7', 'transition'],
    ['64:ff9b:1:ffff::1', 'transition'],
    // 6to4 and Teredo
    ['2002:7f00:1::', 'transition'],
    ['2002:a9fe:a9fe::1', 'transition'],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'transition'],
    // Forms that only some parsers take for an address
    ['127.1', 'no-address'],
    ['0x7f000001', 'no-address'],
    ['2130706433', 'no-address'],
    ['0177.0.0.1', 'no-address'],
    ['', 'no-address'],
    ['primary-db.example.com', 'no-address'],
  ])('%s: %s', (address, reason) => {
    expect(reasonFor(address)).toBe(reason);
  });

  it.each([
    ['127.0.0.1', ['127.0.0.0/8'], 'allowed'],
    ['127.0.0.1', ['127.0.0.1'], 'allowed'],
    ['127.0.0.2', ['127.0.0.1'], 'loopback'],
    ['::ffff:127.0.0.1', ['127.0.0.0/8'], 'allowed'],
    ['127.0.0.1', ['::ffff:127.0.0.0/104'], 'allowed'],
    ['::1', ['::1'], 'allowed'],
    ['169.254.169.254', ['169.254.169.254'], 'allowed'],
    ['fd00:ec2::254', ['fd00:ec2::254/128'], 'allowed'],
    ['169.254.0.1', ['169.254.0.0/16'], 'allowed'],
    ['64:ff9b::a9fe:a9fe', ['64:ff9b::a9fe:a9fe'], 'allowed'],
    ['64:ff9b:1::1', ['64:ff9b:1::/48'], 'allowed'],
    ['2002:a00:1::1', ['2002:a00:1::/48'], 'allowed'],
    ['64:ff9b::127.0.0.1', ['64:ff9b::127.0.0.1'], 'allowed'],
    ['64:ff9b::127.0.0.1', ['127.0.0.0/8'], 'loopback'],
  ])('%s with allowedNetworks %j, which names it: %s', (address, networks, reason) => {
    expect(reasonFor(address, networks)).toBe(reason);
  });

  it.each([
    ['127.0.0.1', ['0.0.0.0/0', '::/0'], 'loopback'],
    ['169.254.169.254', ['0.0.0.0/0'], 'metadata'],
    ['169.254.169.254', ['169.254.0.0/16'], 'metadata'],
    ['169.254.170.23', ['169.254.170.0/24', '169.254.170.2'], 'metadata'],
    ['64:ff9b::a9fe:a9fe', ['64:ff9b::a9fe:0/112'], 'metadata'],
    ['168.63.129.16', ['168.63.0.0/16'], 'metadata'],
    ['100.100.100.200', ['100.64.0.0/10'], 'metadata'],
    ['::1', ['::/0'], 'loopback'],
    ['fd00:ec2::254', ['fd00::/8'], 'metadata'],
    ['64:ff9b::a9fe:a9fe', ['64:ff9b::/96'], 'metadata'],
  ])('%s with allowedNetworks %j: a wide network names nothing special, it is %s', (address, networks, reason) => {
    expect(reasonFor(address, networks)).toBe(reason);
  });

  it.each([
    ['203.0.113.7', 'allowed'],
    ['203.0.114.1', 'outside-allowed-networks'],
    ['::ffff:203.0.113.7', 'allowed'],
    ['64:ff9b::203.0.113.7', 'allowed'],
    ['2001:db8:1::1', 'allowed'],
    ['2001:db8:2::1', 'outside-allowed-networks'],
    ['127.0.0.1', 'loopback'],
  ])('%s, with allowedNetworks 203.0.113.0/24 and 2001:db8:1::/48: %s', (address, reason) => {
    expect(reasonFor(address, ['203.0.113.0/24', '2001:db8:1::/48'])).toBe(reason);
  });

  it('is not looked at where any network is spelled out', () => {
    expect(reasonFor('169.254.169.254', 'any')).toBe('allowed');
  });

  it('is refused with its reason, and with what to write if it was meant', () => {
    const policy = createTargetPolicy({ service, allowedTargets });
    expect(() => policy.checkAddress(primary, '169.254.169.254')).toThrow(
      expect.objectContaining({
        code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED',
        outcome: 'not-executed',
        address: '169.254.169.254',
        target: 'primary-db.example.com',
        message:
          'refused address 169.254.169.254 of primary-db.example.com (by way of webscaler-db.default.svc.cluster.local): ' +
          'it is the metadata service of a cloud, and no external server can be there. ' +
          'If it is meant, name its network in allowedNetworks',
      }),
    );
  });

  it('is refused in every way to write it', () => {
    const policy = createTargetPolicy({ service, allowedTargets });
    const octet = fc.integer({ min: 0, max: 255 });
    const inner = fc.oneof(
      fc.tuple(fc.constantFrom(0, 127), octet, octet, octet),
      fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
    );
    const hex = (high: number, low: number) => (high * 256 + low).toString(16);
    return fc.assert(
      fc.property(inner, ([a, b, c, d]) => {
        const dotted = `${a}.${b}.${c}.${d}`;
        const groups = `${hex(a, b)}:${hex(c, d)}`;
        const forms = [
          dotted,
          ...['::ffff:', '::', '64:ff9b::', '64:ff9b:1::', '::ffff:0:'].flatMap((prefix) => [
            prefix + dotted,
            prefix + groups,
            prefix + groups.toUpperCase(),
          ]),
          `0:0:0:0:0:ffff:${groups}`,
          `2002:${groups}::1`,
        ];
        for (const form of forms) expect(() => policy.checkAddress(primary, form), form).toThrow(AddressRefusedError);
      }),
    );
  });

  it('is in the networks that ipaddr and plain arithmetic both say it is in', () => {
    const octets = fc.tuple(...Array.from({ length: 4 }, () => fc.integer({ min: 1, max: 126 })));
    return fc.assert(
      fc.property(octets, octets, fc.integer({ min: 0, max: 32 }), (network, address, bits) => {
        const toNumber = (parts: number[]) => parts.reduce((sum, part) => sum * 256 + part, 0);
        const size = 2 ** (32 - bits);
        const base = Math.floor(toNumber(network) / size) * size;
        const text = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.');
        const inside = Math.floor(toNumber(address) / size) * size === base;
        const reason = reasonFor(address.join('.'), [`${text}/${bits}`]);
        fc.pre(address.join('.') !== '100.100.100.200');
        expect(reason).toBe(inside ? 'allowed' : 'outside-allowed-networks');
      }),
    );
  });
});

describe('a plain host, with neither a Service nor an allow-list', () => {
  it('is its own allow-list', () => {
    const policy = createTargetPolicy({ host: 'DB.example.com.' });
    policy.checkTarget({ externalName: 'db.example.com', via: [] });
    expect(() => policy.checkTarget({ externalName: 'other.example.com', via: ['db.example.com'] })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_TARGET_REFUSED' }),
    );
  });

  it('may be this machine, and may be an IP address', () => {
    for (const host of ['localhost', '127.0.0.1', '::1']) {
      const policy = createTargetPolicy({ host });
      policy.checkTarget({ externalName: host, via: [] });
      policy.checkAddress({ externalName: host, via: [] }, '127.0.0.1');
    }
  });

  it('is held to allowedNetworks where they are given', () => {
    const policy = createTargetPolicy({ host: 'localhost', allowedNetworks: ['127.0.0.0/8'] });
    const localhost = { externalName: 'localhost', via: [] };
    policy.checkAddress(localhost, '127.0.0.1');
    expect(() => policy.checkAddress(localhost, '10.0.0.1')).toThrow(
      expect.objectContaining({ reason: 'outside-allowed-networks' }),
    );
  });

  it('is treated like a Service as soon as it has an allow-list', () => {
    const policy = createTargetPolicy({ host: 'db.example.com', allowedTargets: ['db.example.com'] });
    policy.checkTarget({ externalName: 'db.example.com', via: [] });
    expect(() => policy.checkAddress({ externalName: 'db.example.com', via: [] }, '127.0.0.1')).toThrow(
      expect.objectContaining({ reason: 'loopback' }),
    );
  });
});

describe('a refusal', () => {
  const policy = createTargetPolicy({ service, allowedTargets });

  it('can be foreseen, without an event', () => {
    const events: TargetRefusedEvent[] = [];
    const stop = targetRefused.subscribe((event) => events.push(event));
    const of = (externalName: string, chosen = policy) => chosen.allows({ externalName, via });
    expect([of('primary-db.example.com'), of('evil.example.org'), of('10.0.0.1')]).toEqual([true, false, false]);
    const host = createTargetPolicy({ host: 'db.example.com' });
    expect([of('DB.example.com', host), of('primary-db.example.com', host)]).toEqual([true, false]);
    stop();
    expect(events).toEqual([]);
  });

  it('of a target is told on its channel', () => {
    const events: TargetRefusedEvent[] = [];
    const stop = targetRefused.subscribe((event) => events.push(event));
    expect(() => policy.checkTarget({ externalName: 'evil.example.org', via })).toThrow();
    expect(() => policy.checkTarget({ externalName: '10.0.0.1', via })).toThrow();
    stop();
    expect(events).toEqual([
      {
        name: service,
        target: 'evil.example.org',
        via,
        code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
        allowed: allowedTargets,
      },
      { name: service, target: '10.0.0.1', via, code: 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS', allowed: allowedTargets },
    ]);
  });

  it('of an address is told on its channel', () => {
    const events: AddressRefusedEvent[] = [];
    const stop = addressRefused.subscribe((event) => events.push(event));
    expect(() => policy.checkAddress(primary, '::1')).toThrow();
    policy.checkAddress(primary, '203.0.113.7');
    stop();
    expect(events).toEqual([
      { name: service, target: 'primary-db.example.com', via, address: '::1', reason: 'loopback' },
    ]);
  });
});
