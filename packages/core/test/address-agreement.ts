import fc from 'fast-check';
import { createTargetPolicy } from '../src/index.ts';
import { validate } from '../src/validation/index.ts';

/**
 * Shows `count` addresses to the policy and to the validator, and returns the first about which they disagree: each as an external IP of a
 * Service, and one in twenty as the target of an ExternalName Service, which takes far longer. The addresses are random, at the edges of
 * special ranges, and IPv4 inside IPv6.
 */
export function firstDisagreement(count: number, seed: number): string | undefined {
  const chunk = 1000;
  for (let done = 0; done < count; done += chunk) {
    const addresses = fc.sample(address, { numRuns: Math.min(chunk, count - done), seed: seed + done });
    const reasons = addresses.map(policyReason);
    const asExternalIp = externalIpCodes(addresses);
    for (const [index, text] of addresses.entries()) {
      const reason = reasons[index] ?? '';
      const said = index % 20 === 0 ? targetCodes(text) : codesFor[reason];
      if (said === codesFor[reason] && asExternalIp.has(index) === (reason !== 'allowed')) continue;
      const external = asExternalIp.get(index);
      return `seed ${seed + done}: ${text}: policy ${reason}, validator ${said || 'nothing'}, of an external IP ${external ?? 'nothing'}`;
    }
  }
  return undefined;
}

// What the validator says of a target for each reason that the policy has to refuse it.
const codesFor: Readonly<Record<string, string>> = {
  allowed: '',
  loopback: 'loopback',
  unspecified: 'loopback',
  metadata: 'sensitive',
  'link-local': 'sensitive',
  multicast: 'special-address',
  transition: 'special-address',
};

const policy = createTargetPolicy({ service: 'db', allowedTargets: 'any' });

function policyReason(text: string): string {
  try {
    policy.checkAddress({ externalName: 'db.example.com', via: [] }, text);
    return 'allowed';
  } catch (error) {
    return (error as { reason: string }).reason;
  }
}

function targetCodes(externalName: string): string {
  return validate(service({ type: 'ExternalName', externalName }))
    .map(({ code }) => code)
    .filter((code) => special.has(code))
    .join();
}

/** What is said of each address, by its index, other than of how it is written. Before 1.36 the API server takes every spelling. */
function externalIpCodes(externalIPs: readonly string[]): Map<number, string> {
  const ports = [{ port: 5432 }];
  const codes = new Map<number, string>();
  for (const { path, code } of validate(service({ ports, externalIPs }), { kubernetesVersion: '1.35' })) {
    const index = /^spec\.externalIPs\[(\d+)\]$/.exec(path)?.[1];
    if (index === undefined) throw new Error(`unexpected: ${path} ${code}`);
    if (special.has(code)) codes.set(Number(index), code);
  }
  return codes;
}

const special = new Set<string>(['loopback', 'sensitive', 'special-address', 'external-ip-special']);

function service(spec: object): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db', namespace: 'app' }, spec };
}

type Range = readonly [first: string, bits: number];

const ranges4: readonly Range[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['100.100.100.200', 32],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['169.254.42.42', 32],
  ['169.254.169.254', 32],
  ['169.254.170.2', 32],
  ['169.254.170.23', 32],
  ['172.16.0.0', 12],
  ['192.0.0.192', 32],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['255.255.255.255', 32],
];

const ranges6: readonly Range[] = [
  ['::', 128],
  ['::1', 128],
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 32],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fd00:42::42', 128],
  ['fd00:ec2::23', 128],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
  ['fe80::', 10],
  ['fe80::a9fe:a9fe', 128],
  ['ff00::', 8],
  ['ff02::', 16],
  ['ff12::', 16],
];

const random4 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n });
const random6 = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n });
const any4 = fc.oneof(random4, edgeOf(ranges4, 32, random4));
const any6 = fc.oneof(random6, edgeOf(ranges6, 128, random6));

// IPv4 inside IPv6: mapped, compatible, translated, behind NAT64 and 6to4.
const wrapped = fc
  .tuple(fc.constantFrom('::ffff:', '::', '::ffff:0:', '64:ff9b::', '64:ff9b:1::', '2002:'), any4, fc.boolean())
  .map(([prefix, value, dotted]) => {
    if (prefix === '2002:') return `2002:${hexGroups(value, 2)}::1`;
    return `${prefix}${dotted ? text4(value) : hexGroups(value, 2)}`;
  });

const address = fc.oneof(any4.map(text4), any6.map(text6), wrapped);

/** The addresses around the first and the last one of a range, and one within. */
function edgeOf(ranges: readonly Range[], length: number, random: fc.Arbitrary<bigint>): fc.Arbitrary<bigint> {
  const all = 2n ** BigInt(length) - 1n;
  return fc
    .tuple(fc.constantFrom(...ranges), fc.constantFrom('before', 'first', 'within', 'last', 'after'), random)
    .map(([[text, bits], place, inner]) => {
      const first = numberOf(text);
      const size = 2n ** BigInt(length - bits);
      const chosen = {
        before: first - 1n,
        first,
        within: first + (inner % size),
        last: first + size - 1n,
        after: first + size,
      }[place];
      return (chosen + all + 1n) & all;
    });
}

function numberOf(text: string): bigint {
  if (!text.includes(':')) return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail = ''] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const zeros = Array<string>(8 - groups(head).length - groups(tail).length).fill('0');
  return [...groups(head), ...zeros, ...groups(tail)].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

function text4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
}

/** As RFC 5952 has it, which is the only spelling that an EndpointSlice takes; `URL` writes it so, IPv4-mapped addresses included. */
function text6(value: bigint): string {
  return new URL(`http://[${hexGroups(value, 8)}]/`).hostname.slice(1, -1);
}

function hexGroups(value: bigint, count: number): string {
  return Array.from({ length: count }, (_, index) =>
    ((value >> BigInt(16 * (count - 1 - index))) & 0xffffn).toString(16),
  ).join(':');
}
