/** A rule: where it comes from, and what to do if an object breaks it. */
export interface Rule {
  /** A file of Kubernetes, a section of an RFC, or another published document. */
  readonly source: string;
  /** What to write instead. */
  readonly hint: string;
}

const coreValidation = 'Kubernetes pkg/apis/core/validation/validation.go';
const objectMeta = 'Kubernetes apimachinery/pkg/api/validation/objectmeta.go';
const serviceStrategy = 'Kubernetes pkg/registry/core/service/strategy.go';
const serviceWarnings = 'Kubernetes pkg/api/service/warnings.go';
const discovery = 'Kubernetes pkg/apis/discovery/validation/validation.go';
const yamlReader = 'sigs.k8s.io/yaml, as kubectl uses it';
const coreDns = 'CoreDNS plugin/kubernetes';
const dnsSpecification = 'kubernetes/dns specification 1.1.0, section 2.5';
const serviceDocumentation = 'Kubernetes documentation, "Service", section ExternalName';

/** Every rule, by its code. */
export const rules = {
  // The text and the object as such.
  'yaml-syntax': { source: yamlReader, hint: 'Correct the text at that line.' },
  'yaml-too-long': { source: 'Kubernetes apiserver: request body limit of 3 MiB', hint: 'Split the text.' },
  'yaml-too-deep': { source: yamlReader, hint: 'Nest less deeply: no Kubernetes object needs so many levels.' },
  'yaml-aliases': { source: yamlReader, hint: 'Write the parts out, without aliases.' },
  'yaml-key': { source: yamlReader, hint: 'Quote the key.' },
  'yaml-duplicate-key': { source: yamlReader, hint: 'Remove one of the two.' },
  'yaml-not-read': { source: yamlReader, hint: 'Begin a document with --- on a line of its own, or remove the text.' },
  'not-an-object': {
    source: 'Kubernetes API conventions, "Types (Kinds)"',
    hint: 'Give an object with apiVersion, kind and metadata.',
  },
  'wrong-type': {
    source: 'Kubernetes apiserver: the JSON decoder (status 400)',
    hint: 'Give a value of that type. In YAML, quote a string that looks like a number, a boolean or null: "5432", "yes", "null".',
  },
  'wrong-api-version': {
    source: 'Kubernetes apiserver: the JSON decoder (status 400)',
    hint: 'Write the apiVersion that the kind has.',
  },
  'kind-missing': {
    source: 'kubectl: "apiVersion not set, kind not set"',
    hint: 'Write apiVersion and kind: kubectl refuses an object without them.',
  },
  'kind-unchecked': { source: 'this validator', hint: 'Only its metadata was checked.' },
  'unknown-field': { source: 'Kubernetes API concepts, "Field validation"', hint: 'Remove it, or correct its name.' },
  'same-object-twice': {
    source: 'kubectl apply: the later document wins',
    hint: 'Give one of them another name, or remove it.',
  },
  'bad-option': { source: 'this validator', hint: 'Correct the option; the rest was checked without it.' },
  'builder-option': { source: 'this builder', hint: 'Correct the option.' },
  'name-required': { source: objectMeta, hint: 'Give metadata.name, or metadata.generateName for a new object.' },
  'name-invalid': {
    source: `${coreValidation}: ValidateServiceName; RFC 1035 section 2.3.1, RFC 1123 section 2.1; KEP-5311`,
    hint: 'Use lower-case letters, digits and inner hyphens, at most 63 characters, no dots. The name of a Service may begin with a digit only since Kubernetes 1.36.',
  },
  'generate-name-invalid': {
    source: objectMeta,
    hint: 'The server adds five letters or digits; the result must be a valid name.',
  },
  'namespace-invalid': {
    source: `${objectMeta}: ValidateNamespaceName; RFC 1123 section 2.1`,
    hint: 'Use lower-case letters, digits and inner hyphens, at most 63 characters.',
  },
  'label-invalid': {
    source: 'Kubernetes apimachinery/pkg/apis/meta/v1/validation/validation.go: ValidateLabels',
    hint: 'A key is [prefix/]name: the prefix is a lower-case DNS name, the name has at most 63 letters, digits, -, _ and dots. A value is like a name, or empty. Put longer text into an annotation.',
  },
  'annotation-key-invalid': {
    source: `${objectMeta}: ValidateAnnotations`,
    hint: 'A key is [prefix/]name, as for labels; case does not matter.',
  },
  'annotations-too-long': {
    source: `${objectMeta}: TotalAnnotationSizeLimitB`,
    hint: 'All keys and values together may have at most 262144 bytes.',
  },
  'owner-reference-invalid': {
    source: `${objectMeta}: ValidateOwnerReferences`,
    hint: 'Give apiVersion, kind, name and uid of each owner; at most one owner is the controller.',
  },
  'finalizer-invalid': {
    source: `${objectMeta}: ValidateFinalizers`,
    hint: 'A finalizer is named like a label; none can be added once the object is being deleted.',
  },
  'generation-negative': { source: objectMeta, hint: 'Leave it out: the server sets it.' },
  'field-immutable': {
    source: `${objectMeta}: ValidateObjectMetaUpdate`,
    hint: 'Create a new object, and delete the old one.',
  },

  // Service, whatever its type.
  'type-unsupported': {
    source: coreValidation,
    hint: 'Case matters: ClusterIP, NodePort, LoadBalancer or ExternalName.',
  },
  'ports-required': {
    source: coreValidation,
    hint: 'Give at least one port. Only ExternalName and headless Services (clusterIP: None) need none.',
  },
  'port-name-required': {
    source: `${coreValidation}: validateServicePort`,
    hint: 'If a Service has several ports, each needs a name.',
  },
  'port-name-invalid': {
    source: `${coreValidation}: validateServicePort`,
    hint: 'Use lower-case letters, digits and inner hyphens, at most 63 characters.',
  },
  'port-name-duplicate': {
    source: `${coreValidation}: validateServicePort`,
    hint: 'Give each port a name of its own.',
  },
  'port-number-invalid': { source: `${coreValidation}: validateServicePort`, hint: 'Use 1 to 65535.' },
  'port-protocol-unsupported': {
    source: `${coreValidation}: validateServicePort`,
    hint: 'Use TCP, UDP or SCTP, in capitals.',
  },
  'target-port-invalid': {
    source: `${coreValidation}: ValidatePortNumOrName; RFC 6335 section 5.1`,
    hint: 'Use 1 to 65535, or the name of a container port: at most 15 lower-case letters, digits and single inner hyphens.',
  },
  'app-protocol-invalid': {
    source: `${coreValidation}: ValidateQualifiedName; KEP-1507`,
    hint: 'Use a name from the IANA registry, or example.com/name.',
  },
  'port-duplicate': { source: coreValidation, hint: 'Use each pair of port number and protocol once.' },
  'node-port-duplicate': { source: coreValidation, hint: 'Give each port a nodePort of its own, or none.' },
  'node-port-forbidden': { source: coreValidation, hint: 'Remove nodePort, or use type NodePort.' },
  'selector-invalid': {
    source: `${coreValidation}: ValidateLabels`,
    hint: 'Keys and values of a selector follow the rules for labels.',
  },
  'session-affinity-unsupported': { source: coreValidation, hint: 'Use None or ClientIP.' },
  'session-affinity-timeout': { source: `${coreValidation}: validateAffinityTimeout`, hint: 'Use 1 to 86400 seconds.' },
  'external-ip-invalid': {
    source: `${coreValidation}; KEP-4858`,
    hint: 'Give an address without port, zone or leading zeros.',
  },
  'external-ip-special': {
    source: `${coreValidation}: ValidateNonSpecialIP`,
    hint: 'Remove it: traffic for that address never leaves the node.',
  },
  'source-ranges-forbidden': {
    source: `${coreValidation}; kubernetes#119548`,
    hint: 'Only type LoadBalancer has source ranges: remove them before you change the type, and the annotation too, even if it is empty.',
  },
  'source-range-invalid': {
    source: `${coreValidation}: IsValidCIDR; KEP-4858`,
    hint: 'Write 10.9.8.0/24 or 2001:db8::/64.',
  },
  'node-ports-allocation-forbidden': { source: coreValidation, hint: 'Only type LoadBalancer has it: remove it.' },
  'load-balancer-class-forbidden': {
    source: `${coreValidation}: validateLoadBalancerClassField`,
    hint: 'Only type LoadBalancer has a class: remove it.',
  },
  'load-balancer-class-invalid': {
    source: `${coreValidation}: validateLoadBalancerClassField`,
    hint: 'Write example.com/name.',
  },
  'load-balancer-class-immutable': {
    source: `${coreValidation}: validateLoadBalancerClassField`,
    hint: 'Change the type to another and back, or delete the Service and create it again.',
  },
  'external-traffic-policy-forbidden': {
    source: `${coreValidation}: validateServiceExternalTrafficPolicy`,
    hint: 'Remove it: no traffic from outside passes through this Service.',
  },
  'external-traffic-policy-unsupported': {
    source: `${coreValidation}: validateServiceExternalTrafficPolicy`,
    hint: 'Use Cluster or Local.',
  },
  'health-check-node-port-forbidden': {
    source: `${coreValidation}: validateServiceExternalTrafficPolicy`,
    hint: 'Remove it.',
  },
  'health-check-node-port-invalid': {
    source: `${coreValidation}: validateServiceExternalTrafficFieldsUpdate`,
    hint: 'Leave it as it is; it cannot change.',
  },
  'internal-traffic-policy-unsupported': {
    source: `${coreValidation}: validateServiceInternalTrafficFieldsValue`,
    hint: 'Use Cluster or Local.',
  },
  'traffic-distribution-unsupported': {
    source: `${coreValidation}: validateServiceTrafficDistribution; KEP-4444, KEP-3015`,
    hint: 'Use PreferSameZone or PreferSameNode (Kubernetes 1.34 and newer), or PreferClose.',
  },
  'topology-annotations-differ': { source: coreValidation, hint: 'Keep service.kubernetes.io/topology-mode only.' },
  'headless-forbidden': { source: coreValidation, hint: 'Only type ClusterIP can be headless.' },
  'cluster-ip-invalid': {
    source: `${coreValidation}: ValidateServiceClusterIPsRelatedFields`,
    hint: 'Leave out clusterIP and clusterIPs: the server allocates an address. For a headless Service, write clusterIP: None.',
  },
  'cluster-ip-immutable': {
    source: `${coreValidation}: validateUpgradeDowngradeClusterIPs`,
    hint: 'Leave the address as it is, or delete the Service and create it again. Only a change to or from ExternalName may change the address.',
  },
  'ip-family-invalid': {
    source: `${coreValidation}: ValidateServiceClusterIPsRelatedFields`,
    hint: 'Use IPv4 and IPv6, each at most once.',
  },
  'ip-family-policy-unsupported': {
    source: `${coreValidation}: ValidateServiceClusterIPsRelatedFields`,
    hint: 'Use SingleStack, PreferDualStack or RequireDualStack.',
  },
  'ip-family-policy-invalid': {
    source: 'Kubernetes pkg/registry/core/service/storage/alloc.go: initIPFamilyFields',
    hint: 'Set ipFamilyPolicy to match the number of families and addresses.',
  },

  // Service of type ExternalName: refused.
  'external-name-required': {
    source: coreValidation,
    hint: 'Give the host name that the Service stands for: primary-db.example.com.',
  },
  'external-name-invalid': {
    source: `${coreValidation}: ValidateDNS1123Subdomain; RFC 1123 section 2.1`,
    hint: 'Give a host name in lower case: letters, digits, inner hyphens, dots; at most 253 characters.',
  },
  'cluster-ip-forbidden': {
    source: `${coreValidation}; ${serviceStrategy}: dropTypeDependentFields`,
    hint: 'Remove clusterIP and clusterIPs. When the type changes, the server drops them itself if they are left unchanged.',
  },
  'ip-families-forbidden': {
    source: `${coreValidation}; ${serviceStrategy}: dropTypeDependentFields`,
    hint: 'Remove ipFamilies. When the type changes, the server drops them itself if they are left unchanged.',
  },
  'ip-policy-forbidden': {
    source: `${coreValidation}; ${serviceStrategy}: dropTypeDependentFields`,
    hint: 'Remove ipFamilyPolicy. When the type changes, the server drops it itself if it is left unchanged.',
  },

  // Service of type ExternalName: accepted, and yet.
  'ip-like': {
    source: `${serviceDocumentation}; ${coreDns}: coredns#2324, PR 2807; WHATWG URL "ipv4 parser"; POSIX inet_addr`,
    hint: 'For an address, use a Service without selector and an EndpointSlice.',
  },
  'scheme-in-name': {
    source: 'RFC 3986 section 3.1',
    hint: 'Give the host name alone. The scheme belongs in the application.',
  },
  'port-in-name': {
    source: `${serviceDocumentation}; RFC 3986 section 3.2.3`,
    hint: 'Give the host name alone. DNS carries no port in a CNAME: the application must know it.',
  },
  'path-in-name': { source: 'RFC 3986 section 3.3', hint: 'Give the host name alone.' },
  'single-label': {
    source: `${dnsSpecification}; RFC 1034 section 3.1`,
    hint: 'Give the full name. The target of a CNAME is absolute: no search list completes it.',
  },
  'label-too-long': {
    source: 'RFC 1035 section 2.3.4',
    hint: 'Shorten the label to 63 characters: no DNS message can carry a longer one.',
  },
  'reserved-suffix': {
    source: 'RFC 2606 section 2, RFC 6761 section 6, RFC 7686, RFC 9476',
    hint: 'Give a name that exists in public DNS. This one exists nowhere.',
  },
  'private-suffix': {
    source: 'RFC 6762 section 3 and appendix G, RFC 8375, ICANN SAC113 and its resolution of 2024 on .internal',
    hint: 'Make sure that the DNS servers to which the cluster forwards know this name: public DNS never will.',
  },
  loopback: {
    source: 'RFC 6761 section 6.3, RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3; CVE-2021-32783',
    hint: 'Name the host that you mean. With this one, each client (or the proxy in front of it) would connect to itself.',
  },
  sensitive: {
    source: "CVE-2021-25740, CVE-2021-32783, CVE-2026-24470; the cloud vendors' manuals for metadata servers",
    hint: 'Name another host, or connect to this one directly: a Service opens it to every proxy that forwards to Services.',
  },
  'special-address': {
    source: 'IANA registries of special-purpose addresses (RFC 6890)',
    hint: 'Name the host that you mean. The SDK refuses this address unless allowedNetworks names it.',
  },
  'in-cluster': {
    source: `${coreDns}: coredns#6088`,
    hint: 'Point to another Service only if you mean to: it takes two lookups instead of one, and there is no answer while that Service has no address.',
  },
  'in-cluster-partial': {
    source: `${dnsSpecification}; RFC 1034 section 3.1`,
    hint: 'Write the full name, including the cluster domain: the target of a CNAME is absolute, and no search list completes it.',
  },
  'self-loop': { source: `${coreDns}: NODATA for a target at or below the name itself`, hint: 'Name another host.' },
  'cross-namespace': {
    source: 'CVE-2021-25740 (kubernetes#103675); Gateway API, ReferenceGrant',
    hint: 'Ask the owners of that namespace. Proxies and policies that decide by namespace do not notice that this Service leads there.',
  },
  'target-not-allowed': {
    source: 'the allow-list that was given',
    hint: 'Name an allowed host, or put this one on the list.',
  },
  'ports-ignored': {
    source: `${serviceDocumentation}; kubernetes#70429`,
    hint: 'Remove them, unless a proxy or mesh that you use reads them. DNS carries no ports: clients choose the port themselves.',
  },
  'node-port-ignored': { source: coreValidation, hint: 'Remove it: nothing listens on it.' },
  'selector-ignored': { source: 'kubernetes#105986', hint: 'Remove it: no endpoints are made for this type.' },
  'external-ips-ignored': { source: `${serviceWarnings}; CVE-2020-8554`, hint: 'Remove them.' },
  'external-ips-deprecated': { source: `${serviceWarnings}; KEP-5707`, hint: 'Use a load balancer or a gateway.' },
  'address-not-canonical': {
    source: 'Kubernetes apimachinery/pkg/util/validation/ip.go: GetWarningsForIP; RFC 5952',
    hint: 'Write it in the usual form.',
  },
  'setting-ignored': {
    source: `${coreDns}; Kubernetes documentation, "Virtual IPs and Service Proxies"`,
    hint: 'Remove it: nothing reads it for a Service of this type.',
  },
  'external-name-ignored': { source: serviceWarnings, hint: 'Remove it, or set type: ExternalName.' },
  'prefer-close-deprecated': {
    source: `${serviceWarnings}; KEP-3015`,
    hint: 'Use PreferSameZone if all clusters run 1.34 or newer.',
  },
  'topology-hints-deprecated': { source: serviceWarnings, hint: 'Use service.kubernetes.io/topology-mode.' },
  'gitops-managed': {
    source: 'documentation of Argo CD ("Diffing"), Flux ("Kustomization"), Helm and kubectl apply',
    hint: 'Switch in the source of the manifests, or tell the tool to leave /spec/externalName alone (Argo CD: ignoreDifferences; Flux: kustomize.toolkit.fluxcd.io/ssa: Merge or suspend).',
  },
  'address-released': {
    source: `${serviceStrategy}: dropTypeDependentFields`,
    hint: 'Make sure that clients resolve the name again: clients that keep the old address, and connections through it, break.',
  },

  // EndpointSlice.
  'address-type-invalid': { source: discovery, hint: 'Use IPv4 or IPv6. It cannot change later.' },
  'address-type-fqdn': {
    source: 'kubernetes#114210',
    hint: 'kube-proxy ignores names in EndpointSlices: use an ExternalName Service.',
  },
  'endpoint-address-required': { source: discovery, hint: 'Give each endpoint one address.' },
  'endpoint-address-invalid': {
    source: `${discovery}: IsValidIPv4Address, IsValidIPv6Address`,
    hint: "Give an address of the slice's family; put the other family into a slice of its own.",
  },
  'endpoint-address-special': {
    source: `${coreValidation}: ValidateNonSpecialIP; CVE-2021-25737`,
    hint: 'Remove it: loopback, link-local and unspecified addresses lead nowhere, or to the node itself.',
  },
  'too-many-endpoints': { source: discovery, hint: 'Split the slice.' },
  'service-label-missing': {
    source: 'Kubernetes documentation, "EndpointSlices", section Ownership',
    hint: 'Set the label kubernetes.io/service-name to the name of the Service: without it, the slice does not belong to a Service.',
  },

  // RBAC, NetworkPolicy, admission policy, Pod.
  'rule-verbs-required': {
    source: 'Kubernetes pkg/apis/rbac/validation/validation.go',
    hint: 'Name at least one verb.',
  },
  'rule-resources-required': {
    source: 'Kubernetes pkg/apis/rbac/validation/validation.go',
    hint: 'Name at least one apiGroup ("" for core) and one resource.',
  },
  'role-ref-invalid': {
    source: 'Kubernetes pkg/apis/rbac/validation/validation.go',
    hint: 'Give apiGroup rbac.authorization.k8s.io, kind Role or ClusterRole, and a name.',
  },
  'subject-invalid': {
    source: 'Kubernetes pkg/apis/rbac/validation/validation.go',
    hint: 'Give kind ServiceAccount with name and namespace, or User or Group with a name.',
  },
  'network-invalid': {
    source: 'Kubernetes pkg/apis/networking/validation/validation.go; KEP-4858',
    hint: 'Write 10.9.8.0/24 or 2001:db8::/64.',
  },
  'policy-incomplete': {
    source: 'Kubernetes pkg/apis/admissionregistration/validation/validation.go',
    hint: 'A policy needs matchConstraints with resourceRules and at least one validation; a binding needs policyName and validationActions.',
  },
  'container-required': {
    source: `${coreValidation}: validateContainers`,
    hint: 'Give at least one container with name and image.',
  },
  'template-selector-mismatch': {
    source: 'Kubernetes pkg/apis/apps/validation/validation.go',
    hint: 'Give the template the labels that the selector asks for.',
  },
} as const satisfies Record<string, Rule>;

/** Identifies a rule. Stable: match on it, never on the message. */
export type RuleCode = keyof typeof rules;
