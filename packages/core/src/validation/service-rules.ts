import {
  type Address,
  parseApiAddress,
  parseApiNetwork,
  purposeNames,
  type SpecialPurpose,
  specialRange,
  specialRanges,
} from '../addresses/index.ts';
import {
  label1123Problems,
  portNameProblems,
  portNumberProblems,
  qualifiedNameProblems,
  subdomain1123Problems,
} from './formats.ts';
import { type FieldPath, type Findings, ShownValue } from './issue.ts';
import type { ServerRules } from './kubernetes-version.ts';
import { checkLabels } from './object-meta.ts';
import {
  type DecodedPort,
  type DecodedService,
  type DecodedServiceSpec,
  isExternallyAccessible,
  isHeadless,
  needsHealthCheck,
  sameList,
} from './service-object.ts';

/** The `spec` of a Service, and what it is checked by. */
export interface SpecCheck {
  readonly spec: DecodedServiceSpec;
  /** That of the stored Service, if this is an update. */
  readonly before: DecodedServiceSpec | undefined;
  /** The place of the `spec`, or of the field that is checked. */
  readonly at: FieldPath;
  readonly rules: ServerRules;
  readonly findings: Findings;
}

/**
 * Checks the `spec` of a Service as the API server does, after it has filled in and dropped fields itself.
 *
 * Source: `ValidateService` in `pkg/apis/core/validation/validation.go`.
 */
export function checkServiceSpec(
  service: DecodedService,
  previous: DecodedService | undefined,
  { at, rules, findings }: Pick<SpecCheck, 'at' | 'rules' | 'findings'>,
): void {
  const { spec } = service;
  const check: SpecCheck = { spec, before: previous?.spec, at, rules, findings };
  checkAddressChange(check);
  checkTopologyAnnotations(service, findings);
  if (spec.ports.length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName') {
    findings.required('ports-required', at.child('ports'));
  }
  if ((spec.type === 'LoadBalancer' || spec.type === 'NodePort') && isHeadless(spec)) {
    const detail = `may not be set to 'None' for ${spec.type} services`;
    findings.invalid('headless-forbidden', at.child('clusterIPs').index(0), 'None', detail);
  }
  if (spec.type === 'ExternalName') checkExternalName(check);
  checkPorts(spec, findings);
  if (spec.selector) checkLabels(spec.selector, at.child('selector'), 'selector-invalid', findings);
  checkSessionAffinity(check);
  checkExternalIPs(check);
  const meant = serviceTypes.find((type) => type.toLowerCase() === spec.type.toLowerCase());
  const hint = meant === undefined ? undefined : `Write ${meant}: case matters.`;
  findings.oneOf('type-unsupported', at.child('type'), spec.type, serviceTypes, hint);
  checkPortConflicts(spec, at.child('ports'), findings);
  checkSourceRanges(service, previous, check);
  checkLoadBalancer(check);
  checkTrafficPolicies(check);
  const { trafficDistribution } = spec;
  if (trafficDistribution === undefined) return;
  const path = at.child('trafficDistribution');
  findings.oneOf('traffic-distribution-unsupported', path, trafficDistribution, rules.trafficDistributions);
}

const serviceTypes: readonly string[] = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];

function checkExternalName({ spec, at, rules, findings }: SpecCheck): void {
  const detail = 'may not be set for ExternalName services';
  if (spec.clusterIPs.length > 0) findings.forbidden('cluster-ip-forbidden', at.child('clusterIPs'), detail);
  if (spec.ipFamilies.length > 0) findings.forbidden('ip-families-forbidden', at.child('ipFamilies'), detail);
  if (spec.ipFamilyPolicy !== undefined) findings.forbidden('ip-policy-forbidden', at.child('ipFamilyPolicy'), detail);
  const path = at.child('externalName');
  const name = rules.trailingDotAccepted ? withoutTrailingDot(spec.externalName) : spec.externalName;
  if (name === '') findings.required('external-name-required', path);
  else findings.format('external-name-invalid', path, name, subdomain1123Problems, correction(name));
}

/** The name without the one dot at its end that marks it as absolute. */
export function withoutTrailingDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function correction(name: string): string | undefined {
  if (name.includes('{{') || name.includes('${')) return 'The template was not filled in.';
  const bare = name.trim().toLowerCase();
  if (bare !== name && subdomain1123Problems(bare).length === 0) return `Write ${bare}: lower case, without blanks.`;
  if (/^[a-z0-9._-]+$/.test(name) && name.includes('_')) {
    return 'A host name cannot contain an underscore (RFC 1123), and Kubernetes refuses it. If that name exists in DNS, give it an alias without one.';
  }
  if (/[^\x20-\x7e]/.test(bare)) {
    return 'Write other letters in their ASCII form, xn--... (RFC 5891), and remove invisible characters.';
  }
  return undefined;
}

function checkPorts(spec: DecodedServiceSpec, findings: Findings): void {
  const names = new Set<string>();
  for (const port of spec.ports) {
    const name = port.at.child('name');
    if (port.name === '') {
      if (spec.ports.length > 1) findings.required('port-name-required', name);
    } else {
      findings.format('port-name-invalid', name, port.name, label1123Problems);
      if (names.has(port.name)) findings.duplicate('port-name-duplicate', name, port.name);
      names.add(port.name);
    }
    findings.format('port-number-invalid', port.at.child('port'), port.port, portNumberProblems);
    findings.oneOf('port-protocol-unsupported', port.at.child('protocol'), port.protocol, protocols);
    findings.format('target-port-invalid', port.at.child('targetPort'), port.targetPort, (target) =>
      typeof target === 'number' ? portNumberProblems(target) : portNameProblems(target),
    );
    findings.format('app-protocol-invalid', port.at.child('appProtocol'), port.appProtocol, qualifiedNameProblems);
  }
  if (spec.type !== 'ClusterIP') return;
  for (const port of spec.ports) {
    if (port.nodePort === 0) continue;
    findings.forbidden('node-port-forbidden', port.at.child('nodePort'), "may not be used when `type` is 'ClusterIP'");
  }
}

const protocols: readonly string[] = ['SCTP', 'TCP', 'UDP'];

function checkPortConflicts(spec: DecodedServiceSpec, at: FieldPath, findings: Findings): void {
  const nodePorts = new Set<string>();
  const ports = new Set<string>();
  for (const [index, port] of spec.ports.entries()) {
    const nodePort = `${port.protocol}/${port.nodePort}`;
    if (port.nodePort !== 0 && nodePorts.has(nodePort)) {
      findings.duplicate('node-port-duplicate', at.index(index).child('nodePort'), port.nodePort);
    }
    nodePorts.add(nodePort);
  }
  for (const [index, port] of spec.ports.entries()) {
    const number = `${port.protocol}/${port.port}`;
    if (ports.has(number)) findings.duplicate('port-duplicate', at.index(index), shownPort(port));
    ports.add(number);
  }
}

function shownPort(port: DecodedPort): ShownValue {
  const protocol = JSON.stringify(port.protocol.slice(0, 100));
  return new ShownValue(
    `{"Name":"","Protocol":${protocol},"AppProtocol":null,"Port":${port.port},"TargetPort":0,"NodePort":0}`,
  );
}

function checkSessionAffinity({ spec, at, findings }: SpecCheck): void {
  const affinities = ['ClientIP', 'None'];
  findings.oneOf('session-affinity-unsupported', at.child('sessionAffinity'), spec.sessionAffinity, affinities);
  const seconds = spec.sessionAffinitySeconds;
  if (seconds === undefined || (seconds > 0 && seconds <= 86_400)) return;
  const path = at.child('sessionAffinityConfig').child('clientIP').child('timeoutSeconds');
  findings.invalid('session-affinity-timeout', path, seconds, 'must be greater than 0 and less than 86400');
}

function checkExternalIPs({ spec, before, at, rules, findings }: SpecCheck): void {
  const known = new Set(before?.externalIPs);
  for (const [index, text] of spec.externalIPs.entries()) {
    const path = at.child('externalIPs').index(index);
    const problem = addressProblem(text, rules.strictAddresses && !known.has(text));
    if (problem !== undefined) findings.invalid('external-ip-invalid', path, text, problem);
    else checkNotSpecial(text, path, 'external-ip-special', findings);
  }
}

/** Why a text is not an address. `strict` is for new values: stored values stay accepted (validation ratcheting). */
export function addressProblem(text: string, strict: boolean): string | undefined {
  const address = parseApiAddress(text);
  if (!address) return 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
  if (!strict || address.nonStandard === undefined) return undefined;
  return address.nonStandard === 'mapped' ? 'must not be an IPv4-mapped IPv6 address' : 'must not have leading 0s';
}

/** Source: `ValidateNonSpecialIP` in `pkg/apis/core/validation/validation.go`. */
export function checkNotSpecial(
  text: string,
  at: FieldPath,
  code: 'external-ip-special' | 'endpoint-address-special',
  findings: Findings,
): void {
  const address = parseApiAddress(text);
  if (!address) return;
  let refused = false;
  for (const { purpose } of specialRanges(address)) {
    const rule =
      purpose === 'unspecified' && !/^[0.:]+$/.test(address.canonical) ? undefined : nonSpecialRules[purpose];
    if (rule === undefined) continue;
    findings.invalid(code, at, text, purpose === 'unspecified' ? `${rule} (${text})` : rule);
    refused = true;
  }
  if (!refused) warnOfSpecial(address, at, findings);
}

const nonSpecialRules: { readonly [purpose in SpecialPurpose]?: string } = {
  unspecified: 'may not be unspecified',
  loopback: 'may not be in the loopback range (127.0.0.0/8, ::1/128)',
  'link-local': 'may not be in the link-local range (169.254.0.0/16, fe80::/10)',
  'link-local-multicast': 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
};

/** Warns of an address that the target policy refuses unless `allowedNetworks` names it. Both use the same table. */
export function warnOfSpecial(address: Address, at: FieldPath, findings: Findings): void {
  const { purpose } = specialRange(address) ?? {};
  if (purpose === undefined) return;
  const name = `${address.canonical} is ${purposeNames[purpose]}`;
  if (purpose === 'metadata') findings.warn('sensitive', at, `${name}, which serves credentials to the machines there`);
  else if (purpose === 'link-local') findings.warn('sensitive', at, `${name}: it is another host on each node`);
  else if (purpose === 'loopback' || purpose === 'unspecified')
    findings.warn('loopback', at, `${name}: each client would connect to itself`);
  else findings.warn('special-address', at, name);
}

/** Why a text is not a network in CIDR form. `strict` is the same as for addresses. */
export function networkProblem(text: string, strict: boolean): string | undefined {
  const network = parseApiNetwork(text);
  if (!network) return 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  if (!strict) return undefined;
  if (network.address.nonStandard === 'leading-zeros' || /\/0\d/.test(text))
    return 'must not have leading 0s in IP or prefix length';
  if (network.address.nonStandard === 'mapped') return 'must not have an IPv4-mapped IPv6 address';
  return network.hostBits ? 'must not have bits set beyond the prefix length' : undefined;
}

const sourceRangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';

function checkSourceRanges(
  { spec, meta }: DecodedService,
  before: DecodedService | undefined,
  { at, rules, findings }: SpecCheck,
): void {
  const detail = "may only be used when `type` is 'LoadBalancer'";
  const known = new Set(before?.spec.loadBalancerSourceRanges.map((range) => range.trim()));
  if (spec.loadBalancerSourceRanges.length > 0) {
    // The API server writes this path with a capital letter, unlike the field.
    const path = at.child('loadBalancerSourceRanges').written(`${at.text}.LoadBalancerSourceRanges`);
    if (spec.type !== 'LoadBalancer') findings.forbidden('source-ranges-forbidden', path, detail);
    for (const [index, range] of spec.loadBalancerSourceRanges.entries()) {
      // Blanks around a range are accepted, as they were in the annotation that preceded the field.
      const problem = networkProblem(range.trim(), rules.strictAddresses && !known.has(range.trim()));
      if (problem !== undefined) findings.invalid('source-range-invalid', path.index(index), range.trim(), problem);
    }
    return;
  }
  const annotation = meta.annotations.get(sourceRangesAnnotation);
  if (annotation === undefined) return;
  const path = meta.at.child('annotations').key(sourceRangesAnnotation);
  if (spec.type !== 'LoadBalancer') findings.forbidden('source-ranges-forbidden', path, detail);
  if (annotation.trim() === '' || before?.meta.annotations.get(sourceRangesAnnotation) === annotation) return;
  for (const range of annotation.split(',').map((text) => text.trim())) {
    const problem = networkProblem(range, rules.strictAddresses);
    if (problem !== undefined) findings.invalid('source-range-invalid', path, range, problem);
  }
}

function checkLoadBalancer({ spec, before, at, findings }: SpecCheck): void {
  const only = "may only be used when `type` is 'LoadBalancer'";
  const classAt = at.child('loadBalancerClass');
  if (spec.type === 'LoadBalancer') {
    if (before?.type === 'LoadBalancer' && before.loadBalancerClass !== spec.loadBalancerClass) {
      findings.invalid('load-balancer-class-immutable', classAt, spec.loadBalancerClass, 'may not change once set');
    }
    findings.format('load-balancer-class-invalid', classAt, spec.loadBalancerClass, qualifiedNameProblems);
    return;
  }
  if (spec.allocateLoadBalancerNodePorts !== undefined) {
    findings.forbidden('node-ports-allocation-forbidden', at.child('allocateLoadBalancerNodePorts'), only);
  }
  if (spec.loadBalancerClass !== undefined) findings.forbidden('load-balancer-class-forbidden', classAt, only);
}

function checkTrafficPolicies({ spec, before, at, findings }: SpecCheck): void {
  const policies = ['Cluster', 'Local'];
  const outside = at.child('externalTrafficPolicy');
  if (!isExternallyAccessible(spec)) {
    if (spec.externalTrafficPolicy !== '') {
      const detail = 'may only be set for externally-accessible services';
      findings.invalid('external-traffic-policy-forbidden', outside, spec.externalTrafficPolicy, detail);
    }
  } else {
    findings.oneOf('external-traffic-policy-unsupported', outside, spec.externalTrafficPolicy, policies);
  }
  const health = at.child('healthCheckNodePort');
  if (!needsHealthCheck(spec)) {
    if (spec.healthCheckNodePort !== 0) {
      const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
      findings.invalid('health-check-node-port-forbidden', health, spec.healthCheckNodePort, detail);
    }
  } else if (spec.healthCheckNodePort !== 0) {
    findings.format('health-check-node-port-invalid', health, spec.healthCheckNodePort, portNumberProblems);
  }
  if (
    before &&
    needsHealthCheck(before) &&
    needsHealthCheck(spec) &&
    before.healthCheckNodePort !== spec.healthCheckNodePort
  ) {
    findings.forbidden('health-check-node-port-invalid', health, 'field is immutable');
  }
  const inside = spec.internalTrafficPolicy;
  if (inside === undefined) return;
  findings.oneOf('internal-traffic-policy-unsupported', at.child('internalTrafficPolicy'), inside, policies);
}

function checkTopologyAnnotations({ meta }: DecodedService, findings: Findings): void {
  const hints = meta.annotations.get('service.kubernetes.io/topology-aware-hints');
  const mode = meta.annotations.get('service.kubernetes.io/topology-mode');
  if (hints === undefined || mode === undefined || hints === mode) return;
  const path = meta.at.child('annotations').key('service.kubernetes.io/topology-mode');
  const detail = 'must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified';
  findings.invalid('topology-annotations-differ', path, mode, detail);
}

/**
 * Checks what stops the API server from allocating addresses. The server does this first, and if it fails it reports nothing else.
 *
 * Source: `ValidateServiceClusterIPsRelatedFields`, and `initIPFamilyFields` except for the parts that need the state of the cluster.
 */
export function checkClusterIPs(check: SpecCheck): void {
  const { spec, at, findings } = check;
  if (spec.type === 'ExternalName') return;
  const { clusterIP, clusterIPs, ipFamilies } = spec;
  const addressesAt = at.child('clusterIPs');
  const familiesAt = at.child('ipFamilies');
  if (clusterIP === '' && clusterIPs.length > 0) {
    findings.invalid('cluster-ip-invalid', addressesAt, clusterIPs, 'must be empty when `clusterIP` is not specified');
  } else if (clusterIP !== '' && clusterIPs[0] !== clusterIP) {
    findings.invalid('cluster-ip-invalid', addressesAt, clusterIPs, 'first value must match `clusterIP`');
  }
  const seen = new Set<string>();
  for (const [index, family] of ipFamilies.entries()) {
    findings.oneOf('ip-family-invalid', familiesAt.index(index), family, ['IPv4', 'IPv6']);
    if (seen.has(family)) findings.duplicate('ip-family-invalid', familiesAt.index(index), family);
    seen.add(family);
  }
  const policies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
  if (spec.ipFamilyPolicy !== undefined) {
    findings.oneOf('ip-family-policy-unsupported', at.child('ipFamilyPolicy'), spec.ipFamilyPolicy, policies);
  }
  checkAddresses({ ...check, at: addressesAt });
  if (!findings.refused) checkFamilyPolicy({ ...check, at: at.child('ipFamilyPolicy') });
}

function checkAddresses({ spec, before, at, rules, findings }: SpecCheck): void {
  const { clusterIPs, ipFamilies } = spec;
  const known = new Set(before?.clusterIPs);
  let readable = true;
  for (const [index, text] of clusterIPs.entries()) {
    if (index === 0 && text === 'None') {
      if (clusterIPs.length === 1) continue;
      findings.invalid('cluster-ip-invalid', at, clusterIPs, "'None' must be the first and only value");
      readable = false;
      continue;
    }
    const problem = addressProblem(text, rules.strictAddresses && !known.has(text));
    if (problem === undefined) continue;
    findings.invalid('cluster-ip-invalid', at.index(index), text, problem);
    readable = false;
  }
  if (clusterIPs.length > 2) findings.invalid('cluster-ip-invalid', at, clusterIPs, 'may only hold up to 2 values');
  if (!readable || isHeadless(spec)) return;
  const families = clusterIPs.map((text) => `IPv${parseApiAddress(text)?.family ?? 4}`);
  if (families.length > 1 && new Set(families).size === 1) {
    findings.invalid('cluster-ip-invalid', at, clusterIPs, 'may specify no more than one IP for each IP family');
  }
  for (const [index, family] of families.entries()) {
    const wanted = ipFamilies[index];
    if ((wanted !== 'IPv4' && wanted !== 'IPv6') || wanted === family) continue;
    const detail = `expected an ${wanted} value as indicated by \`ipFamilies[${index}]\``;
    findings.invalid('cluster-ip-invalid', at.index(index), clusterIPs[index], detail);
  }
}

function checkFamilyPolicy({ spec, before, at, findings }: SpecCheck): void {
  const headlessAlone = spec.clusterIP === 'None' && (spec.selector?.size ?? 0) === 0;
  const policy = spec.ipFamilyPolicy ?? before?.ipFamilyPolicy ?? (headlessAlone ? 'RequireDualStack' : 'SingleStack');
  const unchanged = (key: 'clusterIPs' | 'ipFamilies') => before !== undefined && sameList(spec[key], before[key]);
  const code = 'ip-family-policy-invalid';
  if (policy === 'SingleStack') {
    for (const [key, what] of [
      ['clusterIPs', 'cluster IPs'],
      ['ipFamilies', 'IP families'],
    ] as const) {
      // If it is unchanged, the second one is released.
      if (spec[key].length !== 2 || unchanged(key)) continue;
      const detail = `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
      findings.invalid(code, at, policy, detail);
    }
  } else if (before && before.type !== 'ExternalName') {
    for (const [key, what] of [
      ['clusterIPs', 'cluster IP'],
      ['ipFamilies', 'IP family'],
    ] as const) {
      const shorter = spec[key].length > 0 && spec[key].length < before[key].length;
      if (shorter) findings.invalid(code, at, policy, `must be 'SingleStack' to release the secondary ${what}`);
    }
  }
}

/** Source: `validateUpgradeDowngradeClusterIPs` and `validateUpgradeDowngradeIPFamilies`. */
function checkAddressChange({ spec, before, at, findings }: SpecCheck): void {
  if (before === undefined) return;
  if (spec.type === 'ExternalName' || before.type === 'ExternalName') return;
  if (isHeadless(spec) && isHeadless(before)) return;
  const code = 'cluster-ip-immutable';
  const released = spec.ipFamilyPolicy === 'SingleStack';
  for (const [key, what] of [
    ['clusterIPs', 'clusterIP'],
    ['ipFamilies', 'ipFamily'],
  ] as const) {
    if (key === 'ipFamilies' && isHeadless(spec) !== isHeadless(before)) continue;
    const path = at.child(key);
    const [now, then] = [spec[key], before[key]];
    if (now.length === then.length) {
      for (const [index, value] of then.entries()) {
        if (value !== now[index]) {
          findings.invalid(code, path.index(key === 'clusterIPs' ? index : 0), now, 'may not change once set');
        }
      }
      continue;
    }
    if (now.length === 0) findings.invalid(code, path.index(0), now, `primary ${what} can not be unset`);
    else if (then.length > 0 && now[0] !== then[0])
      findings.invalid(code, path.index(0), now, 'may not change once set');
    if (now.length === 1 && then.length > 1 && !released) {
      const detail = `must be set to 'SingleStack' when releasing the secondary ${what}`;
      findings.invalid('ip-family-policy-invalid', at.child('ipFamilyPolicy'), spec.ipFamilyPolicy, detail);
    }
  }
}
