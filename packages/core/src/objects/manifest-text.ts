import { Document, isScalar, isSeq, Scalar, type ScalarTag, visit } from 'yaml';
import { stringifyString } from 'yaml/util';
import { ExternalNameError, InvalidArgumentError, isExternalNameError } from '../errors.ts';
import { checkObject, checkText } from '../input.ts';
import { either, listOf } from '../shape.ts';
import type { KubernetesObject } from './kubernetes.ts';
import { listItems } from './list-items.ts';
import { readYaml, type YamlProblem } from './yaml-document.ts';
import { isPlainText } from './yaml-values.ts';

/** A text is no YAML, or no object of Kubernetes. Code `ERR_EXTERNALNAME_MANIFEST_SYNTAX`. */
export class ManifestSyntaxError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** All problems, with their lines. */
  readonly problems: readonly YamlProblem[];

  constructor(problems: readonly YamlProblem[]) {
    const list = problems.map(({ line, message }) => `line ${line}: ${message}`).join('; ');
    super('ERR_EXTERNALNAME_MANIFEST_SYNTAX', `not a manifest of Kubernetes: ${list}`);
    this.problems = problems;
  }
}

/**
 * Writes manifests as a person would: keys in the order in which they stand in the object, two spaces, lists of short
 * values on one line, `---` between documents. Every text that some YAML reader would take for a number, a boolean, a
 * date or a merge key is quoted, and every character that kubectl refuses raw is an escape: kubectl reads back what was
 * written.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a text with half of a surrogate pair, which no
 * text in UTF-8 can hold.
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

/**
 * Writes manifests as JSON: one object as itself, several as a `v1` List, which kubectl reads like a stream.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a text with half of a surrogate pair: kubectl
 * reads U+FFFD in its place.
 */
export function toJson(manifests: object | readonly object[]): string {
  either(listOf(checkObject), checkObject)('manifests', manifests);
  const value = Array.isArray(manifests) ? { apiVersion: 'v1', kind: 'List', items: manifests } : manifests;
  return written(() => `${JSON.stringify(value, wholeCharacters, 2)}\n`);
}

// A number without an end, a circle, a getter that throws.
function written(write: () => string): string {
  try {
    return write();
  } catch (cause) {
    if (isExternalNameError(cause)) throw cause;
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
  const plain: unknown = JSON.parse(JSON.stringify(value, wholeCharacters));
  const document = new Document(plain, {
    version: '1.1',
    aliasDuplicateObjects: false,
    customTags: (tags) => [escapingText, ...tags.filter((tag) => typeof tag !== 'object' || !replaced.has(tag.tag))],
  });
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
  return document.toString({
    lineWidth: 0,
    // A text in double quotes stays on its line: what breaks into lines there cannot be read.
    doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER,
    flowCollectionPadding: false,
    directives: false,
  });
}

const widestList = 70;

const textTag = 'tag:yaml.org,2002:str';

/** The writer leaves `<<` without quotes, as if it were a merge key. */
const replaced: ReadonlySet<string> = new Set([textTag, 'tag:yaml.org,2002:merge']);

/** As the writer has it, but for characters that only survive as escapes: it knows those of JSON only. */
const escapingText: ScalarTag = {
  identify: (value) => typeof value === 'string',
  default: true,
  tag: textTag,
  resolve: (text: string) => text,
  stringify(item, context, onComment, onChompKeep) {
    const text = String(item.value);
    if (needsEscapes.test(text)) return JSON.stringify(text).replace(escapedBeyondJson, escapeSequence);
    return stringifyString(item as Scalar, { ...context, actualString: true }, onComment, onChompKeep);
  },
};

function escapeSequence(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** What YAML 1.1, YAML 1.2 and go-yaml do not all read as the same text. The writer knows YAML 1.1 only. */
function isAmbiguous(text: string): boolean {
  return (
    !isPlainText(text) ||
    /^(?:[-+.\d][-+.\d_:,eExXoObB]*|[-+]?0[obx][\da-f_]+|[-+]?\.(?:inf|nan)|=|<<)$/i.test(text) ||
    needsEscapes.test(text) ||
    /^\s|\s$/.test(text)
  );
}

// Characters that YAML 1.1 refuses raw or breaks lines at, and others that readers take away: tabs, byte order marks.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const needsEscapes = /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/;
const escapedBeyondJson = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** Goes through all keys and values that JSON is made of. */
function wholeCharacters(key: string, value: unknown): unknown {
  refuseHalves('the key', key, key);
  if (typeof value === 'string') refuseHalves('the text of', key, value);
  return value;
}

/** The text itself may be a secret, and is not in the message. */
function refuseHalves(what: string, key: string, text: string): void {
  const half = /\p{Cs}/u.exec(text)?.[0];
  if (half === undefined) return;
  const shown = `\\u${half.charCodeAt(0).toString(16)}`;
  const message = `${what} ${JSON.stringify(key.slice(0, 100))} has ${shown}, half of a surrogate pair, which is no character: replace it`;
  throw new InvalidArgumentError('manifests', message);
}
