import { isIP, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * An IP address. IPv4 inside IPv6 (`::ffff:10.0.0.1`) has family 4, because the kernel connects to the IPv4 address; Go's `net.IP` agrees.
 *
 * `ipaddr.js` reads and writes IPv6. This room decides what is an address, because the parser of `ipaddr.js` also accepts `127.1`,
 * `0x7f000001` and octal numbers, and reads the IPv4-compatible `::1.2.3.4` as the IPv4-mapped `::ffff:1.2.3.4`.
 */
export interface Address {
  readonly family: 4 | 6;
  /** 4 or 16 of them. */
  readonly bytes: readonly number[];
  /** Dotted decimal, or RFC 5952. */
  readonly canonical: string;
  /** Set if Kubernetes calls the spelling non-standard: leading zeros, or IPv4 inside IPv6. */
  readonly nonStandard?: 'leading-zeros' | 'mapped';
}

/** Addresses that begin with the same bits. */
export interface Network {
  readonly address: Address;
  /** How many bits they share. */
  readonly bits: number;
}

/** Reads an address as Node.js does before it connects: leading zeros are refused, and a zone (`fe80::1%eth0`) is dropped. */
export function parseAddress(text: string): Address | undefined {
  return isIP(text) === 0 ? undefined : parseApiAddress(text.replace(/%.*$/, ''));
}

/**
 * Reads an address as the API server does, which reads numbers with leading zeros as decimal (`ParseIPSloppy` of
 * `k8s.io/utils/net`). Ports, zones and brackets are refused.
 */
export function parseApiAddress(text: string): Address | undefined {
  if (text.length > 300) return undefined;
  const four = dottedDecimal(text);
  if (four) return ipv4(four.bytes, four.zeros ? 'leading-zeros' : undefined);
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const inner = tail ? dottedDecimal(tail[2] ?? '') : undefined;
  const six = tail && inner ? `${tail[1]}${hexPair(inner.bytes, 0)}:${hexPair(inner.bytes, 2)}` : text;
  if (!isIPv6(six) || six.includes('%')) return undefined;
  const value = ipaddr.IPv6.parse(six);
  if (value.isIPv4MappedAddress()) {
    return ipv4(value.toIPv4Address().octets, inner?.zeros ? 'leading-zeros' : 'mapped');
  }
  const canonical = value.toRFC5952String();
  const nonStandard = inner?.zeros ? { nonStandard: 'leading-zeros' as const } : {};
  return { family: 6, bytes: value.toByteArray(), canonical, ...nonStandard };
}

/** Reads `address/length` as the API server does. `hostBits` says whether bits are set after the prefix, as in `10.1.2.3/8`. */
export function parseApiNetwork(text: string): (Network & { readonly hostBits: boolean }) | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = parseApiAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (!address || !/^\d{1,9}$/.test(digits)) return undefined;
  const { bytes } = address;
  // For IPv4 inside IPv6, the prefix counts 128 bits.
  const offset = address.family === 4 && text.slice(0, slash).includes(':') ? 96 : 0;
  if (Number(digits) > bytes.length * 8 + offset) return undefined;
  const bits = Math.max(0, Number(digits) - offset);
  const hostBits = bytes.some((byte, index) => (byte & hostMask(bits, index)) !== 0);
  return { address, bits, hostBits: hostBits || Number(digits) < offset };
}

/** Whether the address begins with the bits of the network. */
export function contains({ address: { family, bytes }, bits }: Network, address: Address): boolean {
  if (family !== address.family) return false;
  return bytes.every((byte, index) => ((byte ^ (address.bytes[index] ?? 0)) & ~hostMask(bits, index)) === 0);
}

/** The bits of one byte that come after the first `bits` of an address. */
function hostMask(bits: number, index: number): number {
  return 0xff >> Math.min(8, Math.max(0, bits - index * 8));
}

/**
 * Reads an IPv4 address as the C library (`inet_aton`) and URL parsers do: one to four numbers, each decimal, octal (`010`)
 * or hexadecimal (`0x7f`), and the last one fills the remaining bytes. `127.1`, `2130706433` and `0x7f000001` are 127.0.0.1.
 *
 * Source: POSIX `inet_addr`, WHATWG URL "ipv4 parser". `ipaddr.js` reads all of it except a lone `0x`, which is 0.
 */
export function parseLooseIpv4(text: string): Address | undefined {
  if (text.length > 300) return undefined;
  const numbers = text.replace(/(^|\.)0x(?=\.|$)/gi, '$10');
  return ipaddr.IPv4.isValid(numbers) ? ipv4(ipaddr.IPv4.parse(numbers).octets) : undefined;
}

/** Whether the last label of a host name is a number, so that some parsers read it as an IPv4 address. No top-level domain is a number (RFC 1123 section 2.1). */
export function endsInNumber(name: string): boolean {
  return /(?:^|\.)(?:\d+|0x[\da-f]*)$/i.test(name);
}

/** From four bytes. */
export function ipv4(bytes: readonly number[], nonStandard?: Address['nonStandard']): Address {
  return { family: 4, bytes, canonical: bytes.join('.'), ...(nonStandard === undefined ? {} : { nonStandard }) };
}

function dottedDecimal(text: string): { bytes: number[]; zeros: boolean } | undefined {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(text)) return undefined;
  const parts = text.split('.');
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? { bytes, zeros: parts.some((part) => /^0\d/.test(part)) } : undefined;
}

function hexPair(bytes: readonly number[], index: number): string {
  return (((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16);
}
