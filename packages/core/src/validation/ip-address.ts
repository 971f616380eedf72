import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An address, as Go's `net.IP` holds it: an IPv4 address inside IPv6 (`::ffff:10.0.0.1`) is of family 4. */
export interface ParsedAddress {
  readonly family: 4 | 6;
  readonly bytes: readonly number[];
  /** As it should be written: dotted decimal, or RFC 5952. */
  readonly canonical: string;
  /** Written in a way that Kubernetes calls non-standard: leading zeros, or IPv4 inside IPv6. */
  readonly nonStandard?: 'leading-zeros' | 'mapped';
}

/**
 * Reads an address as the API server does, which takes leading zeros for decimal (`ParseIPSloppy` of `k8s.io/utils/net`).
 * No port, no zone, no brackets.
 */
export function parseAddress(text: string): ParsedAddress | undefined {
  if (text.length > 300) return undefined;
  const four = dottedDecimal(text);
  if (four) return { family: 4, bytes: four.bytes, canonical: four.bytes.join('.'), ...nonStandard(four.zeros) };
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const inner = tail ? dottedDecimal(tail[2] ?? '') : undefined;
  const six = tail && inner ? `${tail[1]}${hexPair(inner.bytes, 0)}:${hexPair(inner.bytes, 2)}` : text;
  if (!isIPv6(six) || six.includes('%')) return undefined;
  const parsed = ipaddr.IPv6.parse(six);
  if (parsed.isIPv4MappedAddress()) {
    const bytes = parsed.toIPv4Address().toByteArray();
    return { family: 4, bytes, canonical: bytes.join('.'), nonStandard: inner?.zeros ? 'leading-zeros' : 'mapped' };
  }
  return { family: 6, bytes: parsed.toByteArray(), canonical: parsed.toRFC5952String(), ...nonStandard(inner?.zeros) };
}

/** Reads `address/length` as the API server does. */
export function parseNetwork(text: string): { address: ParsedAddress; length: number; hostBits: boolean } | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (!address || !/^\d{1,9}$/.test(digits)) return undefined;
  // IPv4 written inside IPv6 is counted in 128 bits.
  const offset = address.family === 4 && text.slice(0, slash).includes(':') ? 96 : 0;
  const length = Number(digits) - offset;
  if (Number(digits) > address.bytes.length * 8 + offset) return undefined;
  const hostBits = address.bytes.some((byte, index) => {
    const kept = Math.min(8, Math.max(0, length - index * 8));
    return (byte & (0xff >> kept)) !== 0;
  });
  return { address, length: Math.max(0, length), hostBits };
}

/** What an address is for, where that matters. */
export type AddressPurpose =
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'link-local-multicast'
  | 'metadata'
  | 'private';

/** Every purpose that an address serves; none for an ordinary public one (RFC 6890, RFC 4291, cloud vendors' manuals). */
export function addressPurposes(address: ParsedAddress): AddressPurpose[] {
  const { bytes, family } = address;
  const [first = 0, second = 0, third = 0] = bytes;
  const purposes: AddressPurpose[] = [];
  if (bytes.every((byte) => byte === 0)) purposes.push('unspecified');
  if (metadataAddresses.has(address.canonical)) purposes.push('metadata');
  if (family === 4) {
    if (first === 127) purposes.push('loopback');
    if (first === 169 && second === 254) purposes.push('link-local');
    if (first === 224 && second === 0 && third === 0) purposes.push('link-local-multicast');
    const shared = first === 100 && second >= 64 && second < 128;
    const inside = first === 10 || (first === 172 && second >= 16 && second < 32) || (first === 192 && second === 168);
    if (inside || shared) purposes.push('private');
  } else {
    if (address.canonical === '::1') purposes.push('loopback');
    if (first === 0xfe && (second & 0xc0) === 0x80) purposes.push('link-local');
    if (first === 0xff && (second & 0x0f) === 0x02) purposes.push('link-local-multicast');
    if ((first & 0xfe) === 0xfc) purposes.push('private');
  }
  return purposes;
}

/** Where clouds serve credentials to whoever can reach them: AWS, Azure, Google and others; Alibaba; Azure's host; Oracle. */
const metadataAddresses = new Set([
  '169.254.169.254',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
]);

/**
 * Reads an IPv4 address as the C library (`inet_aton`) and URL parsers do: one to four numbers, each decimal, octal (`010`)
 * or hexadecimal (`0x7f`), the last one filling what is left. `127.1`, `2130706433` and `0x7f000001` are 127.0.0.1.
 *
 * Source: POSIX `inet_addr`, WHATWG URL "ipv4 parser".
 */
export function parseLooseIpv4(text: string): ParsedAddress | undefined {
  const parts = text.split('.', 5);
  if (parts.length > 4 || text.length > 80) return undefined;
  const numbers = parts.map(looseNumber);
  let value = 0;
  for (const [index, number] of numbers.entries()) {
    if (number === undefined) return undefined;
    const last = index === numbers.length - 1;
    if (number >= (last ? 256 ** (4 - index) : 256)) return undefined;
    value += last ? number : number * 256 ** (3 - index);
  }
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
  return { family: 4, bytes, canonical: bytes.join('.') };
}

function looseNumber(text: string): number | undefined {
  if (/^0x[\da-f]*$/i.test(text)) return text.length === 2 ? 0 : Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9]\d*$/.test(text) ? Number(text) : undefined;
}

function dottedDecimal(text: string): { bytes: number[]; zeros: boolean } | undefined {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(text)) return undefined;
  const parts = text.split('.');
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? { bytes, zeros: parts.some((part) => /^0\d/.test(part)) } : undefined;
}

function nonStandard(zeros: boolean | undefined): { nonStandard?: 'leading-zeros' } {
  return zeros ? { nonStandard: 'leading-zeros' } : {};
}

function hexPair(bytes: readonly number[], index: number): string {
  return (((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16);
}
