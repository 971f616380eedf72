import {
  type Address,
  behindTranslator,
  contains,
  type Network,
  parseAddress,
  parseApiNetwork,
  type SpecialRange,
  specialRange,
} from '../addresses/index.ts';
import { InvalidArgumentError } from '../errors.ts';
import type { AddressRefusal } from './refusals.ts';

/**
 * Reads an entry of `allowedNetworks`: `10.0.0.0/8`, `2001:db8::/32`, or one address.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for anything else, and if bits are set after the prefix (`10.1.2.3/8`),
 * which is usually a mistake.
 */
export function parseAllowedNetwork(text: string, argument: string): Network {
  const [address = '', prefix] = text.split('/');
  const network = parseApiNetwork(prefix === undefined ? `${text}/${text.includes(':') ? 128 : 32}` : text);
  // The API server accepts leading zeros, which other parsers read as octal.
  if (network === undefined || parseAddress(address) === undefined) {
    throw new InvalidArgumentError(
      argument,
      `${JSON.stringify(text.slice(0, 100))} is not a network: write an address or a CIDR block like 10.0.0.0/8`,
    );
  }
  if (network.hostBits) {
    throw new InvalidArgumentError(
      argument,
      `${JSON.stringify(text)} has bits set after its prefix: write the first address of the network, or one address without a prefix`,
    );
  }
  return network;
}

/**
 * Why a Service must not lead to `address`, or `undefined` if it may.
 *
 * Without `allowed`, every address is allowed except special ones, where no external server can be. With it, the address must
 * be in one of the networks, and a special address must be *named* by an entry that lies within its special range:
 * `0.0.0.0/0` does not allow 127.0.0.1, but `127.0.0.0/8` does. Each metadata address is a range of its own, so only that very
 * address names it: `169.254.0.0/16` allows link-local addresses, but not 169.254.169.254.
 *
 * IPv4-mapped addresses (`::ffff:127.0.0.1`) are judged as the IPv4 address that the kernel connects to. NAT64 addresses
 * (64:ff9b::/96) are judged by the IPv4 address behind the translator.
 */
export function addressRefusal(text: string, allowed: readonly Network[] | undefined): AddressRefusal | undefined {
  const address = parseAddress(text);
  if (address === undefined) return 'no-address';
  const special = specialRange(address);
  if (special !== undefined) {
    const named = allowed?.some((network) => contains(network, address) && liesWithin(network, special));
    if (named) return undefined;
    return special.purpose === 'link-local-multicast' ? 'multicast' : special.purpose;
  }
  if (allowed === undefined || isWithin(address, allowed)) return undefined;
  const behind = behindTranslator(address);
  return behind && isWithin(behind, allowed) ? undefined : 'outside-allowed-networks';
}

/** Whether `text` is an address in one of the networks. A plain host needs no more than that. */
export function isInNetworks(text: string, networks: readonly Network[]): boolean {
  const address = parseAddress(text);
  return address !== undefined && isWithin(address, networks);
}

function isWithin(address: Address, networks: readonly Network[]): boolean {
  return networks.some((network) => contains(network, address));
}

/** Whether all of the network is in the special range, or stands for addresses behind NAT64 that are. */
function liesWithin(network: Network, range: SpecialRange): boolean {
  const behind = network.bits >= 96 ? behindTranslator(network.address) : undefined;
  const inner = behind === undefined ? network : { address: behind, bits: network.bits - 96 };
  return inner.bits >= range.bits && contains(range, inner.address);
}
