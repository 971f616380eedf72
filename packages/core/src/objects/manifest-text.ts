import { ExternalNameError, InvalidArgumentError, isExternalNameError } from '../errors.ts';
import { checkObject, checkText } from '../input.ts';
import { either, listOf } from '../shape.ts';
import type { KubernetesObject } from './kubernetes.ts';
import { listItems } from './list-items.ts';
import { readYaml, type YamlProblem } from './yaml-document.ts';
import { type JsonValue, writeYaml } from './yaml-writer.ts';

/** A text is not YAML, or not an object of Kubernetes. Code `ERR_EXTERNALNAME_MANIFEST_SYNTAX`. */
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
 * @throws ManifestSyntaxError `ERR_EXTERNALNAME_MANIFEST_SYNTAX` if kubectl refuses the text, or a document is not an
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
        ? [['items'], 'items must be an array of objects, and none of them a List']
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
  return writeYaml(JSON.parse(JSON.stringify(value, wholeCharacters)) as JsonValue);
}

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
  const message = `${what} ${JSON.stringify(key.slice(0, 100))} has ${shown}, half of a surrogate pair, which is not a character: replace it`;
  throw new InvalidArgumentError('manifests', message);
}
