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
   * The hosts that the name may lead to: exact names, or `*.` and a domain for exactly one label before it.
   * `'any'` trusts whoever can edit the Service. Required for a Service.
   */
  allowedTargets?: readonly string[] | 'any' | undefined;
  /**
   * The networks that the addresses must be in: CIDR blocks, or single addresses. `'any'` lifts every check of
   * addresses, the one of loopback and metadata addresses included.
   * @defaultValue for a Service, every network but loopback, unspecified, link-local, metadata, multicast and
   * IPv4-in-IPv6 transition addresses; for a plain host without an allow-list, every network
   */
  allowedNetworks?: readonly string[] | 'any' | undefined;
  /** The Service that is followed, for messages. Its presence makes an allow-list required. */
  service?: string | undefined;
  /**
   * A plain host that is no Service. Only where neither `service` nor `allowedTargets` is given is it its own
   * allow-list. May be an IP address.
   */
  host?: string | undefined;
}

/**
 * Where connections may go. Both checks are pure apart from the event that a refusal publishes, and both come
 * before any I/O.
 */
export interface TargetPolicy {
  /** Whether `checkTarget` would return. Publishes nothing. */
  allows(target: TargetName): boolean;
  /**
   * Returns where the target is allowed.
   *
   * @throws TargetRefusedError `ERR_EXTERNALNAME_TARGET_REFUSED` where it is not
   * @throws TargetIsAddressError `ERR_EXTERNALNAME_TARGET_IS_ADDRESS` where it is an IP address
   */
  checkTarget(target: TargetName): void;
  /**
   * Returns where the address may be dialled. Ask for each address right before it is, because DNS may name
   * another one every time (rebinding).
   *
   * @throws AddressRefusedError `ERR_EXTERNALNAME_ADDRESS_REFUSED` where it may not
   */
  checkAddress(target: TargetName, address: string): void;
}

/**
 * Makes the policy of one Service or host.
 *
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` where a Service comes without an allow-list
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
 * Whether a host name would be read as an IP address by some resolver: its last label is a number, also in the
 * forms that `inet_aton` knows (`127.1`, `0x7f000001`). No top-level domain is one (RFC 1123 section 2.1).
 */
export function looksLikeAddress(name: string): boolean {
  const canonical = canonicalName(name);
  return isIP(canonical) !== 0 || endsInNumber(canonical);
}

const aTarget = objectOf({ externalName: aText, via: listOf(aText) });

/** What is asked of a Service, and of a host that has an allow-list: everything. */
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

/** What is asked of a host that the application named itself: that it is that host, and `allowedNetworks`. */
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
        'EndpointSlice that holds the address; allowedNetworks is the list of addresses',
    );
  }
  return pattern;
}

function parseNetworks(networks: readonly string[] | 'any' | undefined): readonly Network[] | 'any' | undefined {
  if (networks === undefined || networks === 'any') return networks;
  if (networks.length === 0) {
    throw new InvalidArgumentError('allowedNetworks', "is empty and would refuse every address: name one, or 'any'");
  }
  return networks.map((text, index) => parseAllowedNetwork(text, `allowedNetworks[${index}]`));
}
