import { isIP } from 'node:net';
import { endsInNumber, type Network } from '../addresses/index.ts';
import { InvalidArgumentError } from '../errors.ts';
import { addressRefused, targetRefused } from '../events/index.ts';
import { checkText, ownOptions } from '../input.ts';
import { canonicalName, matchesTargetPattern, parseTargetPattern, type TargetPattern } from '../names/index.ts';
import { aText, checkOptions, either, listOf, objectOf, oneOf, optional } from '../shape.ts';
import { addressRefusal, isInNetworks, parseAllowedNetwork } from './networks.ts';
import {
  type AddressRefusal,
  AddressRefusedError,
  AllowListRequiredError,
  TargetIsAddressError,
  type TargetName,
  TargetRefusedError,
} from './refusals.ts';

/** See {@link createTargetPolicy}. */
export interface TargetPolicyOptions {
  /**
   * The hosts that the name may point to: exact names, or `*.` and a domain for exactly one label before it.
   * `'any'` trusts everyone who can edit the Service. Required for a Service.
   */
  allowedTargets?: readonly string[] | 'any' | undefined;
  /**
   * The networks that the addresses must be in: CIDR blocks, or single addresses. `'any'` turns off every check of
   * addresses, including the check for loopback and metadata addresses.
   * @defaultValue for a Service, every network but loopback, unspecified, link-local, metadata, multicast and
   * IPv4-in-IPv6 transition addresses; for a plain host without an allow-list, every network
   */
  allowedNetworks?: readonly string[] | 'any' | undefined;
  /** The Service that is followed, for messages. If it is set, an allow-list is required. */
  service?: string | undefined;
  /**
   * A plain host that is not a Service. It is its own allow-list, but only if neither `service` nor `allowedTargets` is
   * given. It may be an IP address.
   */
  host?: string | undefined;
}

/**
 * Decides where connections may go. Both checks run before any I/O, and have no effect except the event that a refusal
 * publishes.
 */
export interface TargetPolicy {
  /** Whether `checkTarget` would return. Publishes nothing. */
  allows(target: TargetName): boolean;
  /**
   * Returns if the target is allowed.
   *
   * @throws TargetRefusedError `ERR_EXTERNALNAME_TARGET_REFUSED` if it is not
   * @throws TargetIsAddressError `ERR_EXTERNALNAME_TARGET_IS_ADDRESS` if it is an IP address
   */
  checkTarget(target: TargetName): void;
  /**
   * Returns if the address may be dialled. Check each address right before you dial it, because DNS may return another
   * one every time (rebinding).
   *
   * @throws AddressRefusedError `ERR_EXTERNALNAME_ADDRESS_REFUSED` if it may not
   */
  checkAddress(target: TargetName, address: string): void;
}

/**
 * Makes the policy of one Service or host.
 *
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` if a Service has no allow-list
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for an entry that cannot be read
 *
 * @example
 * ```ts
 * const policy = createTargetPolicy({
 *   service: 'webscaler-db',
 *   allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
 *   allowedNetworks: ['203.0.113.0/24'],
 * });
 * policy.checkTarget({ externalName: 'evil.example.org', via: ['webscaler-db.default.svc.cluster.local'] }); // throws
 * ```
 */
export function createTargetPolicy(options: TargetPolicyOptions): TargetPolicy {
  checkOptions(options, {
    allowedTargets: optional(either(oneOf('any'), listOf(aText))),
    allowedNetworks: optional(either(oneOf('any'), listOf(aText))),
    service: optional(aText),
    host: optional(aText),
  });
  const { allowedTargets, service, host, allowedNetworks } = ownOptions(options);
  const name = service ?? host ?? '';
  const networks = parseNetworks(allowedNetworks);
  const plainHost = service === undefined && allowedTargets === undefined ? host : undefined;
  if (plainHost !== undefined) return new PlainHostPolicy(canonicalName(plainHost), networks);
  if (allowedTargets === 'any') return new ServicePolicy(name, 'any', [], networks);
  if (allowedTargets === undefined || allowedTargets.length === 0) throw new AllowListRequiredError(service ?? host);
  const patterns = allowedTargets.map((entry, index) => parseEntry(entry, `allowedTargets[${index}]`));
  return new ServicePolicy(name, patterns, [...allowedTargets], networks);
}

/**
 * Whether some resolver would read a host name as an IP address: its last label is a number, in any form that `inet_aton`
 * knows (`127.1`, `0x7f000001`). No top-level domain is a number (RFC 1123 section 2.1).
 */
export function looksLikeAddress(name: string): boolean {
  const canonical = canonicalName(name);
  return isIP(canonical) !== 0 || endsInNumber(canonical);
}

const aTarget = objectOf({ externalName: aText, via: listOf(aText) });

/** The policy of a Service, and of a host with an allow-list: every check applies. */
class ServicePolicy implements TargetPolicy {
  readonly #name: string;
  readonly #patterns: readonly TargetPattern[] | 'any';
  readonly #allowed: readonly string[];
  readonly #networks: readonly Network[] | 'any' | undefined;

  constructor(
    name: string,
    patterns: readonly TargetPattern[] | 'any',
    allowed: readonly string[],
    networks: readonly Network[] | 'any' | undefined,
  ) {
    this.#name = name;
    this.#patterns = patterns;
    this.#allowed = allowed;
    this.#networks = networks;
  }

  allows(target: TargetName): boolean {
    aTarget('target', target);
    return this.#refusal(target) === undefined;
  }

  checkTarget(target: TargetName): void {
    aTarget('target', target);
    const error = this.#refusal(target);
    if (error !== undefined) refuseTarget(this.#name, target, error, this.#allowed);
  }

  checkAddress(target: TargetName, address: string): void {
    aTarget('target', target);
    checkText('address', address);
    if (this.#networks === 'any') return;
    const reason = addressRefusal(address, this.#networks);
    if (reason !== undefined) refuseAddress(this.#name, target, address, reason);
  }

  #refusal(target: TargetName): TargetRefusedError | TargetIsAddressError | undefined {
    if (looksLikeAddress(target.externalName)) return new TargetIsAddressError(target);
    if (this.#patterns === 'any' || matchesTargetPattern(target.externalName, this.#patterns)) return undefined;
    return new TargetRefusedError(target, this.#allowed);
  }
}

/** The policy of a host that the application named itself: the target must be that host, within `allowedNetworks`. */
class PlainHostPolicy implements TargetPolicy {
  readonly #host: string;
  readonly #networks: readonly Network[] | 'any' | undefined;

  constructor(host: string, networks: readonly Network[] | 'any' | undefined) {
    this.#host = host;
    this.#networks = networks;
  }

  allows(target: TargetName): boolean {
    return canonicalName(target.externalName) === this.#host;
  }

  checkTarget(target: TargetName): void {
    if (this.allows(target)) return;
    const allowed = [this.#host];
    refuseTarget(this.#host, target, new TargetRefusedError(target, allowed), allowed);
  }

  checkAddress(target: TargetName, address: string): void {
    if (this.#networks === undefined || this.#networks === 'any' || isInNetworks(address, this.#networks)) return;
    refuseAddress(this.#host, target, address, 'outside-allowed-networks');
  }
}

function refuseTarget(
  name: string,
  target: TargetName,
  error: TargetRefusedError | TargetIsAddressError,
  allowed: readonly string[],
): never {
  const { externalName, via } = target;
  targetRefused.publish(() => ({ name, target: externalName, via, code: error.code, allowed }));
  throw error;
}

function refuseAddress(name: string, target: TargetName, address: string, reason: AddressRefusal): never {
  addressRefused.publish(() => ({ name, target: target.externalName, via: target.via, address, reason }));
  throw new AddressRefusedError(target, address, reason);
}

function parseEntry(entry: string, argument: string): TargetPattern {
  const pattern = parseTargetPattern(entry, argument);
  if (looksLikeAddress(pattern.name)) {
    throw new InvalidArgumentError(
      argument,
      `${JSON.stringify(entry)} is an IP address, and an ExternalName cannot be one. Use a Service without selector and an ` +
        'EndpointSlice that holds the address; addresses belong in allowedNetworks',
    );
  }
  return pattern;
}

function parseNetworks(networks: readonly string[] | 'any' | undefined): readonly Network[] | 'any' | undefined {
  if (networks === undefined || networks === 'any') return networks;
  if (networks.length === 0) {
    throw new InvalidArgumentError(
      'allowedNetworks',
      "is empty, which would refuse every address: name a network, or write 'any'",
    );
  }
  return networks.map((text, index) => parseAllowedNetwork(text, `allowedNetworks[${index}]`));
}
