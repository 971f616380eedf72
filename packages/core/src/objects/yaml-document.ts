import { parseJsonValues } from './json-nodes.ts';
import { type StreamPart, streamParts } from './manifest-stream.ts';
import { unwritableCharacter, YamlSyntaxError } from './yaml-cursor.ts';
import { deepestYaml, parseYaml, TooDeepError, type YamlMapping, type YamlNode } from './yaml-nodes.ts';
import { isMergeKey, keyText, scalarValue } from './yaml-values.ts';

/** One step into an object: the name of a field, or a place in a list. */
export type PathStep = string | number;

/** What is wrong with the text itself, before anything is known of the object it describes. */
export interface YamlProblem {
  /** Which rule the text breaks. */
  readonly code:
    | 'yaml-syntax'
    | 'yaml-too-long'
    | 'yaml-too-deep'
    | 'yaml-aliases'
    | 'yaml-key'
    | 'yaml-duplicate-key'
    | 'yaml-not-read';
  /** What is wrong, for people. */
  readonly message: string;
  /** Counted from 1. */
  readonly line: number;
  /** Where in the document; empty for the document as a whole. */
  readonly path: readonly PathStep[];
}

/** One document of a YAML stream, as the JSON that the API server would be sent, and where each part of it stands. */
export interface YamlDocument {
  /** Plain objects, arrays, strings, numbers, booleans and null. Undefined where the document could not be read. */
  readonly value: unknown;
  /** Line on which the document's content begins, counted from 1. */
  readonly line: number;
  /** Why it could not be read. */
  readonly problems: readonly YamlProblem[];
  /** What kubectl takes without a word, and what the writer of the text will not have meant. */
  readonly warnings: readonly YamlProblem[];
  /** The line of the field or list entry at `path`, or of the nearest one above it that the text has. */
  lineOf(path: readonly PathStep[]): number;
}

/** Longest text that is read, in UTF-16 units. The API server takes no longer body either (3 MiB). */
export const longestYaml = 3 * 1024 * 1024;

/**
 * Reads a text of manifests as kubectl does. A text that begins with `{` is JSON, one value after another. Any other is
 * YAML 1.1: `yes` and `on` are booleans, `0777` and `0o777` are octal, dates are strings, `---` begins a line of its own.
 * Of a key that comes twice the last one counts, text behind `...` is not read: both are `warnings`. Documents without
 * content are left out. Never throws.
 *
 * Stricter than kubectl, on purpose: 3 MiB, 128 levels, aliases that unfold to ten times the text; of a text that begins
 * with `{` and is no JSON, kubectl's verdict depends on its version, and it is refused; halves of surrogate pairs are
 * refused wherever they stand.
 *
 * @param format - `yaml` for the body of a request: the API server divides it nowhere, and reads its first document as YAML also
 * if it begins with `{`
 *
 * Source: `sigs.k8s.io/yaml` and `k8s.io/apimachinery/pkg/util/yaml`, which kubectl reads manifests with. `test/contract`
 * has what the real kubectl says.
 */
export function readYaml(text: string, format: 'manifests' | 'yaml' = 'manifests'): YamlDocument[] {
  if (text.length > longestYaml) {
    const message = `the text has more than ${longestYaml} characters: the API server reads no body longer than 3 MiB`;
    return [unreadable({ code: 'yaml-too-long', message, line: 1, path: [] })];
  }
  const budget = new Budget(text.length);
  const read: YamlDocument[] = [];
  let failed = 0;
  for (const part of streamParts(text, format)) {
    const lines = new Lines(part);
    try {
      for (const { root, notRead } of rootsOf(part)) {
        const document = new Conversion(lines, budget).document(root, notRead);
        if (document.value !== null) read.push(document);
        if (document.problems.length > 0) failed += 1;
      }
    } catch (error) {
      read.push(unreadable(problemOf(error, lines)));
      failed += 1;
      // What is nested too deeply is no manifest, and neither is what follows it.
      if (error instanceof TooDeepError) break;
    }
    if (failed >= problemsShown) break;
  }
  return read;
}

const problemsShown = 10;

/** The values of a part, and where the text begins that kubectl passes over. */
function* rootsOf(part: StreamPart): Generator<{ root: YamlNode; notRead?: number | undefined }> {
  const { kind, text } = part;
  switch (kind) {
    case 'json':
      refuseCharacters(text, /\p{Cs}/u);
      for (const root of parseJsonValues(text)) yield { root };
      return;
    case 'yaml': {
      refuseCharacters(text, unwritableCharacter);
      const { root, restOffset } = parseYaml(text);
      if (root !== undefined) yield { root, notRead: restOffset };
      return;
    }
    case 'bad-separator':
      throw new YamlSyntaxError('behind --- stands nothing but a comment: begin the document on the next line', 0);
  }
}

function refuseCharacters(text: string, refused: RegExp): void {
  const offset = text.search(refused);
  if (offset < 0) return;
  const character = text.codePointAt(offset)?.toString(16).toUpperCase().padStart(4, '0');
  const message = `U+${character} stands in the text as it is: in double quotes, write it as an escape`;
  throw new YamlSyntaxError(message, offset);
}

function problemOf(error: unknown, lines: Lines): YamlProblem {
  if (error instanceof TooDeepError) {
    const message = `nested more than ${deepestYaml} levels deep`;
    return { code: 'yaml-too-deep', message, line: lines.at(error.offset), path: [] };
  }
  if (error instanceof YamlSyntaxError) {
    return { code: error.code, message: error.message, line: lines.at(error.offset), path: [] };
  }
  const message = `cannot be read: ${String(error).slice(0, 200)}`;
  return { code: 'yaml-syntax', message, line: lines.at(0), path: [] };
}

/** The lines of a part of the text, as an editor counts them. */
class Lines {
  readonly #first: number;
  readonly #ends: number[] = [];

  constructor({ text, line }: StreamPart) {
    this.#first = line;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#ends.push(at);
  }

  at(offset: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ends[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return this.#first + low;
  }
}

function unreadable(problem: YamlProblem): YamlDocument {
  const { line } = problem;
  return { value: undefined, line, problems: [problem], warnings: [], lineOf: () => line };
}

/** Where a value stands, and where its parts do. */
interface Place {
  readonly line: number;
  readonly parts?: ReadonlyMap<PathStep, Place>;
}

/** Aliases may name a part many times over; what comes out must stay in proportion to the text. */
class Budget {
  #left: number;

  constructor(length: number) {
    this.#left = 10 * length + 10_000;
  }

  spend(amount: number): boolean {
    this.#left -= amount;
    return this.#left >= 0;
  }
}

/** What kubectl counts of a document, to see whether it is made of aliases for the most part. */
class AliasShare {
  #values = 1;
  #fromAliases = 0;

  /** Whether kubectl still reads it. */
  count(insideAlias: boolean): boolean {
    this.#values += 1;
    if (insideAlias) this.#fromAliases += 1;
    return this.#fromAliases <= 100 || this.#values <= 1000 || this.#fromAliases / this.#values <= this.#allowed();
  }

  /** 99 % up to 400,000 values, and then less and less: 10 % from 4,000,000. */
  #allowed(): number {
    const share = (this.#values - 400_000) / 3_600_000;
    return 0.99 - 0.89 * Math.min(Math.max(share, 0), 1);
  }
}

interface Converted {
  readonly value: unknown;
  readonly place: Place;
}

/** A map that is being filled. */
interface Filled {
  readonly value: Record<string, unknown>;
  readonly parts: Map<PathStep, Place>;
}

class Conversion {
  readonly #lines: Lines;
  readonly #budget: Budget;
  readonly #share = new AliasShare();
  readonly #warnings: YamlProblem[] = [];
  /** Maps with a key that JSON does not have, and what is wrong with it. */
  readonly #withoutKey = new Map<unknown, YamlSyntaxError>();
  /** What is wrong with the first number that JSON does not have. */
  #noNumber: YamlSyntaxError | undefined;
  /** What the conversion stands in: an alias to one of these would unfold for ever. */
  readonly #open = new Set<YamlNode>();
  #aliasDepth = 0;
  /** The steps to where the conversion is now; only read when something is reported. */
  readonly #path: PathStep[] = [];

  constructor(lines: Lines, budget: Budget) {
    this.#lines = lines;
    this.#budget = budget;
  }

  document(root: YamlNode, notRead: number | undefined): YamlDocument {
    const line = this.#lines.at(root.offset);
    try {
      const { value, place } = this.#convert(root, line);
      if (this.#noNumber !== undefined || this.#withoutKey.size > 0) this.#refuseWhatJsonLacks(value);
      if (notRead !== undefined) {
        const message = 'kubectl does not read the text from here on: begin a document with --- on a line of its own';
        this.#warnings.push({ code: 'yaml-not-read', message, line: this.#lines.at(notRead), path: [] });
      }
      return { value, line, problems: [], warnings: this.#warnings, lineOf: (path) => lineOf(place, path) };
    } catch (error) {
      return unreadable({ ...problemOf(error, this.#lines), path: [...this.#path] });
    }
  }

  #convert(node: YamlNode, line: number): Converted {
    this.#enter(node);
    switch (node.kind) {
      case 'literal':
        this.#spendText(node, node.value);
        // JSON has one zero.
        return { value: node.value === 0 ? 0 : node.value, place: { line } };
      case 'scalar': {
        const { value } = scalarValue(node);
        if (typeof value === 'number' && !Number.isFinite(value)) {
          this.#noNumber ??= new YamlSyntaxError('JSON has no such number: quote it', node.offset);
        }
        this.#spendText(node, value);
        return { value: value === 0 ? 0 : value, place: { line } };
      }
      case 'alias':
        return this.#following(node.target, node.offset, () => this.#convert(node.target, line));
      case 'sequence':
        return this.#inside(node, () => this.#sequence(node.items, line));
      case 'mapping':
        return this.#inside(node, () => {
          const filled: Filled = { value: {}, parts: new Map() };
          this.#fill(node, line, filled, new Set());
          return { value: filled.value, place: { line, parts: filled.parts } };
        });
    }
  }

  #enter(node: YamlNode): void {
    // Aliases nest what they name, so that what comes out may be deeper than the text.
    if (this.#path.length > deepestYaml) throw new TooDeepError(node.offset);
    if (!this.#share.count(this.#aliasDepth > 0)) {
      throw new YamlSyntaxError('the document is made of aliases for the most part', node.offset, 'yaml-aliases');
    }
    this.#spend(node, 1);
  }

  #spend(node: YamlNode, amount: number): void {
    if (this.#budget.spend(amount)) return;
    const message = 'the aliases unfold to ten times the text and more';
    throw new YamlSyntaxError(message, node.offset, 'yaml-aliases');
  }

  #spendText(node: YamlNode, value: unknown): void {
    if (typeof value === 'string') this.#spend(node, value.length);
  }

  #following<T>(target: YamlNode, offset: number, read: () => T): T {
    if (this.#open.has(target)) throw new YamlSyntaxError('an alias names what it stands in', offset, 'yaml-aliases');
    this.#aliasDepth += 1;
    const result = read();
    this.#aliasDepth -= 1;
    return result;
  }

  #inside<T>(node: YamlNode, read: () => T): T {
    this.#open.add(node);
    const result = read();
    this.#open.delete(node);
    return result;
  }

  #sequence(items: readonly YamlNode[], line: number): Converted {
    const value: unknown[] = [];
    const parts = new Map<PathStep, Place>();
    for (const [index, item] of items.entries()) {
      this.#path.push(index);
      const converted = this.#convert(item, this.#aliasDepth > 0 ? line : this.#lines.at(item.offset));
      this.#path.pop();
      value.push(converted.value);
      parts.set(index, converted.place);
    }
    return { value, place: { line, parts } };
  }

  /** `own` has the keys so far, for keys that come twice; a map that is merged in has been looked at where it stands. */
  #fill({ entries }: YamlMapping, line: number, into: Filled, own: Set<string> | undefined): void {
    for (const [keyNode, valueNode] of entries) {
      const keyLine = this.#aliasDepth > 0 ? line : this.#lines.at(keyNode.offset);
      if (keyNode.kind === 'scalar' && isMergeKey(keyNode)) {
        this.#merge(valueNode, keyLine, into);
        continue;
      }
      const key = this.#key(keyNode, into);
      this.#path.push(key);
      if (own?.has(key)) {
        const message = `the key ${JSON.stringify(key.slice(0, 100))} comes twice: kubectl takes the last one and says nothing`;
        this.#warnings.push({ code: 'yaml-duplicate-key', message, line: keyLine, path: [...this.#path] });
      }
      own?.add(key);
      const converted = this.#convert(valueNode, keyLine);
      this.#path.pop();
      setOwn(into.value, key, converted.value);
      into.parts.set(key, { ...converted.place, line: keyLine });
    }
  }

  /** `<<: *defaults`, which YAML 1.1 has. For kubectl, keys of the map itself win only if they come after it. */
  #merge(source: YamlNode, line: number, into: Filled): void {
    if (source.kind === 'sequence') {
      // Of several, the first one wins.
      for (const item of source.items.toReversed()) this.#mergeMap(item, line, into);
    } else {
      this.#mergeMap(source, line, into);
    }
  }

  #mergeMap(source: YamlNode, line: number, into: Filled): void {
    const map = source.kind === 'alias' ? source.target : source;
    if (map.kind !== 'mapping') throw new YamlSyntaxError('behind << stands a map, or a list of maps', source.offset);
    this.#enter(source);
    if (source.kind === 'alias') {
      this.#following(map, source.offset, () => {
        this.#enter(map);
        this.#inside(map, () => this.#fill(map, line, into, undefined));
      });
    } else {
      this.#inside(map, () => this.#fill(map, line, into, undefined));
    }
  }

  /** JSON has keys of text only; `80: x` and `true: x` become text as in `sigs.k8s.io/yaml`. */
  #key(node: YamlNode, { value }: Pick<Filled, 'value'>): string {
    this.#enter(node);
    if (node.kind === 'alias') {
      return this.#following(node.target, node.offset, () => this.#key(node.target, { value }));
    }
    let key: string | undefined;
    if (node.kind === 'literal') key = String(node.value);
    else if (node.kind === 'scalar') key = keyText(scalarValue(node));
    if (key === undefined) {
      const message = 'a key must be text: an object of JSON has no other keys';
      const problem = new YamlSyntaxError(message, node.offset, 'yaml-key');
      if (node.kind !== 'scalar') throw problem;
      if (!this.#withoutKey.has(value)) this.#withoutKey.set(value, problem);
      key = node.text;
    }
    this.#spend(node, key.length);
    return key;
  }

  /** Only what is left in the end: under a key that comes once more, it was replaced. */
  #refuseWhatJsonLacks(value: unknown): void {
    if (typeof value === 'number' && !Number.isFinite(value) && this.#noNumber !== undefined) throw this.#noNumber;
    const problem = this.#withoutKey.get(value);
    if (problem !== undefined) throw problem;
    if (typeof value !== 'object' || value === null) return;
    for (const part of Object.values(value)) this.#refuseWhatJsonLacks(part);
  }
}

/** Assignment that also works for a key named `__proto__`. */
function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

function lineOf(place: Place, path: readonly PathStep[]): number {
  let here = place;
  for (const step of path) {
    const next = here.parts?.get(step);
    if (next === undefined) break;
    here = next;
  }
  return here.line;
}
