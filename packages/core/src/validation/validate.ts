import { InvalidArgumentError } from '../errors.ts';
import { canonicalName, parseTargetPattern, type TargetPattern } from '../names/index.ts';
import { listItems, type PathStep, readYaml, type YamlProblem } from '../objects/index.ts';
import { checkNames as checkOptionNames } from '../option-names.ts';
import { type TargetContext, warnOfTarget } from './external-name-warnings.ts';
import { label1035Problems, label1123Problems } from './formats.ts';
import { FieldPath, Findings, type Issue } from './issue.ts';
import { newestMinor, parseKubernetesVersion, type ServerRules, serverRules } from './kubernetes-version.ts';
import { checkChangedMeta, checkNames, checkNamespace, checkNewMeta } from './object-meta.ts';
import { isRecord, ObjectReader } from './object-reader.ts';
import { checkOtherKind } from './other-kinds.ts';
import type { RuleCode } from './rules.ts';
import { decodeService, prepareChanged, prepareNew, withFamilies } from './service-object.ts';
import { checkClusterIPs, checkServiceSpec } from './service-rules.ts';
import { warnOfSettings } from './service-warnings.ts';

/** See {@link validate}. */
export interface ValidationOptions {
  /** The object before the change, as an object or as text: `validate` then checks an update. If there are several documents, it belongs to the first. */
  previous?: unknown;
  /** The version whose rules apply, such as `1.35` or `v1.33.2`, with feature gates at their defaults. @defaultValue `1.37`, the newest known */
  kubernetesVersion?: string | undefined;
  /** Host names, or `*.` and a domain for one label before it. If it is left out or `any`, every target passes. */
  allowedTargets?: readonly string[] | 'any' | undefined;
  /** The cluster's DNS domain, for targets inside the cluster. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
}

/**
 * Reports what the API server would refuse in an object, and what it would accept although it cannot work.
 *
 * The input is an object, an array of objects, a List, or YAML or JSON text of one document or many. `validate` checks every
 * field of a Service as the API server does, for each type. It checks the fields that the builders write in EndpointSlice,
 * Pod, Deployment, Role, RoleBinding, NetworkPolicy and ValidatingAdmissionPolicy, and the metadata of every other kind. It
 * never throws, whatever the input is, and takes time in proportion to the input's length.
 *
 * @returns the issues, errors and warnings; an empty array if there are none.
 *
 * @example
 * ```ts
 * const issues = validate(await readFile('webscaler-db.yaml', 'utf8'), { kubernetesVersion: '1.34' });
 * for (const issue of issues) console.log(formatIssue(issue));
 * ```
 */
export function validate(input: unknown, options: ValidationOptions = {}): Issue[] {
  try {
    const settings = readOptions(options);
    const issues = typeof input === 'string' ? textIssues(input, settings) : valueIssues(input, settings);
    return [...settings.problems, ...issues];
  } catch (error) {
    // Getters and proxies may throw anything, at any time.
    return [notReadable(error)];
  }
}

/**
 * Does the same for one Service that is already an object: what the API server would answer to its creation, or to an update
 * if `previous` is given. `reason`, `path` and `message` of the errors are the `reason`, `field` and `message` of the
 * causes in its answer. Never throws.
 */
export function serviceIssues(
  current: object,
  previous?: object,
  options: Omit<ValidationOptions, 'previous'> = {},
): Issue[] {
  return validate(current, { ...options, previous });
}

const optionNames = {
  previous: true,
  kubernetesVersion: true,
  allowedTargets: true,
  clusterDomain: true,
} satisfies Record<keyof ValidationOptions, true>;

interface Settings {
  readonly previous: unknown;
  readonly rules: ServerRules;
  readonly allowed: readonly TargetPattern[] | undefined;
  readonly allowedText: string;
  readonly clusterDomain: string;
  readonly problems: readonly Issue[];
}

function readOptions(options: ValidationOptions): Settings {
  const findings = new Findings();
  const given: ValidationOptions = isRecord(options) ? options : {};
  try {
    checkOptionNames(given, optionNames);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    findings.badRequest('bad-option', new FieldPath(error.argument), error.message.slice(error.argument.length + 2));
  }
  const version = given.kubernetesVersion;
  const minor = version === undefined ? newestMinor : parseKubernetesVersion(String(version));
  if (minor === undefined) {
    findings.badRequest(
      'bad-option',
      new FieldPath('kubernetesVersion'),
      `${JSON.stringify(version)} is not a Kubernetes version: write 1.35`,
    );
  }
  const allowed = given.allowedTargets === 'any' ? undefined : given.allowedTargets;
  const patterns: TargetPattern[] = [];
  for (const [index, text] of (Array.isArray(allowed) ? allowed : []).entries()) {
    try {
      patterns.push(parseTargetPattern(text));
    } catch (error) {
      findings.badRequest(
        'bad-option',
        new FieldPath('allowedTargets').index(index),
        error instanceof Error ? error.message.replace(/^allowedTargets: /, '') : 'is not a target',
      );
    }
  }
  return {
    previous: typeof given.previous === 'string' ? readYaml(given.previous)[0]?.value : given.previous,
    rules: serverRules(minor ?? newestMinor),
    allowed: allowed === undefined ? undefined : patterns,
    allowedText: patterns
      .slice(0, 20)
      .map(({ kind, name }) => (kind === 'one-label' ? `*.${name}` : name))
      .join(', '),
    clusterDomain: canonicalName(typeof given.clusterDomain === 'string' ? given.clusterDomain : 'cluster.local'),
    problems: findings.all.map(({ issue }) => issue),
  };
}

/** An object, and a function that finds the lines of its issues. */
interface Located {
  /** Undefined if the text could not be read. */
  readonly value: unknown;
  readonly lineOf?: (path: readonly PathStep[]) => number;
  /** What is wrong with the text. */
  readonly problems: readonly Issue[];
}

function textIssues(text: string, settings: Settings): Issue[] {
  const located = readYaml(text).flatMap(({ value, problems, warnings, lineOf }) => {
    return listed({ value, lineOf, problems: [...problems, ...warnings].map(textIssue) });
  });
  if (located.length > 0) return documentIssues(located, settings);
  return [textIssue({ code: 'not-an-object', message: 'the text contains no object', line: 1, path: [] })];
}

function textIssue({ code, message, path, line }: Omit<YamlProblem, 'code'> & { code: RuleCode }): Issue {
  const findings = new Findings();
  const at = path.reduce<FieldPath>(
    (above, step) => (typeof step === 'number' ? above.index(step) : above.child(step)),
    new FieldPath(),
  );
  if (code === 'yaml-duplicate-key' || code === 'yaml-not-read') findings.warn(code, at, message);
  else findings.badRequest(code, at, message);
  return { ...onlyIssue(findings), line };
}

function valueIssues(input: unknown, settings: Settings): Issue[] {
  const values = Array.isArray(input) ? Array.from(input) : [input];
  return documentIssues(
    values.flatMap((value) => listed({ value, problems: [] })),
    settings,
  );
}

/** The items of a list one by one. */
function listed(whole: Located): Located[] {
  const { value, lineOf, problems } = whole;
  const items = listItems(value);
  if (items === undefined) return [whole];
  return items.map((item, index) => ({
    value: item ?? null,
    problems: index === 0 ? problems : [],
    ...(lineOf ? { lineOf: (path) => lineOf(['items', index, ...path]) } : {}),
  }));
}

function documentIssues(objects: readonly Located[], settings: Settings): Issue[] {
  const names = new Set<string>();
  return objects.flatMap(({ value, lineOf, problems }, document): Issue[] => {
    const place = objects.length > 1 ? { document } : {};
    const ofText = problems.map((issue) => ({ ...issue, ...place }));
    if (lineOf && value === undefined) return ofText;
    const findings = new Findings();
    checkObject(value, document === 0 ? settings.previous : undefined, lineOf !== undefined, settings, findings);
    warnOfSecond(value, names, findings);
    const found = findings.all.map(({ issue, steps }) => ({
      ...issue,
      ...(lineOf ? { line: lineOf(steps) } : {}),
      ...place,
    }));
    return [...ofText, ...found];
  });
}

function warnOfSecond(value: unknown, names: Set<string>, findings: Findings): void {
  if (!isRecord(value) || !isRecord(value['metadata'])) return;
  const { name, namespace } = value['metadata'];
  if (typeof name !== 'string') return;
  const identity = JSON.stringify(
    [value['apiVersion'], value['kind'], namespace, name].map((part) => (typeof part === 'string' ? part : '')),
  );
  if (names.has(identity))
    findings.warn(
      'same-object-twice',
      new FieldPath('metadata.name', ['metadata', 'name']),
      'an earlier document has the same kind, namespace and name',
    );
  names.add(identity);
}

function checkObject(
  value: unknown,
  previous: unknown,
  fromText: boolean,
  settings: Settings,
  findings: Findings,
): void {
  const root = new FieldPath();
  if (!isRecord(value)) {
    findings.badRequest(
      'not-an-object',
      root,
      `${Array.isArray(value) ? 'an array' : typeof value} is not a Kubernetes object`,
    );
    return;
  }
  // An array of items has already been checked item by item.
  if (fromText && value['items'] !== undefined) {
    findings.badRequest(
      'wrong-type',
      root.child('items'),
      'kubectl reads an object with items as a list: items must be an array of objects that are not lists',
      'Write a list entry for each object.',
    );
    return;
  }
  const reader = new ObjectReader({ apiVersion: value['apiVersion'], kind: value['kind'] }, 'TypeMeta', root, findings);
  const apiVersion = reader.string('apiVersion');
  const kind = reader.string('kind');
  if (fromText) {
    for (const [field, text] of [
      ['apiVersion', apiVersion],
      ['kind', kind],
    ] as const) {
      if (text === '')
        findings.warn(
          'kind-missing',
          root.child(field),
          `${field} not set: the API server takes it from the path of the request, kubectl does not`,
        );
    }
  }
  if (findings.refused) return;
  if (kind !== '' && kind !== 'Service') {
    checkOtherKind(value, { apiVersion, kind, previous, rules: settings.rules }, findings);
  } else if (apiVersion !== '' && apiVersion !== 'v1') {
    findings.badRequest(
      'wrong-api-version',
      root.child('apiVersion'),
      `no kind "Service" is registered for version ${JSON.stringify(apiVersion.slice(0, 100))}`,
      'Write apiVersion: v1.',
    );
  } else {
    checkService(value, previous, settings, findings);
  }
}

function checkService(value: unknown, previous: unknown, settings: Settings, findings: Findings): void {
  const { rules } = settings;
  const root = new FieldPath();
  const sent = decodeService(value, root, rules, findings);
  if (findings.refused) return; // The server cannot read it (status 400), so it checks nothing else.
  const before = isRecord(previous) ? decodeService(previous, root, rules, new Findings()) : undefined;
  const stored = before && prepareNew(before.spec);
  const spec = stored ? prepareChanged(sent.spec, stored) : prepareNew(sent.spec);
  const names = {
    rules,
    problems: rules.relaxedServiceNames ? label1123Problems : label1035Problems,
    namespaced: true,
  };

  const specAt = root.child('spec');
  const checks = new Findings();
  const by = { at: specAt, rules, findings: checks };
  checkClusterIPs({ ...by, spec, before: stored });
  if (checks.refused) {
    findings.adopt(checks);
    return;
  }
  const service = { ...sent, spec: withFamilies(spec, stored) };
  if (before) {
    checkChangedMeta(sent.meta, before.meta, rules, checks);
    if (rules.nameCheckedOnUpdate && sent.meta.name !== '') {
      checkNames(sent.meta, names, checks);
      checkNamespace(sent.meta, names, checks);
    }
  } else {
    checkNewMeta(sent.meta, names, checks);
  }
  checkServiceSpec(service, before && stored && { ...before, spec: withFamilies(stored, undefined) }, by);
  findings.adopt(checks);

  if (spec.type === 'ExternalName') {
    const context: TargetContext = {
      allowed: settings.allowed,
      allowedText: settings.allowedText,
      clusterDomain: settings.clusterDomain,
      namespace: sent.meta.namespace || 'default',
    };
    warnOfTarget({ service, at: specAt.child('externalName'), context, findings });
  }
  warnOfSettings(service, stored, specAt, rules, findings);
}

function notReadable(error: unknown): Issue {
  const findings = new Findings();
  let message = 'reading it failed';
  try {
    if (error instanceof Error) message = `reading it failed: ${error.message.slice(0, 200)}`;
  } catch {
    // Reading the message may throw as well.
  }
  findings.badRequest('not-an-object', new FieldPath(), message);
  return onlyIssue(findings);
}

function onlyIssue(findings: Findings): Issue {
  const [found] = findings.all;
  if (found === undefined) throw new TypeError('no issue was made');
  return found.issue;
}
