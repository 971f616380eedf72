/**
 * What the cluster's DNS knows of the cluster: the few fields of Services and EndpointSlices that answers need.
 * It may lag behind the API, as CoreDNS's own copy does.
 */
export interface ClusterView {
  /** Whether the first list of everything has arrived. Until then a name that is not known may still exist. */
  readonly synced: boolean;
  /** Number in the SOA: goes up when something changes. */
  readonly serial: number;
  hasNamespace(namespace: string): boolean;
  service(namespace: string, name: string): ServiceEntry | undefined;
  /** The endpoints of a Service, one entry for each EndpointSlice. */
  endpoints(namespace: string, service: string): readonly EndpointsEntry[];
  /** Which Service has this cluster address. */
  serviceByAddress(address: string): ServiceEntry | undefined;
  /** Which EndpointSlices hold this address. */
  endpointsByAddress(address: string): readonly EndpointsEntry[];
}

/** See {@link ClusterView}. */
export interface ServiceEntry {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  /** As stored: with or without a trailing dot, or an address by mistake. */
  readonly externalName: string;
  /** Addresses, or `None` for a headless Service. Empty for ExternalName. */
  readonly clusterIPs: readonly string[];
  readonly ports: readonly PortEntry[];
}

/** See {@link ClusterView}. */
export interface PortEntry {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

/** See {@link ClusterView}. */
export interface EndpointsEntry {
  readonly namespace: string;
  readonly service: string;
  readonly ports: readonly PortEntry[];
  /** Only endpoints that are ready, or that do not say. */
  readonly addresses: readonly { readonly address: string; readonly hostname: string }[];
}

/** Whether a Service has no address of its own, so that its name stands for its endpoints. */
export function isHeadless(service: ServiceEntry): boolean {
  return service.clusterIPs[0] === 'None';
}

/** The label of an endpoint below its Service: its host name, or its address with dashes. */
export function endpointLabel(endpoint: { readonly address: string; readonly hostname: string }): string {
  if (endpoint.hostname !== '') return endpoint.hostname;
  if (endpoint.address.includes('.')) return endpoint.address.replaceAll('.', '-');
  const label = endpoint.address.replaceAll(':', '-');
  return label.endsWith('-') ? `${label}0` : label;
}
