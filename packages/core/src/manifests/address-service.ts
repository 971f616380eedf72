import { isIPv4, isIPv6 } from 'node:net';
import { checkObject } from '../input.ts';
import {
  type AddressEndpoint,
  type AddressPort,
  addressObjects,
  type EndpointSliceManifest,
  type ServiceManifest,
} from '../objects/index.ts';
import { aBoolean, anything, aText, checkOptions, either, listOf, optional, optionsOf } from '../shape.ts';
import { type BuilderChecks, checked, checkShapes, ManifestInvalidError, OptionProblems } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** See {@link addressService}. */
export interface AddressServiceOptions extends ManifestName, Pick<BuilderChecks, 'kubernetesVersion'> {
  /** IPv4 and IPv6 addresses in their usual form, each alone or with its state. */
  addresses: readonly (string | AddressEndpoint)[];
  /** If there are none, the result is a headless Service without ports, which clients reach on any port. */
  ports?: readonly AddressPort[] | undefined;
  /**
   * `true`: DNS answers with the addresses themselves, and ports are not mapped. `false`: a cluster IP stands in front,
   * kube-proxy maps the ports, and a change of addresses needs no change in DNS.
   * @defaultValue false if there are ports
   */
  headless?: boolean | undefined;
}

/**
 * Makes a Service without selector for addresses, which ExternalName cannot hold, and the EndpointSlices with the addresses:
 * IPv4 and IPv6 apart, at most 1000 in each. The slices are managed by `externalname`, so no controller of the cluster
 * changes them: you keep them up to date.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`, also if there is no address, or an entry is not an address.
 *
 * Source: Kubernetes documentation, "Services without selectors", "EndpointSlices".
 */
export function addressService(options: AddressServiceOptions): (ServiceManifest | EndpointSliceManifest)[] {
  checkOptions(options, {
    ...nameShapes,
    kubernetesVersion: optional(aText),
    addresses: listOf(either(aText, anAddress)),
    ports: optional(listOf(checkObject)),
    headless: optional(aBoolean),
  });
  const { addresses, ports = [], headless = ports.length === 0 } = options;
  const problems = new OptionProblems();
  if (addresses.length === 0) problems.add('addresses', 'give at least one address');
  if (ports.length === 0 && !headless) problems.add('ports', 'a Service with a cluster IP needs at least one port');
  const endpoints = addresses.flatMap((entry, index) => {
    const endpoint = typeof entry === 'string' ? { address: entry } : entry;
    const family = familyOf(endpoint.address);
    if (family !== undefined) return [{ ...endpoint, family }];
    const shown = JSON.stringify(endpoint.address.slice(0, 100));
    problems.add(`addresses[${index}]`, `${shown} is not an address: write 203.0.113.7 or 2001:db8::7, without a port`);
    return [];
  });
  const objects = addressObjects({ metadata: metadata(options), ports, headless, endpoints });
  return checked('Service for addresses', objects, options, problems);
}

const flag = optional(aBoolean);
const anAddress = optionsOf<AddressEndpoint>({ address: aText, ready: flag, serving: flag, terminating: flag });

/** See {@link serviceFor}. */
export interface ServiceForOptions extends Omit<AddressServiceOptions, 'addresses'>, BuilderChecks {
  /** Host names, or addresses; not both. */
  targets: readonly string[];
}

/**
 * Makes the objects that work for the given names or addresses:
 * - one name: a Service of type ExternalName;
 * - several names: one such Service for each name, called `<name>-1`, `<name>-2`, ... (an ExternalName holds one host only; the
 *   SDK balances over several services);
 * - addresses: a Service without selector and its EndpointSlices, see {@link addressService}.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`, also if names and addresses are mixed, or there are none.
 */
export function serviceFor(options: ServiceForOptions): (ServiceManifest | EndpointSliceManifest)[] {
  checkOptions(options, { ...nameShapes, ...checkShapes, targets: listOf(aText), ports: anything, headless: anything });
  const { targets, name } = options;
  const addresses = targets.filter((target) => familyOf(target) !== undefined);
  if (addresses.length === targets.length && targets.length > 0) {
    const { targets: _, allowedTargets: _allowed, clusterDomain: _domain, ...rest } = options;
    return addressService({ ...rest, addresses });
  }
  const problems = new OptionProblems();
  if (targets.length === 0) problems.add('targets', 'give at least one name or address');
  if (addresses.length > 0) {
    const both = `${JSON.stringify(addresses[0])} is an address and others are names`;
    problems.add(
      'targets',
      `${both}, but a Service cannot hold both: give the addresses a name in DNS, or make two Services`,
    );
  }
  if (problems.issues.length > 0) throw new ManifestInvalidError('Service', problems.issues);
  const services = targets.map(
    (externalName, index): ServiceManifest => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata({ ...options, name: targets.length === 1 ? name : `${name}-${index + 1}` }),
      spec: { type: 'ExternalName', externalName },
    }),
  );
  return checked('Service of type ExternalName', services, options);
}

function familyOf(text: string): 4 | 6 | undefined {
  if (isIPv4(text)) return 4;
  return isIPv6(text) && !text.includes('%') ? 6 : undefined;
}
