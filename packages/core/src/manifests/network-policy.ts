import { parseTargetPattern } from '../names/index.ts';
import type { CiliumEgressRule, CiliumNetworkPolicyManifest, NetworkPolicyManifest } from '../objects/index.ts';
import { aNumber, aText, checkOptions, listOf, optional, optionsOf, recordOf } from '../shape.ts';
import { type BuilderChecks, checked, OptionProblems } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** A port that may be reached. */
export interface EgressPort {
  /** 1 to 65535. */
  port: number;
  /** Transport protocol. @defaultValue `TCP` */
  protocol?: 'TCP' | 'UDP' | undefined;
}

/** See {@link egressNetworkPolicy}. */
export interface EgressNetworkPolicyOptions extends ManifestName, Pick<BuilderChecks, 'kubernetesVersion'> {
  /** Labels of the pods it applies to. Empty: every pod of the namespace. */
  podLabels: Readonly<Record<string, string>>;
  /** Networks of the external service, as CIDR: `203.0.113.0/24`, `2001:db8::/64`. */
  networks: readonly string[];
  /** The ports of the targets. At least one: an empty list would let everything out. */
  ports: readonly EgressPort[];
  /** Where the cluster's DNS is. @defaultValue `k8s-app: kube-dns` in `kube-system` */
  dns?: EgressDnsOptions | undefined;
}

/** The DNS servers that the pods ask. */
export interface EgressDnsOptions {
  /** Namespace of the DNS pods. @defaultValue `kube-system` */
  namespace?: string | undefined;
  /** Labels of the DNS pods. @defaultValue `{ 'k8s-app': 'kube-dns' }` */
  podLabels?: Readonly<Record<string, string>> | undefined;
  /** Address of NodeLocal DNSCache, if the nodes run it: `169.254.20.10`. */
  nodeLocalAddress?: string | undefined;
}

/**
 * Makes a NetworkPolicy that lets pods out to known networks and to the cluster's DNS, and nowhere else. A NetworkPolicy
 * cannot hold host names: keep the networks in step with the external service, or use {@link ciliumNetworkPolicy}.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`, also if there is no network or no port.
 *
 * Source: Kubernetes documentation, "Network Policies".
 */
export function egressNetworkPolicy(options: EgressNetworkPolicyOptions): NetworkPolicyManifest {
  checkOptions(options, {
    ...nameShapes,
    kubernetesVersion: optional(aText),
    podLabels: recordOf(aText),
    networks: listOf(aText),
    ports: listOf(aPort),
    dns: optional(optionsOf<EgressDnsOptions>({ ...dnsShapes, nodeLocalAddress: optional(aText) })),
  });
  const { podLabels, networks, ports, dns = {} } = options;
  const problems = new OptionProblems();
  if (networks.length === 0)
    problems.add('networks', 'give at least one network: an empty list would allow every address');
  if (ports.length === 0) problems.add('ports', 'give at least one port: an empty list would allow every port');
  const { namespace = 'kube-system', podLabels: dnsLabels = kubeDns, nodeLocalAddress } = dns;
  const dnsPods = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    podSelector: { matchLabels: { ...dnsLabels } },
  };
  const nodeLocal =
    nodeLocalAddress === undefined
      ? []
      : [{ ipBlock: { cidr: `${nodeLocalAddress}/${nodeLocalAddress.includes(':') ? 128 : 32}` } }];
  const policy: NetworkPolicyManifest = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(options),
    spec: {
      podSelector: Object.keys(podLabels).length === 0 ? {} : { matchLabels: { ...podLabels } },
      policyTypes: ['Egress'],
      egress: [
        {
          to: networks.map((cidr) => ({ ipBlock: { cidr } })),
          ports: ports.map(({ port, protocol = 'TCP' }) => ({ protocol, port })),
        },
        {
          to: [dnsPods, ...nodeLocal],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
      ],
    },
  };
  return checked('NetworkPolicy', policy, options, problems);
}

/** See {@link ciliumNetworkPolicy}. */
export interface CiliumNetworkPolicyOptions extends ManifestName {
  /** Labels of the pods it applies to. Empty: every pod of the namespace. */
  podLabels: Readonly<Record<string, string>>;
  /** Full names of the Services that the pods look up: `webscaler-db.default.svc.cluster.local`. */
  services: readonly string[];
  /** Host names, or `*.` and a domain for one label before it. */
  targets: readonly string[];
  /** The ports of the targets. At least one: an empty list would let everything out. */
  ports: readonly EgressPort[];
  /** Where the cluster's DNS is. @defaultValue `k8s-app: kube-dns` in `kube-system` */
  dns?: Omit<EgressDnsOptions, 'nodeLocalAddress'> | undefined;
}

/**
 * Makes a CiliumNetworkPolicy that lets pods out by name. Cilium learns the addresses from the DNS answers that pass its
 * proxy, under the name that was *asked for*. A pod that looks up the Service needs the Service's name here; a pod that looks
 * up the target (as the SDK does) needs the target's name. So the policy lists both.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` for an invalid name, or if there is no target or no port.
 *
 * Source: Cilium documentation, "DNS based"; cilium#30588.
 */
export function ciliumNetworkPolicy(options: CiliumNetworkPolicyOptions): CiliumNetworkPolicyManifest {
  checkOptions(options, {
    ...nameShapes,
    podLabels: recordOf(aText),
    services: listOf(aText),
    targets: listOf(aText),
    ports: listOf(aPort),
    dns: optional(optionsOf<Omit<EgressDnsOptions, 'nodeLocalAddress'>>(dnsShapes)),
  });
  const { podLabels, services, targets, ports, dns = {} } = options;
  const problems = new OptionProblems();
  const { namespace = 'kube-system', podLabels: dnsLabels = kubeDns } = dns;
  if (targets.length === 0) problems.add('targets', 'give at least one host name');
  if (ports.length === 0) problems.add('ports', 'give at least one port: an empty list would allow every port');
  const names = [
    ...services.flatMap((text, index) => nameRule(text, `services[${index}]`, problems)),
    ...targets.flatMap((text, index) => nameRule(text, `targets[${index}]`, problems)),
  ];
  const toDns: CiliumEgressRule = {
    toEndpoints: [{ matchLabels: { 'k8s:io.kubernetes.pod.namespace': namespace, ...withSource(dnsLabels) } }],
    toPorts: [{ ports: [{ port: '53', protocol: 'ANY' }], rules: { dns: [{ matchPattern: '*' }] } }],
  };
  const toTargets: CiliumEgressRule = {
    toFQDNs: names,
    toPorts: [{ ports: ports.map(({ port, protocol = 'TCP' }) => ({ port: String(port), protocol })) }],
  };
  const policy: CiliumNetworkPolicyManifest = {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: metadata(options),
    spec: {
      endpointSelector: Object.keys(podLabels).length === 0 ? {} : { matchLabels: { ...podLabels } },
      egress: [toDns, toTargets],
    },
  };
  return checked('CiliumNetworkPolicy', policy, {}, problems);
}

const aPort = optionsOf<EgressPort>({ port: aNumber(), protocol: optional(aText) });
const dnsShapes = { namespace: optional(aText), podLabels: optional(recordOf(aText)) };

const kubeDns = { 'k8s-app': 'kube-dns' };

/** Labels of the cluster's DNS pods with the prefix by which Cilium marks the source of a label. */
function withSource(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [`k8s:${key}`, value]));
}

function nameRule(
  text: string,
  path: string,
  problems: OptionProblems,
): ({ matchName: string } | { matchPattern: string })[] {
  return problems.attempt(path, () => {
    const pattern = parseTargetPattern(text, path);
    return pattern.kind === 'exact' ? { matchName: pattern.name } : { matchPattern: `*.${pattern.name}` };
  });
}
