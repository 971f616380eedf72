import { parseApiAddress } from '../addresses/index.ts';
import {
  label1123Problems,
  pathSegmentProblems,
  portNumberProblems,
  qualifiedNameProblems,
  subdomain1123Problems,
} from './formats.ts';
import { FieldPath, type Findings } from './issue.ts';
import type { ServerRules } from './kubernetes-version.ts';
import {
  checkAnnotations,
  checkChangedMeta,
  checkLabels,
  checkNewMeta,
  type DecodedMeta,
  decodeMeta,
  type NameRules,
} from './object-meta.ts';
import { isRecord, ObjectReader } from './object-reader.ts';
import { addressProblem, checkNotSpecial, networkProblem } from './service-rules.ts';

/** What {@link checkOtherKind} needs besides the object. */
export interface KindContext {
  readonly apiVersion: string;
  readonly kind: string;
  readonly previous: unknown;
  readonly rules: ServerRules;
}

/** Checks the metadata of any kind, and the fields that the builders write of the kinds that they build. */
export function checkOtherKind(value: unknown, context: KindContext, findings: Findings): void {
  const { apiVersion, kind, previous, rules } = context;
  const known = kinds.get(kind);
  if (known && apiVersion !== '' && apiVersion !== known.apiVersion) {
    findings.warn(
      'kind-unchecked',
      new FieldPath('apiVersion', ['apiVersion']),
      `this validator knows ${kind} only as ${known.apiVersion}`,
    );
  }
  const root = new FieldPath();
  const object = new ObjectReader(value, kind.slice(0, 60), root, findings);
  const meta = decodeMeta(object.object('metadata', 'ObjectMeta'));
  if (findings.refused) return;
  const names: NameRules = {
    rules,
    problems: known?.name ?? pathSegmentProblems,
    namespaced: known?.namespaced ?? meta.namespace !== '',
  };
  if (isRecord(previous)) {
    const before = new ObjectReader(previous, kind, root, findings).object('metadata', 'ObjectMeta');
    checkChangedMeta(meta, decodeMeta(before), rules, findings);
  } else {
    checkNewMeta(meta, names, findings);
  }
  if (known && (apiVersion === '' || apiVersion === known.apiVersion))
    known.check?.({ object, meta, previous, rules, findings });
  else if (!known)
    findings.warn(
      'kind-unchecked',
      new FieldPath('kind', ['kind']),
      `this validator does not know the kind ${JSON.stringify(kind.slice(0, 60))}`,
    );
}

interface Checked {
  readonly object: ObjectReader;
  readonly meta: DecodedMeta;
  readonly previous: unknown;
  readonly rules: ServerRules;
  readonly findings: Findings;
}

interface Kind {
  readonly apiVersion: string;
  readonly namespaced: boolean;
  readonly name: (name: string) => string[];
  readonly check?: (checked: Checked) => void;
}

const rbac = 'rbac.authorization.k8s.io/v1';
const admission = 'admissionregistration.k8s.io/v1';

const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  [
    'EndpointSlice',
    { apiVersion: 'discovery.k8s.io/v1', namespaced: true, name: subdomain1123Problems, check: checkEndpointSlice },
  ],
  [
    'Pod',
    {
      apiVersion: 'v1',
      namespaced: true,
      name: subdomain1123Problems,
      check: ({ object, findings }) => checkPodSpec(object.object('spec', 'PodSpec'), findings),
    },
  ],
  ['Deployment', { apiVersion: 'apps/v1', namespaced: true, name: subdomain1123Problems, check: checkDeployment }],
  ['Role', { apiVersion: rbac, namespaced: true, name: pathSegmentProblems, check: checkRole }],
  ['RoleBinding', { apiVersion: rbac, namespaced: true, name: pathSegmentProblems, check: checkRoleBinding }],
  [
    'NetworkPolicy',
    { apiVersion: 'networking.k8s.io/v1', namespaced: true, name: subdomain1123Problems, check: checkNetworkPolicy },
  ],
  ['CiliumNetworkPolicy', { apiVersion: 'cilium.io/v2', namespaced: true, name: subdomain1123Problems }],
  ['ServiceEntry', { apiVersion: 'networking.istio.io/v1', namespaced: true, name: subdomain1123Problems }],
  ['ConfigMap', { apiVersion: 'v1', namespaced: true, name: subdomain1123Problems }],
  ['ServiceAccount', { apiVersion: 'v1', namespaced: true, name: subdomain1123Problems }],
  ['Namespace', { apiVersion: 'v1', namespaced: false, name: label1123Problems }],
  [
    'ValidatingAdmissionPolicy',
    { apiVersion: admission, namespaced: false, name: subdomain1123Problems, check: checkAdmissionPolicy },
  ],
  [
    'ValidatingAdmissionPolicyBinding',
    { apiVersion: admission, namespaced: false, name: subdomain1123Problems, check: checkAdmissionBinding },
  ],
]);

const mostEndpoints = 1000;
const mostAddresses = 100;
const mostPorts = 20_000;

/** Source: `pkg/apis/discovery/validation/validation.go`. */
function checkEndpointSlice({ object, meta, previous, rules, findings }: Checked): void {
  const at = object.at;
  const type = object.string('addressType');
  const types = ['FQDN', 'IPv4', 'IPv6'];
  if (type === '') findings.required('address-type-invalid', at.child('addressType'));
  else findings.oneOf('address-type-invalid', at.child('addressType'), type, types);
  if (type === 'FQDN')
    findings.warn('address-type-fqdn', at.child('addressType'), 'kube-proxy ignores slices of names');
  if (isRecord(previous) && typeof previous['addressType'] === 'string' && previous['addressType'] !== type) {
    findings.invalid('field-immutable', at.child('addressType'), type, 'field is immutable');
  }
  if (!meta.labels.has('kubernetes.io/service-name')) {
    findings.warn(
      'service-label-missing',
      at.child('metadata').child('labels'),
      'the slice does not belong to a Service',
    );
  }
  // Endpoints that an older version accepted stay accepted while they are unchanged.
  const unchanged =
    isRecord(previous) && JSON.stringify(previous['endpoints']) === JSON.stringify(object.raw('endpoints'));
  const endpoints = object.objects('endpoints', 'Endpoint');
  if (endpoints.length > mostEndpoints)
    findings.tooMany('too-many-endpoints', at.child('endpoints'), endpoints.length, mostEndpoints);
  else if (!unchanged) for (const endpoint of endpoints) checkEndpoint(endpoint, type, rules, findings);
  const ports = object.objects('ports', 'EndpointPort');
  if (ports.length > mostPorts) findings.tooMany('too-many-endpoints', at.child('ports'), ports.length, mostPorts);
  else checkEndpointPorts(ports, findings);
}

function checkEndpoint(endpoint: ObjectReader, type: string, rules: ServerRules, findings: Findings): void {
  const at = endpoint.at.child('addresses');
  const addresses = endpoint.strings('addresses');
  if (addresses.length === 0) findings.required('endpoint-address-required', at, 'must contain at least 1 address');
  if (addresses.length > mostAddresses) findings.tooMany('too-many-endpoints', at, addresses.length, mostAddresses);
  const family = type === 'IPv4' ? 4 : type === 'IPv6' ? 6 : undefined;
  for (const [index, text] of (family === undefined ? [] : addresses).entries()) {
    const path = at.index(index);
    const address = parseApiAddress(text);
    const problem = addressProblem(text, rules.strictAddresses || family === 6);
    if (problem !== undefined || !address) {
      findings.invalid('endpoint-address-invalid', path, text, problem ?? 'must be a valid IP address');
    } else if (family === 6 && address.canonical !== text) {
      findings.invalid(
        'endpoint-address-invalid',
        path,
        text,
        `must be in canonical form (${JSON.stringify(address.canonical)})`,
      );
    } else {
      if (address.family !== family)
        findings.invalid('endpoint-address-invalid', at, text, `must be an IPv${family} address`);
      checkNotSpecial(text, path, 'endpoint-address-special', findings);
    }
  }
  const hostname = endpoint.optionalString('hostname');
  findings.format('name-invalid', endpoint.at.child('hostname'), hostname, label1123Problems);
}

function checkEndpointPorts(ports: readonly ObjectReader[], findings: Findings): void {
  const names = new Set<string>();
  const protocols = ['SCTP', 'TCP', 'UDP'];
  for (const port of ports) {
    const name = port.string('name');
    if (name !== '') findings.format('port-name-invalid', port.at.child('name'), name, label1123Problems);
    if (names.has(name)) findings.duplicate('port-name-duplicate', port.at.child('name'), name);
    names.add(name);
    const protocol = port.string('protocol') || 'TCP';
    findings.oneOf('port-protocol-unsupported', port.at.child('protocol'), protocol, protocols);
    if ((port.optionalInteger('port') ?? 1) < 1)
      findings.warn('port-number-invalid', port.at.child('port'), 'no connection can be made to that port');
    const appProtocol = port.optionalString('appProtocol');
    findings.format('app-protocol-invalid', port.at.child('appProtocol'), appProtocol, qualifiedNameProblems);
  }
}

/** The part of `ValidatePodSpec` that every Pod needs. */
function checkPodSpec(spec: ObjectReader, findings: Findings): void {
  const containers = spec.objects('containers', 'Container');
  if (containers.length === 0) findings.required('container-required', spec.at.child('containers'));
  const names = new Set<string>();
  for (const container of containers) {
    const name = container.string('name');
    if (name === '') findings.required('container-required', container.at.child('name'));
    else findings.format('name-invalid', container.at.child('name'), name, label1123Problems);
    if (name !== '' && names.has(name)) findings.duplicate('name-invalid', container.at.child('name'), name);
    names.add(name);
    if (container.string('image') === '') findings.required('container-required', container.at.child('image'));
  }
}

function checkDeployment({ object, findings }: Checked): void {
  const spec = object.object('spec', 'DeploymentSpec');
  const template = spec.object('template', 'PodTemplateSpec');
  const meta = template.object('metadata', 'ObjectMeta');
  const labels = meta.stringMap('labels') ?? new Map<string, string>();
  checkLabels(labels, meta.at.child('labels'), 'label-invalid', findings);
  checkAnnotations(meta.stringMap('annotations') ?? new Map(), meta.at.child('annotations'), findings);
  const selector = spec.object('selector', 'LabelSelector');
  const wanted = selector.stringMap('matchLabels');
  if (!spec.has('selector')) findings.required('template-selector-mismatch', spec.at.child('selector'));
  else if (!wanted?.size && !selector.has('matchExpressions')) {
    findings.invalid(
      'template-selector-mismatch',
      spec.at.child('selector'),
      '',
      'empty selector is invalid for deployment',
    );
  }
  for (const [key, value] of wanted ?? []) {
    if (labels.get(key) === value) continue;
    findings.invalid(
      'template-selector-mismatch',
      meta.at.child('labels'),
      value,
      '`selector` does not match template `labels`',
    );
  }
  checkPodSpec(template.object('spec', 'PodSpec'), findings);
}

/** Source: `ValidatePolicyRule` in `pkg/apis/rbac/validation/validation.go`. */
function checkRole({ object, findings }: Checked): void {
  for (const rule of object.objects('rules', 'PolicyRule')) {
    if (rule.strings('verbs').length === 0) findings.required('rule-verbs-required', rule.at.child('verbs'));
    if (rule.strings('apiGroups').length === 0)
      findings.required(
        'rule-resources-required',
        rule.at.child('apiGroups'),
        'resource rules must supply at least one api group',
      );
    if (rule.strings('resources').length === 0)
      findings.required(
        'rule-resources-required',
        rule.at.child('resources'),
        'resource rules must supply at least one resource',
      );
  }
}

function checkRoleBinding({ object, findings }: Checked): void {
  const role = object.object('roleRef', 'RoleRef');
  const groups = ['rbac.authorization.k8s.io'];
  findings.oneOf('role-ref-invalid', role.at.child('apiGroup'), role.string('apiGroup'), groups);
  const roleKinds = ['Role', 'ClusterRole'];
  findings.oneOf('role-ref-invalid', role.at.child('kind'), role.string('kind'), roleKinds);
  if (role.string('name') === '') findings.required('role-ref-invalid', role.at.child('name'));
  const subjectKinds = ['ServiceAccount', 'User', 'Group'];
  for (const subject of object.objects('subjects', 'Subject')) {
    const kind = subject.string('kind');
    if (subject.string('name') === '') findings.required('subject-invalid', subject.at.child('name'));
    findings.oneOf('subject-invalid', subject.at.child('kind'), kind, subjectKinds);
    if (kind !== 'ServiceAccount') continue;
    findings.format('subject-invalid', subject.at.child('name'), subject.string('name'), subdomain1123Problems);
    if (subject.string('namespace') === '') findings.required('subject-invalid', subject.at.child('namespace'));
  }
}

/** Source: `ValidateNetworkPolicySpec` in `pkg/apis/networking/validation/validation.go`. */
function checkNetworkPolicy({ object, rules, previous, findings }: Checked): void {
  const spec = object.object('spec', 'NetworkPolicySpec');
  const strict = rules.strictAddresses && !isRecord(previous);
  for (const [direction, peers] of [
    ['egress', 'to'],
    ['ingress', 'from'],
  ] as const) {
    for (const rule of spec.objects(direction, `NetworkPolicy${direction}Rule`)) {
      for (const peer of rule.objects(peers, 'NetworkPolicyPeer')) {
        if (!peer.has('ipBlock')) continue;
        const block = peer.object('ipBlock', 'IPBlock');
        const cidr = block.string('cidr');
        const problem = cidr === '' ? undefined : networkProblem(cidr, strict);
        if (cidr === '') findings.required('network-invalid', block.at.child('cidr'));
        if (problem !== undefined) findings.invalid('network-invalid', block.at.child('cidr'), cidr, problem);
      }
      for (const port of rule.objects('ports', 'NetworkPolicyPort')) {
        const number = port.integerOrString('port');
        if (typeof number !== 'number') continue;
        findings.format('port-number-invalid', port.at.child('port'), number, portNumberProblems);
      }
    }
  }
}

function checkAdmissionPolicy({ object, findings }: Checked): void {
  const spec = object.object('spec', 'ValidatingAdmissionPolicySpec');
  const constraints = spec.object('matchConstraints', 'MatchResources');
  if (!spec.has('matchConstraints')) findings.required('policy-incomplete', constraints.at);
  else if (constraints.objects('resourceRules', 'NamedRuleWithOperations').length === 0) {
    findings.required('policy-incomplete', constraints.at.child('resourceRules'));
  }
  const validations = spec.objects('validations', 'Validation');
  if (validations.length === 0 && spec.objects('auditAnnotations', 'AuditAnnotation').length === 0) {
    findings.required(
      'policy-incomplete',
      spec.at.child('validations'),
      'validations or auditAnnotations must contain at least one item',
    );
  }
  for (const validation of validations) {
    if (validation.string('expression').trim() === '')
      findings.required('policy-incomplete', validation.at.child('expression'), 'expression is not specified');
  }
}

function checkAdmissionBinding({ object, findings }: Checked): void {
  const spec = object.object('spec', 'ValidatingAdmissionPolicyBindingSpec');
  if (spec.string('policyName') === '') findings.required('policy-incomplete', spec.at.child('policyName'));
  const actions = spec.strings('validationActions');
  const path = spec.at.child('validationActions');
  if (actions.length === 0) findings.required('policy-incomplete', path, 'at least one validation action is required');
  for (const [index, action] of actions.entries()) {
    findings.oneOf('policy-incomplete', path.index(index), action, ['Audit', 'Deny', 'Warn']);
  }
  if (actions.includes('Deny') && actions.includes('Warn')) {
    findings.invalid(
      'policy-incomplete',
      path,
      actions,
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
    );
  }
}
