import { lazily } from '../lazy.ts';
import { type Address, contains, ipv4, type Network, parseAddress, parseApiNetwork } from './address.ts';

/** The purpose of an address at which the server of a Service cannot be. */
export type SpecialPurpose =
  | 'metadata'
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'link-local-multicast'
  | 'multicast'
  | 'transition';

/** A range with a purpose of its own. */
export interface SpecialRange extends Network {
  readonly purpose: SpecialPurpose;
}

/** The range that decides the purpose of an address. Behind NAT64 (64:ff9b::/96, RFC 6052) the IPv4 address decides. */
export function specialRange(address: Address): SpecialRange | undefined {
  const behind = behindTranslator(address);
  return specialRanges(address)[0] ?? (behind && specialRanges(behind)[0]);
}

/** Every special range that contains the address itself, the deciding one first. */
export function specialRanges(address: Address): readonly SpecialRange[] {
  return table().filter((range) => contains(range, address));
}

/** Whether the text is an address at which a machine reaches only itself. */
export function isLoopback(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && specialRanges(address).some(({ purpose }) => purpose === 'loopback');
}

/** The IPv4 address behind the well-known prefix of NAT64. */
export function behindTranslator(address: Address): Address | undefined {
  return contains(nat64(), address) ? ipv4(address.bytes.slice(12)) : undefined;
}

/** The purposes, as a sentence names them. */
export const purposeNames: Readonly<Record<SpecialPurpose, string>> = {
  metadata: 'the metadata service of a cloud',
  unspecified: 'an unspecified address',
  loopback: 'a loopback address',
  'link-local': 'a link-local address',
  'link-local-multicast': 'a multicast address',
  multicast: 'a multicast or broadcast address',
  transition: 'an address that only wraps an IPv4 address for a relay or translator',
};

const nat64 = lazily(() => network('64:ff9b::/96'));

// Our own table, because this list decides where connections may go. `range()` of ipaddr.js knows neither metadata addresses nor
// IPv4-compatible ones, calls all of 240.0.0.0/4 and the documentation networks reserved, and may change with a release.
//
// Sources: the IANA registries of special-purpose addresses (RFC 6890), and the documentation of the clouds. The ranges of those
// registries that are missing here are used in private networks (RFC 1918, 100.64.0.0/10, fc00::/7, 240.0.0.0/4) or by tests (192.0.2.0/24, 2001:db8::/32).
const table = lazily((): readonly SpecialRange[] => [
  ...ranges(
    'metadata',
    '169.254.169.254/32', // AWS, Azure, Google, Oracle, DigitalOcean, OpenStack and others
    'fe80::a9fe:a9fe/128', // OpenStack (Neutron release notes, "metadata-ipv6")
    '169.254.170.2/32', // AWS ECS, credentials of the task
    '169.254.170.23/32', // AWS EKS Pod Identity
    'fd00:ec2::254/128', // AWS
    'fd00:ec2::23/128', // AWS EKS Pod Identity
    'fd20:ce::254/128', // Google
    '100.100.100.200/32', // Alibaba
    '168.63.129.16/32', // Azure's host agent
    '192.0.0.192/32', // Oracle, classic
    '169.254.42.42/32', // Scaleway
    'fd00:42::42/128', // Scaleway
  ),
  ...ranges('unspecified', '0.0.0.0/8', '::/128'),
  ...ranges('loopback', '127.0.0.0/8', '::1/128'),
  ...ranges('link-local', '169.254.0.0/16', 'fe80::/10'),
  // RFC 5771 section 4. In IPv6 (RFC 4291 section 2.7) the four flags before the scope do not matter.
  ...ranges('link-local-multicast', '224.0.0.0/24'),
  ...ranges('link-local-multicast', ...[...'0123456789abcdef'].map((flags) => `ff${flags}2::/16`)),
  ...ranges('multicast', '224.0.0.0/4', '255.255.255.255/32', 'ff00::/8'),
  ...ranges(
    'transition',
    '::/96', // IPv4-compatible, RFC 4291 section 2.5.5.1
    '::ffff:0:0:0/96', // IPv4-translated, RFC 2765
    '64:ff9b:1::/48', // NAT64 with a prefix of the operator's own, RFC 8215
    '2002::/16', // 6to4, RFC 3056
    '2001::/32', // Teredo, RFC 4380
  ),
]);

function ranges(purpose: SpecialPurpose, ...networks: string[]): SpecialRange[] {
  return networks.map((text) => ({ ...network(text), purpose }));
}

function network(text: string): Network {
  const read = parseApiNetwork(text);
  if (read === undefined) throw new Error(`${text} is not a network`);
  return read;
}
