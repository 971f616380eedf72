import { purposeNames } from '../addresses/index.ts';
import { ExternalNameError, type ExternalNameErrorOptions } from '../errors.ts';
import type { Target } from './target-source.ts';

/** What a policy needs to know about a target: its name, and the names that led to it. */
export type TargetName = Pick<Target, 'externalName' | 'via'>;

/**
 * A Service points to a host outside `allowedTargets`. Raised before any socket opens, so nothing was sent.
 * Code `ERR_EXTERNALNAME_TARGET_REFUSED`.
 */
export class TargetRefusedError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** The host that was refused. */
  readonly target: string;
  /** The names between the Service and the host, in order. */
  readonly via: readonly string[];
  /** The allow-list, as it was written. */
  readonly allowed: readonly string[];

  constructor(target: TargetName, allowed: readonly string[], options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_TARGET_REFUSED', refusalMessage(target, allowed), options);
    this.target = target.externalName;
    this.via = target.via;
    this.allowed = allowed;
  }
}

/**
 * The `externalName` of a Service is an IP address, or digits that some resolvers read as one. Cluster DNS treats it as a
 * name made of digits, which does not resolve, and an allow-list of names cannot contain it.
 * Raised before any socket opens. Code `ERR_EXTERNALNAME_TARGET_IS_ADDRESS`.
 *
 * Source: Kubernetes documentation, "Service", type ExternalName; RFC 1123 section 2.1.
 */
export class TargetIsAddressError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** The address that was given instead of a host name. */
  readonly target: string;
  /** The names between the Service and the address, in order. */
  readonly via: readonly string[];

  constructor(target: TargetName, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_TARGET_IS_ADDRESS',
      `refused target ${described(target)}: an ExternalName cannot be an IP address: DNS treats it as a name made of digits. ` +
        'Use a Service without selector and an EndpointSlice that holds the address',
      options,
    );
    this.target = target.externalName;
    this.via = target.via;
  }
}

/** Why an address must not be dialled. */
export type AddressRefusal =
  /** This machine itself: 127.0.0.0/8, ::1. */
  | 'loopback'
  /** The unspecified address: 0.0.0.0/8, `::`. Linux connects to itself there. */
  | 'unspecified'
  /** The metadata service of a cloud, which hands out credentials. */
  | 'metadata'
  /** 169.254.0.0/16, fe80::/10. */
  | 'link-local'
  /** A group of hosts, or all of them. */
  | 'multicast'
  /** IPv6 that only wraps an IPv4 address: a relay decides where the packets go. */
  | 'transition'
  /** `allowedNetworks` is given, and none of its entries contains the address. */
  | 'outside-allowed-networks'
  /** The text is not an IP address. */
  | 'no-address';

/**
 * A target resolved to an address outside `allowedNetworks`, or to one where no external server can be
 * (loopback, link-local, metadata, ...). Raised before any socket opens. Code `ERR_EXTERNALNAME_ADDRESS_REFUSED`.
 */
export class AddressRefusedError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** The host that has the address. */
  readonly target: string;
  /** The names between the Service and the host, in order. */
  readonly via: readonly string[];
  /** The address that is not allowed. */
  readonly address: string;
  /** Which rule refuses it. */
  readonly reason: AddressRefusal;

  constructor(target: TargetName, address: string, reason: AddressRefusal, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_ADDRESS_REFUSED',
      `refused address ${shortened(address)} of ${described(target)}: ${explain(reason)}`,
      options,
    );
    this.target = target.externalName;
    this.via = target.via;
    this.address = address;
    this.reason = reason;
  }
}

/**
 * No allow-list was given for a Service. Raised when the policy is made, before any I/O.
 * Code `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED`.
 */
export class AllowListRequiredError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(name: string | undefined, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED',
      `${name ?? 'this Service'} needs an allow-list, because anyone who can edit the Service chooses where connections go. ` +
        "Write allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'] with the hosts that it may point to " +
        "('*.example.com' stands for one label), or allowedTargets: 'any' to trust whatever it says",
      options,
    );
  }
}

/** `primary-db.example.com (webscaler-db.default.svc.cluster.local)`, for messages. */
export function described(target: TargetName): string {
  const name = shortened(target.externalName);
  return target.via.length === 0 ? name : `${name} (by way of ${target.via.map(shortened).join(' -> ')})`;
}

function refusalMessage(target: TargetName, allowed: readonly string[]): string {
  const known = allowed.join(', ') || 'none';
  if (target.via.length === 0 && /\.svc\./.test(target.externalName)) {
    return (
      `refused target ${described(target)}: it has no CNAME, so the Service is not, or is no longer, of type ` +
      `ExternalName. If that is meant, add the name to allowedTargets (now: ${known})`
    );
  }
  return `refused target ${described(target)}: if the switch was meant, add it to allowedTargets (now: ${known})`;
}

// Names and addresses come from the network, so messages must not grow with them.
function shortened(text: string): string {
  return text.length <= 253 ? text : `${text.slice(0, 253)}...`;
}

const ifMeant = 'If it is meant, name its network in allowedNetworks';

function explain(reason: AddressRefusal): string {
  if (reason === 'no-address') return 'it is not an IP address';
  if (reason === 'outside-allowed-networks')
    return 'it is outside allowedNetworks. If it is meant, add its network there';
  if (reason === 'transition') return `it is ${purposeNames.transition}. ${ifMeant}`;
  return `it is ${purposeNames[reason]}, and no external server can be there. ${ifMeant}`;
}
