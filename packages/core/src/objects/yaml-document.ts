import { parseJsonValues } from './json-nodes.ts';
import { type StreamPart, streamParts } from './manifest-stream.ts';
import { unwritableCharacter, YamlSyntaxError } from './yaml-cursor.ts';
import { deepestYaml, parseYaml, TooDeepError, type YamlMapping, type YamlNode } from './yaml-nodes.ts';
import { isMergeKey, keyText, scalarValue } from './yaml-values.ts';

/** One step into an object: the name of a field, or a place in a list. */
export type PathStep = string | number;

/** A problem of the text itself, whatever object it describes. */
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
  /** The place in the document; empty for the document as a whole. */
  readonly path: readonly PathStep[];
}

/** One document of a YAML stream: the JSON that kubectl would send to the API server, and the line of each part. */
export interface YamlDocument {
  /** Plain objects, arrays, strings, numbers, booleans and null. Undefined if the document could not be read. */
  readonly value: unknown;
  /** Line on which the document's content begins, counted from 1. */
  readonly line: number;
  /** Why it could not be read. */
  readonly problems: readonly YamlProblem[];
  /** What kubectl accepts silently, although the author probably did not mean it. */
  readonly warnings: readonly YamlProblem[];
  /** The line of the field or list entry at `path`, or of the nearest one above it that the text has. */
  lineOf(path: readonly PathStep[]): number;
}

/** Longest text that is read, in UTF-16 units. The API server refuses a longer body, too (3 MiB). */
export const longestYaml = 3 * 1024 * 1024;

/**
 * Reads a text of manifests as kubectl does. A text that begins with `{` is JSON, one value after another. Any other text is
 * YAML 1.1: `yes` and `on` are booleans, `0777` and `0o777` are octal, dates are strings, `---` begins a line of its own.
 * If a key appears twice, the last one counts; text after `...` is not read. Both are `warnings`. Documents without content
 * are left out. The function never throws.
 *
 * It is stricter than kubectl on purpose. A text may have 3 MiB and 128 levels, and its aliases may expand to ten times the
 * text. A text that begins with `{` and is not JSON is refused, because kubectl's verdict depends on its version. Halves of
 * surrogate pairs are refused everywhere.
 *
 * @param format - `yaml` for the body of a request: the API server does not split it, and reads its first document as YAML even
 * if it begins with `{`
 *
 * Source: `sigs.k8s.io/yaml` and `k8s.io/apimachinery/pkg/util/yaml`, with which kubectl reads manifests. `test/contract`
 * compares the results with the real kubectl.
 */
export function readYaml(text: string, format: 'manifests' | 'yaml' = 'manifests'): YamlDocument[] {
  if (text.length > longestYaml) {
    const message = `the text has more than ${longestYaml} characters: the API server refuses a body of more than 3 MiB`;
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
      // A text that is nested too deeply is not a manifest, and neither is what follows it.
      if (error instanceof TooDeepError) break;
    }
    if (failed >= problemsShown) break;
  }
  return read;
}

const problemsShown = 10;

/** The values of a part, and the offset from which kubectl ignores the text. */
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
      throw new YamlSyntaxError('only a comment may follow --- on its line: begin the document on the next line', 0);
  }
}

function refuseCharacters(text: string, refused: RegExp): void {
  const offset = text.search(refused);
  if (offset < 0) return;
  const character = text.codePointAt(offset)?.toString(16).toUpperCase().padStart(4, '0');
  const message = `U+${character} must not stand in the text as it is: write it as an escape, in double quotes`;
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

/** The line of a value, and the places of its parts. */
interface Place {
  readonly line: number;
  readonly parts?: ReadonlyMap<PathStep, Place>;
}

/** Aliases may repeat a part many times, but the result must stay in proportion to the text. */
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

/** Counts as kubectl does to find out whether most of a document comes from aliases. */
class AliasShare {
  #values = 1;
  #fromAliases = 0;

  /** Whether kubectl still reads it. */
  count(insideAlias: boolean): boolean {
    this.#values += 1;
    if (insideAlias) this.#fromAliases += 1;
    return this.#fromAliases <= 100 || this.#values <= 1000 || this.#fromAliases / this.#values <= this.#allowed();
  }

  /** 99 % up to 400,000 values, then falling to 10 % at 4,000,000. */
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
  /** Maps with a key that JSON cannot have, and the error about it. */
  readonly #withoutKey = new Map<unknown, YamlSyntaxError>();
  /** The error about the first number that JSON cannot have. */
  #noNumber: YamlSyntaxError | undefined;
  /** The lists and maps that are being converted: an alias to one of these would expand forever. */
  readonly #open = new Set<YamlNode>();
  #aliasDepth = 0;
  /** The path of the value that is being converted; only read when something is reported. */
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
    // Aliases insert what they name, so the result may be deeper than the text.
    if (this.#path.length > deepestYaml) throw new TooDeepError(node.offset);
    if (!this.#share.count(this.#aliasDepth > 0)) {
      throw new YamlSyntaxError('most of the document comes from aliases', node.offset, 'yaml-aliases');
    }
    this.#spend(node, 1);
  }

  #spend(node: YamlNode, amount: number): void {
    if (this.#budget.spend(amount)) return;
    const message = 'the aliases expand to more than ten times the text';
    throw new YamlSyntaxError(message, node.offset, 'yaml-aliases');
  }

  #spendText(node: YamlNode, value: unknown): void {
    if (typeof value === 'string') this.#spend(node, value.length);
  }

  #following<T>(target: YamlNode, offset: number, read: () => T): T {
    if (this.#open.has(target))
      throw new YamlSyntaxError('an alias refers to the list or map that contains it', offset, 'yaml-aliases');
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

  /** `own` has the keys so far, to find duplicates. It is undefined for a merged map, which was checked in its own place. */
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
        const message = `the key ${JSON.stringify(key.slice(0, 100))} appears twice: kubectl silently takes the last one`;
        this.#warnings.push({ code: 'yaml-duplicate-key', message, line: keyLine, path: [...this.#path] });
      }
      own?.add(key);
      const converted = this.#convert(valueNode, keyLine);
      this.#path.pop();
      setOwn(into.value, key, converted.value);
      into.parts.set(key, { ...converted.place, line: keyLine });
    }
  }

  /** The merge key of YAML 1.1, `<<: *defaults`. In kubectl, keys of the map itself win only if they come after it. */
  #merge(source: YamlNode, line: number, into: Filled): void {
    if (source.kind === 'sequence') {
      // If there are several maps, the first one wins.
      for (const item of source.items.toReversed()) this.#mergeMap(item, line, into);
    } else {
      this.#mergeMap(source, line, into);
    }
  }

  #mergeMap(source: YamlNode, line: number, into: Filled): void {
    const map = source.kind === 'alias' ? source.target : source;
    if (map.kind !== 'mapping')
      throw new YamlSyntaxError('the value of << must be a map, or a list of maps', source.offset);
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

  /** JSON keys are always text. `80: x` and `true: x` become text as in `sigs.k8s.io/yaml`. */
  #key(node: YamlNode, { value }: Pick<Filled, 'value'>): string {
    this.#enter(node);
    if (node.kind === 'alias') {
      return this.#following(node.target, node.offset, () => this.#key(node.target, { value }));
    }
    let key: string | undefined;
    if (node.kind === 'literal') key = String(node.value);
    else if (node.kind === 'scalar') key = keyText(scalarValue(node));
    if (key === undefined) {
      const message = 'a key must be text: a JSON object has no other keys';
      const problem = new YamlSyntaxError(message, node.offset, 'yaml-key');
      if (node.kind !== 'scalar') throw problem;
      if (!this.#withoutKey.has(value)) this.#withoutKey.set(value, problem);
      key = node.text;
    }
    this.#spend(node, key.length);
    return key;
  }

  /** Refuses only what is left in the end, because a duplicate key may have replaced it. */
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
