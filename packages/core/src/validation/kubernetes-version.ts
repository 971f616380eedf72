/** The differences between versions of the API server that matter to the rules here, with feature gates at their defaults. */
export interface ServerRules {
  /** The minor version: 36 for Kubernetes 1.36. */
  readonly minor: number;
  /** A Service's name may begin with a digit (KEP-5311, on by default since 1.36). */
  readonly relaxedServiceNames: boolean;
  /** An update checks the name again, although it cannot change (until 1.33). */
  readonly nameCheckedOnUpdate: boolean;
  /** `010.0.0.1` and `::ffff:10.0.0.1` are refused in new values (KEP-4858, on by default since 1.36). */
  readonly strictAddresses: boolean;
  /** Values of `spec.trafficDistribution`; empty for versions before the field existed. */
  readonly trafficDistributions: readonly string[];
  /** One trailing dot is taken off before `spec.externalName` is checked (since 1.15, kubernetes#78385). */
  readonly trailingDotAccepted: boolean;
  /** Owner references are reported one by one, and missing fields as required (declarative validation, since 1.37). */
  readonly ownersByIndex: boolean;
  /** `spec.externalIPs` is deprecated (KEP-5707, since 1.36). */
  readonly externalIPsDeprecated: boolean;
}

/** The rules that apply if no version is given. */
export const newestMinor = 37;

/**
 * Reads `1.35`, `v1.35.2`, `1.35.2+k3s1` or `v1.33-gke.5`.
 *
 * @returns the minor version; undefined if the text is not a version of Kubernetes 1.
 */
export function parseKubernetesVersion(text: string): number | undefined {
  const match = /^v?1\.(\d{1,3})(?:[.+-].*)?$/s.exec(text);
  return match ? Number(match[1]) : undefined;
}

export function serverRules(minor: number): ServerRules {
  return {
    minor,
    relaxedServiceNames: minor >= 36,
    nameCheckedOnUpdate: minor < 34,
    strictAddresses: minor >= 36,
    trafficDistributions:
      minor >= 34 ? ['PreferClose', 'PreferSameZone', 'PreferSameNode'] : minor >= 30 ? ['PreferClose'] : [],
    trailingDotAccepted: minor >= 15,
    ownersByIndex: minor >= 37,
    externalIPsDeprecated: minor >= 36,
  };
}

/** The minor version that introduced a field of ServiceSpec. Older servers drop the field unread. */
export const fieldSince: Readonly<Record<string, number>> = {
  clusterIPs: 20,
  ipFamilies: 20,
  ipFamilyPolicy: 20,
  allocateLoadBalancerNodePorts: 20,
  loadBalancerClass: 21,
  internalTrafficPolicy: 21,
  trafficDistribution: 30,
};
