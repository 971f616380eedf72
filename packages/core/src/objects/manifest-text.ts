import { Document, isScalar, isSeq, Scalar, visit } from 'yaml';
import { ExternalNameError, InvalidArgumentError } from '../errors.ts';
import { checkObject, checkText } from '../input.ts';
import { either, listOf } from '../shape.ts';
import type { KubernetesObject } from './kubernetes.ts';
import { listItems } from './list-items.ts';
import { readYaml, type YamlProblem } from './yaml-document.ts';

/** A text is no YAML, or no object of Kubernetes. Code `ERR_EXTERNALNAME_MANIFEST_SYNTAX`. */
export class ManifestSyntaxError extends ExternalNameError {
  override readonly outcome = 'not-executed';
  readonly problems: readonly YamlProblem[];

  constructor(problems: readonly YamlProblem[]) {
    const list = problems.map(({ line, message }) => `line ${line}: ${message}`).join('; ');
    super('ERR_EXTERNALNAME_MANIFEST_SYNTAX', `not a manifest of Kubernetes: ${list}`);
    this.problems = problems;
  }
}

/**
 * Writes manifests as a person would: keys in the order in which they stand in the object, two spaces, lists of short
 * values on one line, `---` between documents. Every text that some YAML reader would take for a number, a boolean or a
 * date is quoted.
 *
 * @example
 * ```ts
 * await writeFile('webscaler-db.yaml', toYaml(externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })));
 * ```
 */
export function toYaml(manifests: object | readonly object[]): string {
  either(listOf(checkObject), checkObject)('manifests', manifests);
  const list: readonly object[] = Array.isArray(manifests) ? manifests : [manifests];
  return written(() => list.map(oneDocument).join('---\n'));
}

/** Writes manifests as JSON: one object as itself, several as a `v1` List, which kubectl reads like a stream. */
export function toJson(manifests: object | readonly object[]): string {
  either(listOf(checkObject), checkObject)('manifests', manifests);
  const value = Array.isArray(manifests) ? { apiVersion: 'v1', kind: 'List', items: manifests } : manifests;
  return written(() => `${JSON.stringify(value, null, 2)}\n`);
}

// A number without an end, a circle, a getter that throws.
function written(write: () => string): string {
  try {
    return write();
  } catch (cause) {
    throw new InvalidArgumentError('manifests', 'must be plain objects, as JSON has them: this cannot be written', {
      cause,
    });
  }
}

/**
 * Reads manifests back, as kubectl does: YAML or JSON, one document or many; the items of a List one by one. Of a key that
 * comes twice the last one counts. The objects are as they were written and unchecked: `validate` says what is wrong with
 * them, with line numbers, where given the text itself.
 *
 * @throws ManifestSyntaxError `ERR_EXTERNALNAME_MANIFEST_SYNTAX` where kubectl refuses the text, or a document is no
 * object with `apiVersion` and `kind`.
 */
export function parseManifests(text: string): KubernetesObject[] {
  checkText('text', text);
  const objects: KubernetesObject[] = [];
  const problems: YamlProblem[] = [];
  for (const document of readYaml(text)) {
    problems.push(...document.problems);
    if (document.value === undefined) continue;
    for (const value of listItems(document.value) ?? [document.value]) {
      if (isObject(value) && !('items' in value)) {
        objects.push(value);
        continue;
      }
      const [path, message] = isObject(value)
        ? [['items'], 'items is an array of objects that are no lists']
        : [[], 'an object of Kubernetes has apiVersion and kind'];
      problems.push({ code: 'yaml-syntax', message, line: document.lineOf(path), path });
    }
  }
  if (problems.length > 0) throw new ManifestSyntaxError(problems);
  return objects;
}

function isObject(value: unknown): value is KubernetesObject {
  const object = value as Partial<KubernetesObject> | null;
  return [object?.apiVersion, object?.kind].every((name) => typeof name === 'string' && name !== '');
}

function oneDocument(value: object): string {
  // Through JSON, so that fields set to undefined are absent, as they are for the API server.
  const document = new Document(JSON.parse(JSON.stringify(value)), { version: '1.1', aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && isAmbiguous(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
    Seq(_, node) {
      const texts = node.items.map((item) => (isScalar(item) ? String(item.value) : undefined));
      if (!isSeq(node) || node.items.length === 0 || texts.includes(undefined)) return;
      if (texts.join('", "').length > widestList || texts.some((text) => text?.includes('\n'))) return;
      node.flow = true;
      for (const item of node.items) {
        if (isScalar(item) && typeof item.value === 'string') item.type = Scalar.QUOTE_DOUBLE;
      }
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false, directives: false });
}

const widestList = 70;

/** What YAML 1.1, YAML 1.2 and go-yaml do not all read as the same text. The writer knows YAML 1.1 only. */
function isAmbiguous(text: string): boolean {
  return (
    /^(?:[-+]?[\d.][\d._,:]*(?:[eE][-+]?\d+)?|0[obx][\da-fA-F_]+|[-+]?\.(?:inf|nan)|=|<<)$/i.test(text) ||
    // biome-ignore lint/suspicious/noControlCharactersInRegex: line separators that YAML 1.1 breaks lines at, and others that only survive as escapes
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/.test(text) ||
    /^\s|\s$/.test(text)
  );
}
