import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { InvalidArgumentError } from '../errors.ts';
import { lazily } from '../lazy.ts';
import type { AddressRefusal } from './refusals.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A block of addresses: its first address and the length of the prefix. */
export interface Network {
  readonly address: Address;
  readonly bits: number;
}

/**
 * Reads an entry of `allowedNetworks`: `10.0.0.0/8`, `2001:db8::/32`, or one address.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for anything else, and where bits are set
 * behind the prefix (`10.1.2.3/8`), which is more often a slip than meant.
 */
export function parseNetwork(text: string, argument = 'allowedNetworks'): Network {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = address.includes('%') ? 0 : isIP(address);
  const longest = family === 4 ? 32 : 128;
  const bits = prefix === undefined ? longest : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (family === 0 || rest.length > 0 || !(bits <= longest)) {
    throw new InvalidArgumentError(
      argument,
      `${JSON.stringify(text.slice(0, 100))} is no network: write an address or a CIDR block like 10.0.0.0/8`,
    );
  }
  const network = unmappedNetwork({ address: parseText(address), bits });
  const bytes = network.address.toByteArray();
  if (bytes.some((byte, index) => (byte & hostMask(index, network.bits)) !== 0)) {
    throw new InvalidArgumentError(
      argument,
      `${JSON.stringify(text)} has bits behind its prefix: write the first address of the network, or one address without a prefix`,
    );
  }
  return network;
}

/**
 * Why a Service must not lead to `address`, or `undefined` where it may.
 *
 * Without `allowed`, every address will do but those where no external server can be. With it, the address must
 * be in one of the networks; and one of those special addresses must be *named*, by an entry that lies within the
 * special range: `0.0.0.0/0` does not let 127.0.0.1 in, `127.0.0.0/8` does. A metadata address is a range of its own, so
 * nothing but that very address names it: `169.254.0.0/16` lets link-local addresses in, and 169.254.169.254 not.
 *
 * IPv4-mapped addresses (`::ffff:127.0.0.1`) are judged as the IPv4 address that the kernel connects to, and
 * those of NAT64 (64:ff9b::/96) by the IPv4 address behind the translator.
 */
export function addressRefusal(address: string, allowed: readonly Network[] | undefined): AddressRefusal | undefined {
  const parsed = parseAddress(address);
  if (parsed === undefined) return 'no-address';
  const behind = behindTranslator(parsed);
  const special = specialRange(parsed) ?? (behind && specialRange(behind));
  if (special !== undefined) {
    const named = allowed?.some((network) => contains(network, parsed) && liesWithin(network, special));
    return named ? undefined : special.refusal;
  }
  if (allowed === undefined) return undefined;
  const inside = allowed.some((network) => contains(network, parsed) || (behind && contains(network, behind)));
  return inside ? undefined : 'outside-allowed-networks';
}

/** Whether `address` is in one of the networks, and nothing else asked. What a plain host is held to. */
export function isInNetworks(address: string, networks: readonly Network[]): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && networks.some((network) => contains(network, parsed));
}

function parseAddress(text: string): Address | undefined {
  // ipaddr.js also reads 127.1 and 0x7f000001; nothing that names an address may be read in two ways here.
  if (isIP(text) === 0) return undefined;
  const address = parseText(text.replace(/%.*$/, ''));
  return unmappedNetwork({ address, bits: 128 }).address;
}

/** ipaddr.js takes ::1.2.3.4, which is IPv4-compatible, for ::ffff:1.2.3.4. Written in hexadecimal, it does not. */
function parseText(text: string): Address {
  const hexadecimal = text.replace(/(?<=:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...octets: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = octets.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  return ipaddr.parse(hexadecimal);
}

/** `::ffff:a.b.c.d` and a.b.c.d are one place for the kernel, so they are one here. */
function unmappedNetwork(network: Network): Network {
  const { address, bits } = network;
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return { address: address.toIPv4Address(), bits: bits - 96 };
  }
  return network;
}

/** The IPv4 address behind the well-known prefix of NAT64 (RFC 6052). */
function behindTranslator(address: Address): Address | undefined {
  if (!contains(nat64(), address)) return undefined;
  return new ipaddr.IPv4(address.toByteArray().slice(12));
}

function contains(network: Network, address: Address): boolean {
  return network.address.kind() === address.kind() && address.match(network.address, network.bits);
}

function specialRange(address: Address): SpecialRange | undefined {
  return specialRanges().find((range) => contains(range, address));
}

/** Whether all of the network is in the special range. */
function liesWithin(network: Network, range: SpecialRange): boolean {
  const behind = network.bits >= 96 ? behindTranslator(network.address) : undefined;
  const inner = behind === undefined ? network : { address: behind, bits: network.bits - 96 };
  return inner.bits >= range.bits && contains(range, inner.address);
}

function hostMask(index: number, bits: number): number {
  const fixed = Math.min(Math.max(bits - index * 8, 0), 8);
  return 0xff >> fixed;
}

interface SpecialRange extends Network {
  readonly refusal: AddressRefusal;
}

const nat64 = lazily((): Network => ({ address: ipaddr.parse('64:ff9b::'), bits: 96 }));

const range = (refusal: AddressRefusal, ...networks: string[]): SpecialRange[] =>
  networks.map((text) => ({ ...parseNetwork(text), refusal }));

// The first that holds an address names the reason. Sources: the IANA registries of special-purpose addresses
// (RFC 6890), and the documentation of the clouds for their metadata services.
const specialRanges = lazily((): readonly SpecialRange[] => [
  ...range(
    'metadata',
    '169.254.169.254', // AWS, Azure, Google, Oracle, DigitalOcean and others
    '169.254.170.2', // AWS ECS task credentials
    '169.254.170.23', // AWS EKS Pod Identity
    'fd00:ec2::254', // AWS
    'fd00:ec2::23', // AWS EKS Pod Identity
    'fd20:ce::254', // Google
    '100.100.100.200', // Alibaba
    '168.63.129.16', // Azure's host agent
    '192.0.0.192', // Oracle, classic
  ),
  ...range('unspecified', '0.0.0.0/8', '::'),
  ...range('loopback', '127.0.0.0/8', '::1'),
  ...range('link-local', '169.254.0.0/16', 'fe80::/10'),
  ...range('multicast', '224.0.0.0/4', '255.255.255.255', 'ff00::/8'),
  ...range(
    'transition',
    '::/96', // IPv4-compatible, RFC 4291 section 2.5.5.1
    '::ffff:0:0:0/96', // IPv4-translated, RFC 2765
    '64:ff9b:1::/48', // NAT64 with a prefix of the operator's own, RFC 8215
    '2002::/16', // 6to4, RFC 3056
    '2001::/32', // Teredo, RFC 4380
  ),
]);
