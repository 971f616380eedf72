import { byteLength, label1123Problems, labelValueProblems, qualifiedNameProblems } from './formats.ts';
import { type FieldPath, type Findings, ShownValue } from './issue.ts';
import type { ServerRules } from './kubernetes-version.ts';
import type { ObjectReader } from './object-reader.ts';

/** Metadata as the API server decodes it: text that is absent is empty. */
export interface DecodedMeta {
  readonly at: FieldPath;
  readonly name: string;
  readonly generateName: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly deleted: boolean;
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly finalizers: readonly string[];
  readonly owners: readonly { apiVersion: string; kind: string; name: string; uid: string; controller: boolean }[];
  /** The field managers that are recorded as having set `spec.externalName`. */
  readonly externalNameManagers: readonly string[];
}

export function decodeMeta(reader: ObjectReader): DecodedMeta {
  const read = {
    at: reader.at,
    name: reader.string('name'),
    generateName: reader.string('generateName'),
    namespace: reader.string('namespace'),
    uid: reader.string('uid'),
    resourceVersion: reader.string('resourceVersion'),
    generation: reader.integer('generation'),
    deleted: reader.has('deletionTimestamp'),
    labels: reader.stringMap('labels') ?? new Map(),
    annotations: reader.stringMap('annotations') ?? new Map(),
    finalizers: reader.strings('finalizers'),
    owners: reader.objects('ownerReferences', 'OwnerReference').map((owner) => ({
      apiVersion: owner.string('apiVersion'),
      kind: owner.string('kind'),
      name: owner.string('name'),
      uid: owner.string('uid'),
      controller: owner.optionalBoolean('controller') ?? false,
    })),
    externalNameManagers: reader
      .objects('managedFields', 'ManagedFieldsEntry')
      .filter((entry) => entry.object('fieldsV1', 'FieldsV1').object('f:spec', 'FieldsV1').has('f:externalName'))
      .map((entry) => entry.string('manager')),
  };
  reader.onlyKnows(metaFields);
  return read;
}

const metaFields = new Set([
  'name',
  'generateName',
  'namespace',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
]);

/** How a kind of object is named. */
export interface NameRules {
  readonly rules: ServerRules;
  readonly problems: (name: string) => string[];
  readonly namespaced: boolean;
}

/** Checks the metadata of a new object. Source: `apimachinery/pkg/api/validation/objectmeta.go`. */
export function checkNewMeta(meta: DecodedMeta, names: NameRules, findings: Findings): void {
  checkNames(meta, names, findings);
  checkNamespace(meta, names, findings);
  if (meta.generation < 0) {
    findings.invalid(
      'generation-negative',
      meta.at.child('generation'),
      meta.generation,
      'must be greater than or equal to 0',
    );
  }
  checkCommonMeta(meta, names.rules, findings);
}

/** Checks the metadata of an update. The name counts as checked, because it cannot change. */
export function checkChangedMeta(
  meta: DecodedMeta,
  previous: DecodedMeta,
  rules: ServerRules,
  findings: Findings,
): void {
  const { at } = meta;
  if (previous.deleted) {
    const known = new Set(previous.finalizers);
    const added = meta.finalizers.filter((finalizer) => !known.has(finalizer)).sort();
    if (added.length > 0) {
      const list = added.slice(0, 5).map((finalizer) => JSON.stringify(finalizer.slice(0, 100)));
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list.join(', ')}}`;
      findings.forbidden('finalizer-invalid', at.child('finalizers'), detail);
    }
  }
  if (meta.name === '') {
    const message = `the name of the object (${previous.name.slice(0, 253)} based on URL) was undeterminable: name must be provided`;
    findings.badRequest('name-required', at.child('name'), message);
  } else if (meta.name !== previous.name) {
    findings.invalid('field-immutable', at.child('name'), meta.name, 'field is immutable');
  }
  const namespace = meta.namespace || previous.namespace;
  if (namespace !== (previous.namespace || namespace)) {
    findings.invalid('field-immutable', at.child('namespace'), namespace, 'field is immutable');
  }
  if (meta.uid !== '' && meta.uid !== previous.uid && previous.uid !== '') {
    findings.invalid('field-immutable', at.child('uid'), meta.uid, 'field is immutable');
  }
  checkCommonMeta(meta, rules, findings);
}

/** Checks `name` and `generateName`. A generated name is checked with the five letters that the server adds. */
export function checkNames(meta: DecodedMeta, rules: NameRules, findings: Findings): void {
  const { name, generateName, at } = meta;
  if (generateName !== '') {
    const problemsOf = (base: string) => rules.problems(withoutTrailingDash(base));
    findings.format('generate-name-invalid', at.child('generateName'), generateName, problemsOf);
  }
  if (name === '' && generateName === '') {
    findings.required('name-required', at.child('name'), 'name or generateName is required');
    return;
  }
  const whole = name === '' ? `${cut(generateName, longestGeneratedBase)}xxxxx` : name;
  findings.format('name-invalid', at.child('name'), whole, rules.problems);
}

export function checkNamespace(meta: DecodedMeta, rules: NameRules, findings: Findings): void {
  const at = meta.at.child('namespace');
  if (!rules.namespaced) {
    if (meta.namespace !== '') findings.forbidden('namespace-invalid', at, 'not allowed on this type');
    return;
  }
  // If it is left out, the namespace of the request's path applies.
  if (meta.namespace === '') return;
  findings.format('namespace-invalid', at, meta.namespace, label1123Problems);
}

/** Checks labels, or a selector. The API server reports the map, not the entry. */
export function checkLabels(
  labels: ReadonlyMap<string, string>,
  at: FieldPath,
  code: 'label-invalid' | 'selector-invalid',
  findings: Findings,
): void {
  for (const [key, value] of labels) {
    findings.format(code, at.entry(key), key, qualifiedNameProblems);
    findings.format(code, at.entry(key), value, labelValueProblems);
  }
}

function checkCommonMeta(meta: DecodedMeta, rules: ServerRules, findings: Findings): void {
  const { at } = meta;
  checkLabels(meta.labels, at.child('labels'), 'label-invalid', findings);
  checkAnnotations(meta.annotations, at.child('annotations'), findings);
  checkOwners(meta, rules, findings);
  for (const [index, finalizer] of meta.finalizers.entries()) {
    const path = at.child('finalizers');
    findings.format('finalizer-invalid', path, finalizer, qualifiedNameProblems);
    if (finalizer.includes('/') || standardFinalizers.has(finalizer)) continue;
    const detail = 'name is neither a standard finalizer name nor is it fully qualified';
    findings.invalid('finalizer-invalid', path.index(index), finalizer, detail);
  }
  if (meta.finalizers.includes('orphan') && meta.finalizers.includes('foregroundDeletion')) {
    const detail = 'finalizer orphan and foregroundDeletion cannot be both set';
    findings.invalid('finalizer-invalid', at.child('finalizers'), meta.finalizers, detail);
  }
}

export function checkAnnotations(annotations: ReadonlyMap<string, string>, at: FieldPath, findings: Findings): void {
  let bytes = 0;
  for (const [key, value] of annotations) {
    bytes += byteLength(key) + byteLength(value);
    const problemsOf = (name: string) => qualifiedNameProblems(name.toLowerCase());
    findings.format('annotation-key-invalid', at.entry(key), key, problemsOf);
  }
  if (bytes > longestAnnotations) findings.tooLong('annotations-too-long', at, longestAnnotations);
}

/** Finalizers without a domain in front. Source: `ValidateFinalizerName` in `pkg/apis/core/validation/validation.go`. */
const standardFinalizers = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

function checkOwners(meta: DecodedMeta, rules: ServerRules, findings: Findings): void {
  const code = 'owner-reference-invalid';
  const list = meta.at.child('ownerReferences');
  let controller = '';
  for (const [index, owner] of meta.owners.entries()) {
    const at = rules.ownersByIndex ? list.index(index) : list;
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (owner[field] !== '') continue;
      if (rules.ownersByIndex) findings.required(code, at.child(field), 'must not be empty');
      else
        findings.invalid(
          code,
          at.child(field),
          '',
          field === 'apiVersion' ? 'version must not be empty' : 'must not be empty',
        );
    }
    if (owner.apiVersion === 'v1' && owner.kind === 'Event') {
      const { apiVersion, kind, name, uid } = owner;
      const shown = JSON.stringify({ apiVersion, kind, name, uid }).slice(0, 300);
      findings.invalid(code, at, new ShownValue(shown), '/v1, Kind=Event is disallowed from being an owner');
    }
    if (!owner.controller) continue;
    const name = `${owner.kind}/${owner.name}`.slice(0, 300);
    if (controller !== '') {
      const detail = `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`;
      findings.invalid(code, list, new ShownValue(shownOwners(meta)), detail);
    }
    controller ||= name;
  }
}

function shownOwners(meta: DecodedMeta): string {
  const list = meta.owners
    .slice(0, 5)
    .map(({ controller, ...owner }) =>
      JSON.stringify({ ...owner, ...(controller ? { controller } : {}) }).slice(0, 300),
    );
  return `[${list.join(',')}${meta.owners.length > 5 ? ',...' : ''}]`;
}

/** Most bytes in all keys and values of the annotations together: 256 KiB. */
const longestAnnotations = 256 * 1024;

/** Characters of `generateName` that are kept; five more are added. Source: `apiserver/pkg/storage/names/generate.go`. */
const longestGeneratedBase = 58;

/** A name that ends in a hyphen is checked as if something followed. Source: `maskTrailingDash` in `generate_name.go`. */
function withoutTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name;
}

function cut(text: string, bytes: number): string {
  return byteLength(text) > bytes ? Buffer.from(text, 'utf8').subarray(0, bytes).toString('utf8') : text;
}
