import { parseApiAddress } from '../addresses/index.ts';
import type { FieldPath, Findings } from './issue.ts';
import { fieldSince, type ServerRules } from './kubernetes-version.ts';
import { type DecodedMeta, decodeMeta } from './object-meta.ts';
import { ObjectReader } from './object-reader.ts';

/** One entry of `spec.ports`, with what the API server fills in. */
export interface DecodedPort {
  readonly at: FieldPath;
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly targetPort: number | string;
  readonly appProtocol: string | undefined;
  readonly nodePort: number;
}

/** `spec` of a Service as the API server holds it: a missing string is empty, a missing pointer is undefined. */
export interface DecodedServiceSpec {
  readonly type: string;
  readonly externalName: string;
  readonly clusterIP: string;
  readonly clusterIPs: readonly string[];
  readonly ipFamilies: readonly string[];
  readonly ipFamilyPolicy: string | undefined;
  readonly ports: readonly DecodedPort[];
  readonly selector: ReadonlyMap<string, string> | undefined;
  readonly sessionAffinity: string;
  readonly sessionAffinitySeconds: number | undefined;
  readonly externalIPs: readonly string[];
  readonly externalTrafficPolicy: string;
  readonly healthCheckNodePort: number;
  readonly internalTrafficPolicy: string | undefined;
  readonly loadBalancerIP: string;
  readonly loadBalancerClass: string | undefined;
  readonly loadBalancerSourceRanges: readonly string[];
  readonly allocateLoadBalancerNodePorts: boolean | undefined;
  readonly publishNotReadyAddresses: boolean;
  readonly trafficDistribution: string | undefined;
}

export interface DecodedService {
  readonly meta: DecodedMeta;
  readonly spec: DecodedServiceSpec;
}

/** Reads a Service as the API server's decoder does, and fills in the defaults (`pkg/apis/core/v1/defaults.go`). */
export function decodeService(value: unknown, at: FieldPath, rules: ServerRules, findings: Findings): DecodedService {
  const object = new ObjectReader(value, 'Service', at, findings);
  const meta = decodeMeta(object.object('metadata', 'ObjectMeta'));
  const reader = object.object('spec', 'ServiceSpec');
  const known = knownFields(rules.minor);
  const affinity = reader.object('sessionAffinityConfig', 'SessionAffinityConfig').object('clientIP', 'ClientIPConfig');
  const string = (field: string) => (known.has(field) ? reader.optionalString(field) : undefined);
  const strings = (field: string) => (known.has(field) ? reader.strings(field) : []);
  const sent: DecodedServiceSpec = {
    type: reader.string('type') || 'ClusterIP',
    externalName: reader.string('externalName'),
    clusterIP: reader.string('clusterIP'),
    clusterIPs: strings('clusterIPs'),
    ipFamilies: strings('ipFamilies'),
    ipFamilyPolicy: string('ipFamilyPolicy'),
    ports: reader.objects('ports', 'ServicePort').map(decodePort),
    selector: reader.stringMap('selector'),
    sessionAffinity: reader.string('sessionAffinity') || 'None',
    sessionAffinitySeconds: affinity.optionalInteger('timeoutSeconds'),
    externalIPs: reader.strings('externalIPs'),
    externalTrafficPolicy: reader.string('externalTrafficPolicy'),
    healthCheckNodePort: reader.integer('healthCheckNodePort'),
    internalTrafficPolicy: string('internalTrafficPolicy'),
    loadBalancerIP: reader.string('loadBalancerIP'),
    loadBalancerClass: string('loadBalancerClass'),
    loadBalancerSourceRanges: reader.strings('loadBalancerSourceRanges'),
    allocateLoadBalancerNodePorts: known.has('allocateLoadBalancerNodePorts')
      ? reader.optionalBoolean('allocateLoadBalancerNodePorts')
      : undefined,
    publishNotReadyAddresses: reader.optionalBoolean('publishNotReadyAddresses') ?? false,
    trafficDistribution: string('trafficDistribution'),
  };
  object.onlyKnows(objectFields);
  reader.onlyKnows(known, (field) => {
    const since = specFields.has(field) ? fieldSince[field] : undefined;
    return since === undefined ? undefined : `This field came with Kubernetes 1.${since}.`;
  });
  return { meta, spec: withDefaults(sent) };
}

const objectFields = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status']);

const specFields = new Set([
  'allocateLoadBalancerNodePorts',
  'clusterIP',
  'clusterIPs',
  'externalIPs',
  'externalName',
  'externalTrafficPolicy',
  'healthCheckNodePort',
  'internalTrafficPolicy',
  'ipFamilies',
  'ipFamilyPolicy',
  'loadBalancerClass',
  'loadBalancerIP',
  'loadBalancerSourceRanges',
  'ports',
  'publishNotReadyAddresses',
  'selector',
  'sessionAffinity',
  'sessionAffinityConfig',
  'trafficDistribution',
  'type',
]);

/** The fields that a version knows. It drops the fields of later versions unread. */
function knownFields(minor: number): ReadonlySet<string> {
  const newest = Math.max(...Object.values(fieldSince));
  return minor >= newest ? specFields : new Set([...specFields].filter((field) => (fieldSince[field] ?? 0) <= minor));
}

const portFields = new Set(['appProtocol', 'name', 'nodePort', 'port', 'protocol', 'targetPort']);

function decodePort(reader: ObjectReader): DecodedPort {
  const port = reader.integer('port');
  const targetPort = reader.integerOrString('targetPort');
  const decoded = {
    at: reader.at,
    name: reader.string('name'),
    protocol: reader.string('protocol') || 'TCP',
    port,
    targetPort: targetPort === undefined || targetPort === 0 || targetPort === '' ? port : targetPort,
    appProtocol: reader.optionalString('appProtocol'),
    nodePort: reader.integer('nodePort'),
  };
  reader.onlyKnows(portFields);
  return decoded;
}

function withDefaults(spec: DecodedServiceSpec): DecodedServiceSpec {
  const proxied = proxiedTypes.has(spec.type);
  const policyNeeded = isExternallyAccessible(spec) && spec.externalTrafficPolicy === '';
  return {
    ...spec,
    sessionAffinitySeconds: spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinitySeconds ?? 10_800) : undefined,
    externalTrafficPolicy: policyNeeded ? 'Cluster' : spec.externalTrafficPolicy,
    internalTrafficPolicy: spec.internalTrafficPolicy ?? (proxied ? 'Cluster' : undefined),
    allocateLoadBalancerNodePorts:
      spec.allocateLoadBalancerNodePorts ?? (spec.type === 'LoadBalancer' ? true : undefined),
  };
}

/** The types that kube-proxy serves. */
const proxiedTypes = new Set(['ClusterIP', 'NodePort', 'LoadBalancer']);

export function isExternallyAccessible(spec: DecodedServiceSpec): boolean {
  return hasNodePorts(spec) || (spec.type === 'ClusterIP' && spec.externalIPs.length > 0);
}

export function isHeadless(spec: DecodedServiceSpec): boolean {
  return spec.clusterIPs.length === 1 && spec.clusterIPs[0] === 'None';
}

export function hasNodePorts(spec: DecodedServiceSpec): boolean {
  return spec.type === 'NodePort' || spec.type === 'LoadBalancer';
}

export function needsHealthCheck(spec: DecodedServiceSpec): boolean {
  return spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
}

/** How the API server changes a new Service before it checks it: it copies a lone `clusterIP` into `clusterIPs`. */
export function prepareNew(spec: DecodedServiceSpec): DecodedServiceSpec {
  const alone = spec.clusterIP !== '' && spec.clusterIPs.length === 0;
  return alone ? { ...spec, clusterIPs: [spec.clusterIP] } : spec;
}

/**
 * How the API server changes an updated Service before it checks it: it fills in values that it allocated itself if the
 * request leaves them out, and drops fields that the new type does not have if the request leaves them unchanged.
 *
 * Source: `patchAllocatedValues` and `normalizeClusterIPs` in `pkg/registry/core/service/storage/`, then
 * `dropTypeDependentFields` in `pkg/registry/core/service/strategy.go`.
 */
export function prepareChanged(sent: DecodedServiceSpec, before: DecodedServiceSpec): DecodedServiceSpec {
  return withoutForeignFields(withClusterIPsInStep(withAllocatedValues(sent, before), before), before);
}

/**
 * What the API server fills in once it knows that it can allocate: the previous policy, and the families of the
 * addresses. Source: `initIPFamilyFields` in `pkg/registry/core/service/storage/alloc.go`.
 */
export function withFamilies(spec: DecodedServiceSpec, before: DecodedServiceSpec | undefined): DecodedServiceSpec {
  if (!hasAddress(spec)) return spec;
  const addresses = spec.clusterIPs.slice(0, 2).map((text) => parseApiAddress(text));
  const families = addresses.flatMap((address) => (address ? [`IPv${address.family}`] : []));
  return {
    ...spec,
    ipFamilyPolicy: spec.ipFamilyPolicy ?? before?.ipFamilyPolicy,
    ipFamilies: spec.ipFamilies.length > 0 ? spec.ipFamilies : families,
  };
}

function withAllocatedValues(spec: DecodedServiceSpec, before: DecodedServiceSpec): DecodedServiceSpec {
  if (!hasAddress(spec) || !hasAddress(before)) return spec;
  const filled = {
    ...spec,
    clusterIP: spec.clusterIP || before.clusterIP,
    clusterIPs: spec.clusterIPs.length === 0 ? before.clusterIPs : spec.clusterIPs,
  };
  if (!needsHealthCheck(spec) || !needsHealthCheck(before) || spec.healthCheckNodePort !== 0) return filled;
  return { ...filled, healthCheckNodePort: before.healthCheckNodePort };
}

function withClusterIPsInStep(spec: DecodedServiceSpec, before: DecodedServiceSpec): DecodedServiceSpec {
  if (spec.clusterIP === before.clusterIP) {
    return spec.clusterIPs.length === 0 ? { ...spec, clusterIPs: before.clusterIPs } : spec;
  }
  if (!sameList(spec.clusterIPs, before.clusterIPs)) return spec;
  return { ...spec, clusterIPs: spec.clusterIP === '' ? [] : [spec.clusterIP] };
}

function withoutForeignFields(spec: DecodedServiceSpec, before: DecodedServiceSpec): DecodedServiceSpec {
  const losesAddress = hasAddress(before) && !hasAddress(spec);
  const sameAddress = spec.clusterIP === before.clusterIP && sameList(spec.clusterIPs, before.clusterIPs);
  const losesNodePorts = hasNodePorts(before) && !hasNodePorts(spec) && noNewNodePorts(spec, before);
  const losesBalancer = before.type === 'LoadBalancer' && spec.type !== 'LoadBalancer';
  const losesHealthCheck = needsHealthCheck(before) && !needsHealthCheck(spec);
  const losesOutside = isExternallyAccessible(before) && !isExternallyAccessible(spec);
  const unless = <T>(drop: boolean, value: T, none: T): T => (drop ? none : value);
  return {
    ...spec,
    clusterIP: unless(losesAddress && sameAddress, spec.clusterIP, ''),
    clusterIPs: unless(losesAddress && sameAddress, spec.clusterIPs, []),
    ipFamilies: unless(losesAddress && sameList(spec.ipFamilies, before.ipFamilies), spec.ipFamilies, []),
    ipFamilyPolicy: unless(
      losesAddress && spec.ipFamilyPolicy === before.ipFamilyPolicy,
      spec.ipFamilyPolicy,
      undefined,
    ),
    ports: losesNodePorts ? spec.ports.map((port) => ({ ...port, nodePort: 0 })) : spec.ports,
    healthCheckNodePort: unless(
      losesHealthCheck && spec.healthCheckNodePort === before.healthCheckNodePort,
      spec.healthCheckNodePort,
      0,
    ),
    allocateLoadBalancerNodePorts: unless(
      losesBalancer && spec.allocateLoadBalancerNodePorts === before.allocateLoadBalancerNodePorts,
      spec.allocateLoadBalancerNodePorts,
      undefined,
    ),
    loadBalancerClass: unless(
      losesBalancer && spec.loadBalancerClass === before.loadBalancerClass,
      spec.loadBalancerClass,
      undefined,
    ),
    externalTrafficPolicy: unless(
      losesOutside && spec.externalTrafficPolicy === before.externalTrafficPolicy,
      spec.externalTrafficPolicy,
      '',
    ),
  };
}

/** Every type but ExternalName has a cluster IP, or `None`. */
function hasAddress(spec: DecodedServiceSpec): boolean {
  return spec.type !== 'ExternalName';
}

function noNewNodePorts(spec: DecodedServiceSpec, before: DecodedServiceSpec): boolean {
  const known = new Set(before.ports.map((port) => port.nodePort));
  return spec.ports.every((port) => port.nodePort === 0 || known.has(port.nodePort));
}

export function sameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((item, index) => item === right[index]);
}
