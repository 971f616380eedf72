import { parseApiAddress } from '../addresses/index.ts';
import type { FieldPath, Findings } from './issue.ts';
import type { ServerRules } from './kubernetes-version.ts';
import type { RuleCode } from './rules.ts';
import { type DecodedService, type DecodedServiceSpec, isHeadless } from './service-object.ts';

/**
 * Warns of settings that the API server accepts in a Service, but that have no effect or not the one that they seem to have.
 *
 * Source: `pkg/api/service/warnings.go` for the API server's own warnings (HTTP header `Warning: 299`).
 */
export function warnOfSettings(
  service: DecodedService,
  before: DecodedServiceSpec | undefined,
  at: FieldPath,
  rules: ServerRules,
  findings: Findings,
): void {
  const { spec, meta } = service;
  if (meta.annotations.has('service.kubernetes.io/topology-aware-hints')) {
    const path = meta.at.child('annotations').key('service.kubernetes.io/topology-aware-hints');
    const message =
      'annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead';
    findings.warn('topology-hints-deprecated', path, message);
  }
  if (spec.trafficDistribution === 'PreferClose' && rules.trafficDistributions.includes('PreferSameZone')) {
    const message = 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"';
    findings.warn('prefer-close-deprecated', at.child('trafficDistribution'), message);
  }
  for (const [index, text] of spec.externalIPs.entries())
    warnOfSpelling(text, at.child('externalIPs').index(index), rules, findings);
  warnOfSpelling(spec.loadBalancerIP, at.child('loadBalancerIP'), rules, findings);
  if (spec.type === 'ExternalName') {
    warnOfIgnored(spec, at, findings);
    warnOfGitOps(service, at, findings);
    warnOfRelease(before, at, findings);
  } else {
    warnOfOtherTypes(spec, at, rules, findings);
  }
}

function warnOfIgnored(spec: DecodedServiceSpec, at: FieldPath, findings: Findings): void {
  const without = 'no effect on a Service of type ExternalName';
  if (spec.ports.length > 0) {
    findings.warn('ports-ignored', at.child('ports'), `ports have ${without}: a CNAME carries no port`);
  }
  for (const port of spec.ports) {
    if (port.nodePort !== 0) findings.warn('node-port-ignored', port.at.child('nodePort'), 'no node listens on it');
  }
  const setting = (field: string, isSet: boolean) =>
    [isSet, 'setting-ignored', field, `${field} has ${without}`] as const;
  warnIf(at, findings, [
    [(spec.selector?.size ?? 0) > 0, 'selector-ignored', 'selector', `the selector has ${without}`],
    [
      spec.externalIPs.length > 0,
      'external-ips-ignored',
      'externalIPs',
      'spec.externalIPs is ignored when spec.type is "ExternalName"',
    ],
    setting('sessionAffinity', spec.sessionAffinity === 'ClientIP'),
    setting('internalTrafficPolicy', spec.internalTrafficPolicy === 'Local'),
    setting('publishNotReadyAddresses', spec.publishNotReadyAddresses),
    setting('trafficDistribution', spec.trafficDistribution !== undefined),
    setting('loadBalancerIP', spec.loadBalancerIP !== ''),
  ]);
}

/** Warns of tools that own the manifest and would undo a switch by patch. */
function warnOfGitOps({ meta }: DecodedService, at: FieldPath, findings: Findings): void {
  for (const [key, tool] of gitOpsMarks) {
    const inLabels = meta.labels.has(key);
    if (!inLabels && !meta.annotations.has(key)) continue;
    const path = inLabels ? meta.at.child('labels').entry(key) : meta.at.child('annotations').entry(key);
    findings.warn('gitops-managed', path, `${key}: ${tool} puts spec.externalName back after a patch`);
  }
  if (meta.labels.get('app.kubernetes.io/managed-by') === 'Helm') {
    const path = meta.at.child('labels').entry('app.kubernetes.io/managed-by');
    findings.warn('gitops-managed', path, 'Helm owns this Service: the next upgrade puts spec.externalName back');
  }
  for (const manager of meta.externalNameManagers) {
    const tool = gitOpsManagers.get(manager);
    if (tool === undefined) continue;
    findings.warn(
      'gitops-managed',
      at.child('externalName'),
      `${tool} is recorded as the owner of spec.externalName, and puts it back after a patch`,
    );
  }
}

const gitOpsMarks: readonly (readonly [string, string])[] = [
  ['argocd.argoproj.io/instance', 'Argo CD'],
  ['argocd.argoproj.io/tracking-id', 'Argo CD'],
  ['kustomize.toolkit.fluxcd.io/name', 'Flux'],
  ['helm.toolkit.fluxcd.io/name', 'Flux'],
  ['meta.helm.sh/release-name', 'Helm'],
  ['objectset.rio.cattle.io/id', 'Rancher Fleet'],
  ['config.k8s.io/owning-inventory', 'kpt or Config Sync'],
  ['configmanagement.gke.io/managed', 'Config Sync'],
  ['kapp.k14s.io/app', 'kapp'],
  ['kubectl.kubernetes.io/last-applied-configuration', 'the next kubectl apply'],
];

/** Field managers, as they stand in `metadata.managedFields`. */
const gitOpsManagers = new Map([
  ['argocd-controller', 'Argo CD'],
  ['argocd-application-controller', 'Argo CD'],
  ['kustomize-controller', 'Flux'],
  ['helm-controller', 'Flux'],
  ['helm', 'Helm'],
  ['fleet', 'Rancher Fleet'],
  ['configsync', 'Config Sync'],
  ['kapp', 'kapp'],
]);

function warnOfRelease(before: DecodedServiceSpec | undefined, at: FieldPath, findings: Findings): void {
  if (!before || before.type === 'ExternalName') return;
  const addresses = before.clusterIPs.length > 0 ? before.clusterIPs : [before.clusterIP];
  const released = addresses
    .filter((address) => address !== '' && address !== 'None')
    .slice(0, 2)
    .join(', ');
  const message =
    released === ''
      ? `the change from ${before.type.slice(0, 20)} takes the endpoints out of DNS: clients that keep the old answer connect to pods that may go away`
      : `the change from ${before.type.slice(0, 20)} releases ${released}: clients that keep the address, and connections through it, break`;
  findings.warn('address-released', at.child('type'), message);
}

function warnOfOtherTypes(spec: DecodedServiceSpec, at: FieldPath, rules: ServerRules, findings: Findings): void {
  if (spec.externalName !== '') {
    const message = 'spec.externalName is ignored when spec.type is not "ExternalName"';
    findings.warn('external-name-ignored', at.child('externalName'), message);
  }
  for (const [index, text] of spec.clusterIPs.entries()) {
    if (text !== 'None') warnOfSpelling(text, at.child('clusterIPs').index(index), rules, findings);
  }
  const hasExternalIPs = spec.externalIPs.length > 0;
  if (spec.type === 'ClusterIP' && isHeadless(spec)) {
    const ignored = 'is ignored for headless services';
    warnIf(at, findings, [
      [spec.loadBalancerIP !== '', 'setting-ignored', 'loadBalancerIP', `spec.loadBalancerIP ${ignored}`],
      [hasExternalIPs, 'external-ips-ignored', 'externalIPs', `spec.externalIPs ${ignored}`],
      [spec.sessionAffinity !== 'None', 'setting-ignored', 'sessionAffinity', `spec.SessionAffinity ${ignored}`],
    ]);
  } else if (hasExternalIPs && rules.externalIPsDeprecated) {
    const message = 'spec.externalIPs is deprecated and may no longer be implemented in some clusters';
    findings.warn('external-ips-deprecated', at.child('externalIPs'), message);
  }
}

type Warning = readonly [holds: boolean, code: RuleCode, field: string, message: string];

function warnIf(at: FieldPath, findings: Findings, warnings: readonly Warning[]): void {
  for (const [holds, code, field, message] of warnings) if (holds) findings.warn(code, at.child(field), message);
}

function warnOfSpelling(text: string, at: FieldPath, rules: ServerRules, findings: Findings): void {
  const address = parseApiAddress(text);
  if (!address || address.canonical === text) return;
  const message = address.nonStandard
    ? `non-standard IP address "${text}" ${rules.strictAddresses ? 'is invalid' : 'will be considered invalid in a future Kubernetes release'}: use "${address.canonical}"`
    : `IPv6 address "${text}" should be in RFC 5952 canonical format ("${address.canonical}")`;
  findings.warn('address-not-canonical', at, message);
}
