import {
  Composer,
  type CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  type Scalar,
  Schema,
} from 'yaml';

/** One step into an object: the name of a field, or a place in a list. */
export type PathStep = string | number;

/** What is wrong with the text itself, before anything is known of the object it describes. */
export interface YamlProblem {
  readonly code: 'yaml-syntax' | 'yaml-too-long' | 'yaml-too-deep' | 'yaml-aliases' | 'yaml-key' | 'yaml-duplicate-key';
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
  readonly problems: readonly YamlProblem[];
  /** The line of the field or list entry at `path`, or of the nearest one above it that the text has. */
  lineOf(path: readonly PathStep[]): number;
}

/** Longest text that is read, in UTF-16 units. The API server takes no longer body either (3 MiB). */
export const longestYaml = 3 * 1024 * 1024;

/**
 * Reads a YAML stream as kubectl does: YAML 1.1 (`yes` and `on` are booleans, `0777` is octal), dates are strings, a key
 * that comes twice counts once (the last), documents without content are left out. JSON is YAML too. Never throws.
 *
 * Source: `sigs.k8s.io/yaml`, which kubectl reads manifests with.
 */
export function readYaml(text: string): YamlDocument[] {
  if (text.length > longestYaml) {
    const message = `the text has more than ${longestYaml} characters: the API server reads no body longer than 3 MiB`;
    return [unreadable({ code: 'yaml-too-long', message, line: 1, path: [] })];
  }
  const lines = new LineCounter();
  const lineAt = (offset: number) => Math.max(1, lines.linePos(offset).line);
  try {
    const composer = new Composer({
      version: '1.1',
      schema: kubernetesSchema,
      // The parser's own check compares every pair of keys. The conversion below finds them in passing.
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'silent',
    });
    const tokens = untilHopeless(boundedTokens(text, lines));
    const documents = withoutStackTraces(() => [...composer.compose(tokens, false, text.length)]);
    const budget = new Budget(text.length);
    const read: YamlDocument[] = [];
    for (const document of documents) {
      if (document.errors.length > 0) {
        const problems = document.errors.slice(0, problemsShown).map((error): YamlProblem => {
          // The parser puts the text that it does not understand into its message, whole.
          const message = error.message.length > 300 ? `${error.message.slice(0, 300)}...` : error.message;
          return { code: 'yaml-syntax', message, line: lineAt(error.pos[0]), path: [] };
        });
        read.push(unreadable(...problems));
        continue;
      }
      const contents = document.contents as Node | null;
      if (contents === null || (isScalar(contents) && contents.value === null)) continue;
      read.push(new Conversion(lineAt, budget).document(contents));
    }
    return read;
  } catch (error) {
    if (error instanceof TooDeepError) {
      const message = `nested more than ${deepestYaml} levels deep`;
      return [unreadable({ code: 'yaml-too-deep', message, line: lineAt(error.offset), path: [] })];
    }
    const message = `cannot be read: ${String(error).slice(0, 200)}`;
    return [unreadable({ code: 'yaml-syntax', message, line: 1, path: [] })];
  }
}

/**
 * Most levels of lists and maps in each other. The largest custom resource definitions have about fifty.
 *
 * The bound is on tokens, before anything recurses: the composer calls itself for each level, and V8 does not throw but
 * aborts the process if it compiles a regular expression at the end of the stack.
 */
export const deepestYaml = 128;

class TooDeepError extends Error {
  /** Where the first level too many begins, in UTF-16 units. */
  readonly offset: number;

  constructor(offset: number) {
    super('nested too deeply');
    this.offset = offset;
  }
}

/** The tokens of `Parser.parse`, as long as they nest no deeper than is allowed. */
function* boundedTokens(text: string, lines: LineCounter): Generator<CST.Token> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    // The document itself stands on the stack too, and a scalar in the innermost level.
    if (parser.stack.length > deepestYaml + 2) throw new TooDeepError(parser.offset);
  }
  yield* parser.end();
}

/** The composer makes an error for each comma too many, and nine tenths of the time went into stack traces. */
function withoutStackTraces<T>(work: () => T): T {
  const limit = Error.stackTraceLimit;
  // `Reflect.set` does not throw if the process runs with frozen intrinsics.
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    return work();
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit);
  }
}

/** Ends the stream after some errors: a text that is no YAML at all makes one of every character. */
function* untilHopeless(tokens: Iterable<CST.Token>): Generator<CST.Token> {
  let errors = 0;
  for (const token of tokens) {
    yield token;
    if (token.type === 'error') errors += 1;
    if (errors >= problemsShown) return;
  }
}

/** YAML 1.1 as `sigs.k8s.io/yaml` has it. Made once: each document would make one of its own. */
const kubernetesSchema = new Schema({
  schema: 'yaml-1.1',
  resolveKnownTags: false,
  customTags: (tags) => tags.filter((tag) => typeof tag !== 'object' || !isForeign(tag)),
});

/** Dates, and numbers to the base of sixty (`12:30`): text for `sigs.k8s.io/yaml`. */
function isForeign(tag: { tag: string; format?: string | undefined }): boolean {
  return tag.tag === 'tag:yaml.org,2002:timestamp' || tag.format === 'TIME';
}

const problemsShown = 10;

function unreadable(...problems: YamlProblem[]): YamlDocument {
  const line = problems[0]?.line ?? 1;
  return { value: undefined, line, problems, lineOf: () => line };
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

class UnfoldingError extends Error {
  readonly code: YamlProblem['code'];

  constructor(code: YamlProblem['code'], message: string) {
    super(message);
    this.code = code;
  }
}

class Conversion {
  readonly #lineAt: (offset: number) => number;
  readonly #budget: Budget;
  readonly #problems: YamlProblem[] = [];
  /** In document order, so that an alias finds the last anchor of its name before it. */
  readonly #anchors = new Map<string, Node>();
  /** What the conversion stands in: an alias to one of these would unfold for ever. */
  readonly #open = new Set<Node>();
  /** The steps to where the conversion is now; only read when a problem is reported. */
  readonly #path: PathStep[] = [];

  constructor(lineAt: (offset: number) => number, budget: Budget) {
    this.#lineAt = lineAt;
    this.#budget = budget;
  }

  document(contents: Node): YamlDocument {
    const line = this.#line(contents, 1);
    try {
      const { value, place } = this.#convert(contents, line);
      return { value, line, problems: this.#problems, lineOf: (path) => lineOf(place, path) };
    } catch (error) {
      if (!(error instanceof UnfoldingError)) throw error;
      return unreadable({ code: error.code, message: error.message, line, path: [...this.#path] });
    }
  }

  #line(node: Node, otherwise: number): number {
    return node.range ? this.#lineAt(node.range[0]) : otherwise;
  }

  #convert(node: Node | null, line: number): { value: unknown; place: Place } {
    if (node === null) return { value: null, place: { line } };
    // Aliases nest what they name, so that what comes out may be deeper than the text.
    if (this.#path.length > deepestYaml)
      throw new UnfoldingError('yaml-too-deep', `nested more than ${deepestYaml} levels deep`);
    if (!this.#budget.spend(1))
      throw new UnfoldingError('yaml-aliases', 'the aliases unfold to ten times the text and more');
    if (isAlias(node)) return this.#convert(this.#named(node.source), line);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return { value: this.#scalar(node), place: { line } };
    this.#open.add(node);
    const converted = this.#collection(node, line);
    this.#open.delete(node);
    return converted;
  }

  #named(anchor: string): Node {
    const target = this.#anchors.get(anchor);
    if (target === undefined)
      throw new UnfoldingError('yaml-aliases', `no anchor for the alias *${anchor.slice(0, 60)}`);
    if (this.#open.has(target)) throw new UnfoldingError('yaml-aliases', 'an alias names what it stands in');
    return target;
  }

  #collection(node: Node, line: number): { value: unknown; place: Place } {
    const parts = new Map<PathStep, Place>();
    if (isSeq(node)) {
      const value: unknown[] = [];
      for (const [index, item] of node.items.entries()) {
        const entry = item as Node | null;
        this.#path.push(index);
        const converted = this.#convert(entry, entry === null ? line : this.#line(entry, line));
        this.#path.pop();
        value.push(converted.value);
        parts.set(index, converted.place);
      }
      return { value, place: { line, parts } };
    }
    return this.#map(node, line, parts);
  }

  #map(node: Node, line: number, parts: Map<PathStep, Place>): { value: unknown; place: Place } {
    const value: Record<string, unknown> = {};
    if (!isMap(node)) return { value, place: { line, parts } };
    const merged: (Node | null)[] = [];
    for (const pair of node.items) {
      const keyNode = pair.key as Node | null;
      const keyLine = keyNode === null ? line : this.#line(keyNode, line);
      if (isScalar(keyNode) && keyNode.type === 'PLAIN' && keyNode.source === '<<') {
        merged.push(pair.value as Node | null);
        continue;
      }
      const key = this.#key(keyNode, keyLine);
      if (key === undefined) continue;
      if (parts.has(key)) {
        const message = `the key ${JSON.stringify(key.slice(0, 100))} comes twice: the last one counts, and kubectl refuses it`;
        this.#problems.push({ code: 'yaml-duplicate-key', message, line: keyLine, path: [...this.#path, key] });
      }
      this.#path.push(key);
      const converted = this.#convert(pair.value as Node | null, keyLine);
      this.#path.pop();
      setOwn(value, key, converted.value);
      parts.set(key, { ...converted.place, line: keyLine });
    }
    for (const source of merged) this.#merge(source, line, value, parts);
    return { value, place: { line, parts } };
  }

  /** `<<: *defaults`, which YAML 1.1 has: keys of the map itself come before those merged in. */
  #merge(source: Node | null, line: number, value: Record<string, unknown>, parts: Map<PathStep, Place>): void {
    const converted = this.#convert(source, line);
    const maps = Array.isArray(converted.value) ? converted.value : [converted.value];
    for (const map of maps) {
      if (typeof map !== 'object' || map === null) continue;
      for (const [key, part] of Object.entries(map)) {
        if (parts.has(key)) continue;
        setOwn(value, key, part);
        parts.set(key, { line });
      }
    }
  }

  /** JSON has keys of text only; `80: x` and `true: x` become text as in `sigs.k8s.io/yaml`. */
  #key(node: Node | null, line: number): string | undefined {
    const target = isAlias(node) ? this.#named(node.source) : node;
    if (isScalar(node) && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    const scalar = isScalar(target) ? this.#scalar(target) : undefined;
    if (typeof scalar === 'string' || typeof scalar === 'number' || typeof scalar === 'boolean') {
      this.#budget.spend(String(scalar).length);
      return String(scalar);
    }
    const message = 'a key must be text: an object of JSON has no other keys';
    this.#problems.push({ code: 'yaml-key', message, line, path: [...this.#path] });
    return undefined;
  }

  #scalar(node: Scalar): unknown {
    const { value } = node;
    if (typeof value === 'string') {
      if (!this.#budget.spend(value.length)) {
        throw new UnfoldingError('yaml-aliases', 'the aliases unfold to ten times the text and more');
      }
      return value;
    }
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
    // What is left is base64 (`!!binary`), which kubectl passes on as text, and sets and ordered maps, which it refuses.
    return node.source ?? null;
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
