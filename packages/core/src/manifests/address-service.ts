import { isIPv4, isIPv6 } from 'node:net';
import { InvalidArgumentError } from '../errors.ts';
import {
  type AddressEndpoint,
  type AddressPort,
  addressObjects,
  type EndpointSliceManifest,
  type ServiceManifest,
} from '../objects/index.ts';
import { type BuilderChecks, checked } from './manifest-error.ts';
import { type ManifestName, metadata } from './object-name.ts';
import { externalNameService } from './service.ts';

/** See {@link addressService}. */
export interface AddressServiceOptions extends ManifestName, Pick<BuilderChecks, 'kubernetesVersion'> {
  /** IPv4 and IPv6 addresses in their usual form; each alone, or with what is known of its state. */
  addresses: readonly (string | AddressEndpoint)[];
  /** None: a headless Service without ports, which clients reach on any port. */
  ports?: readonly AddressPort[] | undefined;
  /**
   * `true`: DNS answers with the addresses themselves, ports are not mapped. `false`: a cluster IP in front, ports are
   * mapped by kube-proxy, and a change of addresses needs no DNS.
   * @defaultValue false where there are ports
   */
  headless?: boolean | undefined;
}

/**
 * What works for addresses, where ExternalName does not: a Service without selector, and EndpointSlices with the addresses,
 * IPv4 and IPv6 apart, at most 1000 in each. The slices are managed by `externalname`, so no controller of the cluster
 * changes them: whoever applies them keeps them up to date.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` where there is no address, or a text that is none.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`
 *
 * Source: Kubernetes documentation, "Services without selectors", "EndpointSlices".
 */
export function addressService(options: AddressServiceOptions): (ServiceManifest | EndpointSliceManifest)[] {
  const { addresses, ports = [], headless = ports.length === 0 } = options;
  if (addresses.length === 0) throw new InvalidArgumentError('addresses', 'give at least one address');
  if (ports.length === 0 && !headless)
    throw new InvalidArgumentError('ports', 'a Service with a cluster IP needs at least one port');
  const endpoints = addresses.map((entry, index) => {
    const endpoint = typeof entry === 'string' ? { address: entry } : entry;
    const family = familyOf(endpoint.address);
    if (family !== undefined) return { ...endpoint, family };
    throw new InvalidArgumentError(
      `addresses[${index}]`,
      `${JSON.stringify(endpoint.address)} is no address: write 203.0.113.7 or 2001:db8::7, without port`,
    );
  });
  return checked(
    'Service for addresses',
    addressObjects({ metadata: metadata(options), ports, headless, endpoints }),
    options,
  );
}

/** See {@link serviceFor}. */
export interface ServiceForOptions extends Omit<AddressServiceOptions, 'addresses'>, BuilderChecks {
  /** Host names, or addresses; not both. */
  targets: readonly string[];
}

/**
 * Given names or addresses, returns what works for them:
 * - one name: a Service of type ExternalName;
 * - several names: one such Service a name, called `<name>-1`, `<name>-2`, ... (an ExternalName holds one host only; the
 *   SDK balances over several services);
 * - addresses: a Service without selector and its EndpointSlices, see {@link addressService}.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` where names and addresses are mixed, or there is none.
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`
 */
export function serviceFor(options: ServiceForOptions): (ServiceManifest | EndpointSliceManifest)[] {
  const { targets, name } = options;
  const addresses = targets.filter((target) => familyOf(target) !== undefined);
  if (targets.length === 0) throw new InvalidArgumentError('targets', 'give at least one name or address');
  if (addresses.length === targets.length) return addressService({ ...options, addresses });
  if (addresses.length > 0) {
    const both = `${JSON.stringify(addresses[0])} is an address, others are names`;
    throw new InvalidArgumentError(
      'targets',
      `${both}: no Service holds both. Give the addresses a name in DNS, or make two Services`,
    );
  }
  return targets.map((externalName, index) => {
    return externalNameService({
      ...options,
      name: targets.length === 1 ? name : `${name}-${index + 1}`,
      externalName,
    });
  });
}

function familyOf(text: string): 4 | 6 | undefined {
  if (isIPv4(text)) return 4;
  return isIPv6(text) && !text.includes('%') ? 6 : undefined;
}
