import { parseApiAddress, parseApiNetwork } from '../addresses/index.ts';
import { parseTargetPattern } from '../names/index.ts';
import type { ServiceEntryManifest } from '../objects/index.ts';
import { aNumber, aText, checkOptions, listOf, oneOf, optional, optionsOf } from '../shape.ts';
import { checked, OptionProblems } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** A port of the targets. */
export interface ServiceEntryPort {
  /** 1 to 65535. */
  port: number;
  /**
   * `TLS` if a connection begins with the ClientHello: HTTPS, MQTTS, and PostgreSQL with `sslnegotiation=direct`. Then the sidecar tells targets
   * apart by the name in it. `TCP` for everything else, which includes PostgreSQL: it asks for TLS in a message of its own first.
   */
  protocol: 'TCP' | 'TLS';
}

/** See {@link serviceEntry}. */
export interface ServiceEntryOptions extends ManifestName {
  /** Host names, or `*.` and a domain: every host that the Service may come to point at. */
  targets: readonly string[];
  /** The ports of the targets. At least one. */
  ports: readonly ServiceEntryPort[];
  /** Networks of the targets, as CIDR or single addresses. Required if a port is `TCP`: without them, Istio takes every connection to that port for one to these hosts. */
  networks?: readonly string[] | undefined;
  /** Namespaces whose sidecars know of it: `.` is its own, `*` all. @defaultValue `['.']` */
  exportTo?: readonly string[] | undefined;
}

/**
 * Makes an Istio ServiceEntry that lets the pods of a mesh out to all targets that an ExternalName Service may lead to, before and after a
 * switch (needed with `outboundTrafficPolicy: REGISTRY_ONLY`, and for telemetry by host). The sidecar hands each connection on to the address that the
 * application has chosen (`resolution: NONE`): with `DNS` it would choose itself, and could send what was meant for the new target to the old one.
 * TLS stays between the application and the target.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` for an invalid name or network, no target, no port, or a `TCP` port without networks
 *
 * Source: Istio documentation, "Service Entry" and "ServiceEntryAddressesRequired" (IST0134).
 */
export function serviceEntry(options: ServiceEntryOptions): ServiceEntryManifest {
  checkOptions(options, {
    ...nameShapes,
    targets: listOf(aText),
    ports: listOf(optionsOf<ServiceEntryPort>({ port: aNumber(), protocol: oneOf('TCP', 'TLS') })),
    networks: optional(listOf(aText)),
    exportTo: optional(listOf(aText)),
  });
  const { targets, ports, networks = [], exportTo = ['.'] } = options;
  const problems = new OptionProblems();
  if (targets.length === 0) problems.add('targets', 'give at least one host name');
  if (ports.length === 0) problems.add('ports', 'give at least one port');
  for (const [index, { port }] of ports.entries()) {
    const path = `ports[${index}].port`;
    if (!(Number.isInteger(port) && port >= 1 && port <= 65_535)) problems.add(path, 'must be from 1 to 65535');
    else if (ports.findIndex((other) => other.port === port) < index) problems.add(path, 'stands there twice');
  }
  const hosts = targets.flatMap((text, index) =>
    problems.attempt(`targets[${index}]`, () => {
      const { kind, name } = parseTargetPattern(text, `targets[${index}]`);
      return kind === 'exact' ? name : `*.${name}`;
    }),
  );
  for (const [index, network] of networks.entries()) {
    if (parseApiAddress(network) === undefined && parseApiNetwork(network)?.hostBits !== false) {
      problems.add(`networks[${index}]`, 'must be an address or a network in CIDR notation, as 203.0.113.0/24');
    }
  }
  if (networks.length === 0 && ports.some(({ protocol }) => protocol === 'TCP')) {
    problems.add(
      'networks',
      'give the networks of the targets: Istio tells TCP connections apart by their addresses alone',
    );
  }
  const entry: ServiceEntryManifest = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: metadata(options),
    spec: {
      hosts,
      ...(networks.length > 0 && { addresses: [...networks] }),
      ports: ports.map(({ port, protocol }) => ({ number: port, name: `${protocol.toLowerCase()}-${port}`, protocol })),
      location: 'MESH_EXTERNAL',
      resolution: 'NONE',
      exportTo: [...exportTo],
    },
  };
  return checked('ServiceEntry', entry, {}, problems);
}
