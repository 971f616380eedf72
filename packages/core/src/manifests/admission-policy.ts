import { parseTargetPattern, type TargetPattern } from '../names/index.ts';
import type { AdmissionPolicyBindingManifest, AdmissionPolicyManifest } from '../objects/index.ts';
import { aBoolean, aText, checkOptions, listOf, optional } from '../shape.ts';
import { checked, OptionProblems } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** See {@link targetAdmissionPolicy}. */
export interface TargetAdmissionPolicyOptions extends Omit<ManifestName, 'name' | 'namespace'> {
  /** Name of policy and binding. Both belong to the cluster, not to a namespace. */
  name: string;
  /** The namespace it applies to. */
  namespace: string;
  /** The Service it applies to. If it is left out, the policy applies to every ExternalName Service of the namespace. */
  service?: string | undefined;
  /** Exact host names, or `*.` and a domain for exactly one label before it: the same patterns as the client's allow-list. */
  allowedTargets: readonly string[];
  /**
   * Refuses other types and `externalIPs` for `service` as well, because they can send the traffic elsewhere without
   * touching `externalName`.
   * @defaultValue true if `service` is given; cannot be set without it
   */
  onlyExternalName?: boolean | undefined;
  /** Lets an update pass that leaves `externalName` unchanged, even if it is not allowed. @defaultValue true */
  unchangedTargetsPass?: boolean | undefined;
  /** What the API server does to a refused request. @defaultValue `['Deny']` */
  validationActions?: readonly ('Deny' | 'Warn' | 'Audit')[] | undefined;
}

/**
 * Makes a ValidatingAdmissionPolicy and its binding, which limit the hosts that a Service (or every Service of a namespace)
 * may point to. The policy applies to create, update and every kind of patch. Without the binding, nothing is enforced. An
 * existing object is checked when it is written next.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`, also for an invalid pattern or an empty list.
 *
 * Source: Kubernetes documentation, "Validating Admission Policy" (`admissionregistration.k8s.io/v1`, since 1.30).
 */
export function targetAdmissionPolicy(
  options: TargetAdmissionPolicyOptions,
): [AdmissionPolicyManifest, AdmissionPolicyBindingManifest] {
  checkOptions(options, {
    ...nameShapes,
    namespace: aText,
    service: optional(aText),
    allowedTargets: listOf(aText),
    onlyExternalName: optional(aBoolean),
    unchangedTargetsPass: optional(aBoolean),
    validationActions: optional(listOf(aText)),
  });
  const { name, namespace, service, allowedTargets, validationActions = ['Deny'] } = options;
  const problems = new OptionProblems();
  if (allowedTargets.length === 0) {
    problems.add('allowedTargets', 'an empty list would refuse every Service: name at least one host');
  }
  if (options.onlyExternalName === true && service === undefined) {
    problems.add('onlyExternalName', 'only a policy for one Service can refuse other types: set service');
  }
  const patterns = allowedTargets.flatMap((text, index) => {
    return problems.attempt(`allowedTargets[${index}]`, () => parseTargetPattern(text, `allowedTargets[${index}]`));
  });
  const named = metadata({ ...options, namespace: undefined });
  const policy: AdmissionPolicyManifest = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: named,
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [writesOfServices],
      },
      ...(service === undefined
        ? {}
        : {
            matchConditions: [
              {
                name: 'is-the-service',
                expression: `has(object.metadata.name) && object.metadata.name == ${celString(service)}`,
              },
            ],
          }),
      variables: [{ name: 'target', expression: targetExpression }],
      validations: validations(options, patterns),
    },
  };
  const binding: AdmissionPolicyBindingManifest = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { ...named },
    spec: {
      policyName: name,
      validationActions: [...validationActions],
      matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } },
    },
  };
  checked('ValidatingAdmissionPolicy', [policy, binding], {}, problems);
  return [policy, binding];
}

/** `kubernetes-types` leaves out the fields that this type inherits from `RuleWithOperations`. */
type AdmissionRule = NonNullable<
  NonNullable<AdmissionPolicyManifest['spec']['matchConstraints']>['resourceRules']
>[number] & { apiGroups: string[]; apiVersions: string[]; operations: string[]; resources: string[] };

/** Patches of every kind arrive as UPDATE. */
const writesOfServices: AdmissionRule = {
  apiGroups: [''],
  apiVersions: ['v1'],
  operations: ['CREATE', 'UPDATE'],
  resources: ['services'],
};

/** The host as the client compares it: lower case, without the dot at its end. Empty if there is none. */
const targetExpression = `!has(object.spec.externalName) ? '' :
  object.spec.externalName.endsWith('.') ?
  object.spec.externalName.substring(0, object.spec.externalName.size() - 1).lowerAscii() :
  object.spec.externalName.lowerAscii()`;

function validations(options: TargetAdmissionPolicyOptions, patterns: readonly TargetPattern[]) {
  const { service, allowedTargets, onlyExternalName = service !== undefined, unchangedTargetsPass = true } = options;
  const list = allowedTargets.join(', ');
  const unchanged = `(oldObject != null && oldObject.spec.type == 'ExternalName' &&
  has(oldObject.spec.externalName) && has(object.spec.externalName) &&
  oldObject.spec.externalName == object.spec.externalName)`;
  const alternatives = [
    "object.spec.type != 'ExternalName'",
    ...allowed(patterns),
    ...(unchangedTargetsPass ? [unchanged] : []),
  ];
  const target = {
    expression: alternatives.join(' ||\n'),
    messageExpression: `'spec.externalName ' + variables.target + ' is not allowed here: ' + ${celString(list)}`,
    message: 'spec.externalName is not on the list of allowed targets',
    reason: 'Forbidden' as const,
  };
  if (!onlyExternalName) return [target];
  return [
    target,
    {
      expression: "object.spec.type == 'ExternalName'",
      message: 'this Service must stay of type ExternalName',
      reason: 'Forbidden' as const,
    },
    {
      expression: '!has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0',
      message: 'this Service must not have externalIPs',
      reason: 'Forbidden' as const,
    },
  ];
}

/** CEL for `matchesTargetPattern`: whole names, and whole parents after exactly one label. */
function allowed(patterns: readonly TargetPattern[]): string[] {
  const names = (kind: TargetPattern['kind']) =>
    patterns.filter((pattern) => pattern.kind === kind).map(({ name }) => celString(name));
  const exact = names('exact');
  const parents = names('one-label');
  return [
    ...(exact.length > 0 ? [`variables.target in [${exact.join(', ')}]`] : []),
    ...(parents.length > 0
      ? [
          `(variables.target.indexOf('.') > 0 &&
  variables.target.substring(variables.target.indexOf('.') + 1) in [${parents.join(', ')}])`,
        ]
      : []),
  ];
}

function celString(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
