import type { EndpointSliceManifest, ServiceManifest, ServicePort } from './kubernetes.ts';

/** A port of a Service for addresses. */
export interface AddressPort {
  /** Needed if there are several ports. */
  name?: string | undefined;
  /** The port that clients connect to, 1 to 65535. */
  port: number;
  /** The port at the addresses. @defaultValue `port` */
  targetPort?: number | undefined;
  /** Transport protocol. @defaultValue `TCP` */
  protocol?: 'TCP' | 'UDP' | 'SCTP' | undefined;
  /** The application protocol: a name from the IANA registry (`postgresql`), or `example.com/name`. */
  appProtocol?: string | undefined;
}

/** An address behind a Service, with its state. */
export interface AddressEndpoint {
  /** IPv4 or IPv6 address, as text. */
  address: string;
  /** Whether it takes connections. @defaultValue true */
  ready?: boolean | undefined;
  /** Whether it serves, even while it terminates. @defaultValue `ready` */
  serving?: boolean | undefined;
  /** Whether it is terminating. @defaultValue false */
  terminating?: boolean | undefined;
}

/** Most addresses in one slice. Source: `pkg/apis/discovery/validation/validation.go`. */
export const mostEndpoints = 1000;

/** The manager of the slices that are made here. The slice controller does not touch them. */
export const endpointSliceManager = 'externalname';

/** The input of {@link addressObjects}, which does not check it. */
export interface AddressParts {
  readonly metadata: ServiceManifest['metadata'];
  /** An empty list makes a headless Service: DNS answers with the addresses, and clients connect to any port. */
  readonly ports: readonly AddressPort[];
  readonly headless: boolean;
  readonly endpoints: readonly (AddressEndpoint & { readonly family: 4 | 6 })[];
}

/**
 * Makes a Service without selector and the EndpointSlices behind it, one family in each slice.
 *
 * Source: Kubernetes documentation, "Services without selectors", and "EndpointSlices".
 */
export function addressObjects(parts: AddressParts): (ServiceManifest | EndpointSliceManifest)[] {
  return [addressService(parts), ...([4, 6] as const).flatMap((family) => slices(parts, family))];
}

function addressService({ metadata, ports, headless, endpoints }: AddressParts): ServiceManifest {
  const families = ([4, 6] as const).filter((family) => endpoints.some((endpoint) => endpoint.family === family));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      ...(headless ? { clusterIP: 'None' } : {}),
      ...(families.length > 0
        ? {
            ipFamilies: families.map((family) => `IPv${family}` as const),
            ipFamilyPolicy: families.length > 1 ? ('PreferDualStack' as const) : ('SingleStack' as const),
          }
        : {}),
      ...(ports.length > 0 ? { ports: ports.map(servicePort) } : {}),
    },
  };
}

function servicePort({ name, port, targetPort, protocol, appProtocol }: AddressPort): ServicePort {
  return {
    ...(name === undefined ? {} : { name }),
    ...(protocol === undefined ? {} : { protocol }),
    port,
    ...(targetPort === undefined ? {} : { targetPort }),
    ...(appProtocol === undefined ? {} : { appProtocol }),
  };
}

function slices({ metadata, ports, endpoints }: AddressParts, family: 4 | 6): EndpointSliceManifest[] {
  const ofFamily = endpoints.filter((endpoint) => endpoint.family === family);
  const made: EndpointSliceManifest[] = [];
  for (let start = 0; start < ofFamily.length; start += mostEndpoints) {
    made.push({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `${metadata.name}-ipv${family}-${made.length + 1}`,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
        labels: {
          'kubernetes.io/service-name': metadata.name,
          'endpointslice.kubernetes.io/managed-by': endpointSliceManager,
        },
      },
      addressType: `IPv${family}`,
      ports: ports.map(({ name, port, targetPort, protocol, appProtocol }) => ({
        // The same name as in the Service, or empty: kube-proxy pairs ports by name.
        name: name ?? '',
        protocol: protocol ?? 'TCP',
        port: targetPort ?? port,
        ...(appProtocol === undefined ? {} : { appProtocol }),
      })),
      endpoints: ofFamily
        .slice(start, start + mostEndpoints)
        .map(({ address, ready = true, serving, terminating }) => ({
          addresses: [address],
          conditions: {
            ready,
            ...(serving === undefined ? {} : { serving }),
            ...(terminating === undefined ? {} : { terminating }),
          },
        })),
    });
  }
  return made;
}
