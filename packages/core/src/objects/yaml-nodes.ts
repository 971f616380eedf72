import { YamlSyntaxError } from './yaml-cursor.ts';
import { YamlScanner, type YamlToken } from './yaml-scanner.ts';

/** A part of a document as it is written, before numbers, booleans and merge keys are recognized. */
export type YamlNode = YamlScalar | YamlLiteral | YamlAlias | YamlSequence | YamlMapping;

interface Written {
  /** Where it begins, in UTF-16 units. */
  readonly offset: number;
}

export interface YamlScalar extends Written {
  readonly kind: 'scalar';
  readonly text: string;
  /** `tag:yaml.org,2002:str` for `!!str`; empty if no tag is written. */
  readonly tag: string;
  /** Whether its spelling decides its type: it has no quotes and no tag. */
  readonly plain: boolean;
}

/** A JSON value, whose type is already known. */
export interface YamlLiteral extends Written {
  readonly kind: 'literal';
  readonly value: string | number | boolean | null;
}

export interface YamlAlias extends Written {
  readonly kind: 'alias';
  readonly name: string;
  readonly target: YamlNode;
}

export interface YamlSequence extends Written {
  readonly kind: 'sequence';
  readonly items: readonly YamlNode[];
}

export interface YamlMapping extends Written {
  readonly kind: 'mapping';
  readonly entries: readonly (readonly [key: YamlNode, value: YamlNode])[];
}

/** One document, and what follows it. */
export interface YamlTree {
  /** Undefined if the text has only comments. */
  readonly root: YamlNode | undefined;
  /** The offset from which the text is not read, after `...` or after the end of the value. Undefined if all is read. */
  readonly restOffset: number | undefined;
}

/**
 * Most levels of nested lists and maps. The largest custom resource definitions have about fifty; kubectl accepts ten
 * thousand.
 */
export const deepestYaml = 128;

/** Thrown if a text nests deeper than {@link deepestYaml}. */
export class TooDeepError extends Error {
  /** The offset of the first level that is too deep, in UTF-16 units. */
  readonly offset: number;

  constructor(offset: number) {
    super('nested too deeply');
    this.offset = offset;
  }
}

/**
 * Reads one document of YAML 1.1, by the rules of go-yaml.
 *
 * @throws YamlSyntaxError, TooDeepError
 */
export function parseYaml(text: string): YamlTree {
  return new YamlParser(text).document();
}

class YamlParser {
  readonly #tokens: YamlScanner;
  readonly #text: string;
  readonly #prefixes = new Map<string, string>();
  readonly #anchors = new Map<string, YamlNode>();
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = new YamlScanner(text);
  }

  document(): YamlTree {
    const declared = this.#directives();
    const first = this.#tokens.peek();
    if (!declared && first.type === 'stream-end') return { root: undefined, restOffset: undefined };
    if (declared || first.type === 'document-start') {
      if (first.type !== 'document-start') {
        const message =
          'a directive must be followed by ---, but kubectl ends the document at ---: remove the directive';
        throw new YamlSyntaxError(message, first.offset);
      }
      this.#tokens.next();
      if (endsContent.has(this.#tokens.peek().type)) return { root: empty(first.offset), restOffset: this.#rest() };
    }
    const root = this.#node('block');
    return { root, restOffset: this.#rest() };
  }

  /** Whether there are any. */
  #directives(): boolean {
    let token = this.#tokens.peek();
    let version: string | undefined;
    let declared = false;
    while (token.type === 'version-directive' || token.type === 'tag-directive') {
      declared = true;
      if (token.type === 'version-directive') {
        if (version !== undefined) throw new YamlSyntaxError('%YAML appears twice', token.offset);
        version = token.version;
        if (version !== '1.1') throw new YamlSyntaxError(`kubectl reads YAML 1.1, not ${version}`, token.offset);
      } else {
        if (this.#prefixes.has(token.handle)) throw new YamlSyntaxError('%TAG declares a handle twice', token.offset);
        this.#prefixes.set(token.handle, token.prefix);
      }
      this.#tokens.next();
      token = this.#tokens.peek();
    }
    if (!this.#prefixes.has('!')) this.#prefixes.set('!', '!');
    if (!this.#prefixes.has('!!')) this.#prefixes.set('!!', 'tag:yaml.org,2002:');
    return declared;
  }

  #rest(): number | undefined {
    const token = this.#tokens.peek();
    if (token.type === 'stream-end') return undefined;
    const offset = token.type === 'document-end' ? token.endOffset : token.offset;
    // It does not matter if comments or another `...` are not read.
    const rest = this.#text.slice(offset).replace(/#.*|^\.\.\.(?=\s|$)/gm, '');
    return /\S/.test(rest) ? offset : undefined;
  }

  #node(place: 'block' | 'block-or-indentless' | 'flow'): YamlNode {
    const first = this.#tokens.peek();
    if (first.type === 'alias') {
      this.#tokens.next();
      const target = this.#anchors.get(first.name);
      if (target === undefined) {
        throw new YamlSyntaxError(`the alias *${first.name.slice(0, 60)} has no anchor`, first.offset, 'yaml-aliases');
      }
      return { kind: 'alias', name: first.name, target, offset: first.offset };
    }
    const { anchor, tag } = this.#properties();
    const token = this.#tokens.peek();
    const { offset } = first;
    switch (token.type) {
      case 'scalar': {
        this.#tokens.next();
        const plain = (tag === '' && token.plain) || tag === '!';
        return this.#anchored(anchor, { kind: 'scalar', text: token.text, tag, plain, offset });
      }
      case 'flow-sequence-start':
        return this.#collection(anchor, offset, (into) => this.#flowSequence(into));
      case 'flow-mapping-start':
        return this.#mapping(anchor, offset, (into) => this.#flowMapping(into));
      case 'block-sequence-start':
        if (place === 'flow') break;
        return this.#collection(anchor, offset, (into) => this.#blockSequence(into));
      case 'block-mapping-start':
        if (place === 'flow') break;
        return this.#mapping(anchor, offset, (into) => this.#blockMapping(into));
      case 'block-entry':
        if (place !== 'block-or-indentless') break;
        return this.#collection(anchor, offset, (into) => this.#indentlessSequence(into));
      default:
    }
    if (anchor === undefined && tag === '') throw new YamlSyntaxError(unexpected(token), token.offset);
    return this.#anchored(anchor, { kind: 'scalar', text: '', tag, plain: tag === '', offset });
  }

  /** An anchor and a tag, in either order. */
  #properties(): { anchor: string | undefined; tag: string } {
    let anchor: string | undefined;
    let tag: string | undefined;
    for (;;) {
      const token = this.#tokens.peek();
      if (token.type === 'anchor' && anchor === undefined) {
        anchor = token.name;
      } else if (token.type === 'tag' && tag === undefined) {
        tag = this.#wholeTag(token);
      } else {
        return { anchor, tag: tag ?? '' };
      }
      this.#tokens.next();
    }
  }

  #wholeTag({ tag: { handle, suffix }, offset }: YamlToken & { type: 'tag' }): string {
    if (handle === '') return suffix;
    const prefix = this.#prefixes.get(handle);
    if (prefix === undefined) throw new YamlSyntaxError(`no %TAG declares ${handle.slice(0, 60)}`, offset);
    return prefix + suffix;
  }

  #anchored<N extends YamlNode>(anchor: string | undefined, node: N): N {
    if (anchor !== undefined) this.#anchors.set(anchor, node);
    return node;
  }

  /** An alias inside a collection may name the collection itself, so the anchor is set before the content is read. */
  #collection(anchor: string | undefined, offset: number, read: (into: YamlNode[]) => void): YamlSequence {
    const items: YamlNode[] = [];
    const node = this.#anchored(anchor, { kind: 'sequence', items, offset } as const);
    this.#nested(offset, () => read(items));
    return node;
  }

  #mapping(anchor: string | undefined, offset: number, read: (into: [YamlNode, YamlNode][]) => void): YamlMapping {
    const entries: [YamlNode, YamlNode][] = [];
    const node = this.#anchored(anchor, { kind: 'mapping', entries, offset } as const);
    this.#nested(offset, () => read(entries));
    return node;
  }

  #nested(offset: number, read: () => void): void {
    this.#depth += 1;
    if (this.#depth > deepestYaml) throw new TooDeepError(offset);
    read();
    this.#depth -= 1;
  }

  #blockSequence(items: YamlNode[]): void {
    this.#tokens.next();
    for (;;) {
      const token = this.#tokens.next();
      if (token.type === 'block-end') return;
      if (token.type !== 'block-entry') throw new YamlSyntaxError(unexpected(token), token.offset);
      const { type } = this.#tokens.peek();
      items.push(type === 'block-entry' || type === 'block-end' ? empty(token.offset) : this.#node('block'));
    }
  }

  /** A list that is the value of a key, with its entries in the column of the key. */
  #indentlessSequence(items: YamlNode[]): void {
    while (this.#tokens.peek().type === 'block-entry') {
      const { offset } = this.#tokens.next();
      items.push(endsIndentlessEntry.has(this.#tokens.peek().type) ? empty(offset) : this.#node('block'));
    }
  }

  #blockMapping(entries: [YamlNode, YamlNode][]): void {
    this.#tokens.next();
    for (;;) {
      const token = this.#tokens.next();
      if (token.type === 'block-end') return;
      if (token.type !== 'key') throw new YamlSyntaxError(unexpected(token), token.offset);
      const key = this.#blockPart(token.offset);
      const next = this.#tokens.peek();
      if (next.type === 'value') this.#tokens.next();
      entries.push([key, next.type === 'value' ? this.#blockPart(next.offset) : empty(next.offset)]);
    }
  }

  #blockPart(offset: number): YamlNode {
    return endsBlockPart.has(this.#tokens.peek().type) ? empty(offset) : this.#node('block-or-indentless');
  }

  #flowSequence(items: YamlNode[]): void {
    this.#tokens.next();
    for (let first = true; ; first = false) {
      if (this.#flowEnds('flow-sequence-end', first)) return;
      const token = this.#tokens.peek();
      items.push(token.type === 'key' ? this.#pairInSequence(token.offset) : this.#node('flow'));
    }
  }

  /** `[a: b]`: a map of one key. */
  #pairInSequence(offset: number): YamlMapping {
    return this.#mapping(undefined, offset, (entries) => {
      this.#tokens.next();
      const token = this.#tokens.peek();
      const isEmpty = token.type === 'value' || token.type === 'flow-entry' || token.type === 'flow-sequence-end';
      // go-yaml skips what stands in the place of the key.
      if (isEmpty) this.#tokens.next();
      const key = isEmpty ? empty(token.offset) : this.#node('flow');
      entries.push([key, this.#flowValue('flow-sequence-end')]);
    });
  }

  #flowMapping(entries: [YamlNode, YamlNode][]): void {
    this.#tokens.next();
    for (let first = true; ; first = false) {
      if (this.#flowEnds('flow-mapping-end', first)) return;
      const token = this.#tokens.peek();
      if (token.type !== 'key') {
        entries.push([this.#node('flow'), empty(this.#tokens.peek().offset)]);
        continue;
      }
      this.#tokens.next();
      const { type, offset } = this.#tokens.peek();
      const isEmpty = type === 'value' || type === 'flow-entry' || type === 'flow-mapping-end';
      const key = isEmpty ? empty(offset) : this.#node('flow');
      entries.push([key, this.#flowValue('flow-mapping-end')]);
    }
  }

  /** Passes over the comma, and over the closing bracket. A comma may stand before the bracket. */
  #flowEnds(end: 'flow-sequence-end' | 'flow-mapping-end', first: boolean): boolean {
    const token = this.#tokens.peek();
    if (token.type !== end && !first) {
      if (token.type !== 'flow-entry') {
        const bracket = end === 'flow-sequence-end' ? ']' : '}';
        throw new YamlSyntaxError(`a comma or ${bracket} is missing before ${descriptions[token.type]}`, token.offset);
      }
      this.#tokens.next();
    }
    if (this.#tokens.peek().type !== end) return false;
    this.#tokens.next();
    return true;
  }

  #flowValue(end: 'flow-sequence-end' | 'flow-mapping-end'): YamlNode {
    const token = this.#tokens.peek();
    if (token.type !== 'value') return empty(token.offset);
    this.#tokens.next();
    const { type } = this.#tokens.peek();
    return type === 'flow-entry' || type === end ? empty(token.offset) : this.#node('flow');
  }
}

const endsContent: ReadonlySet<YamlToken['type']> = new Set([
  'version-directive',
  'tag-directive',
  'document-start',
  'document-end',
  'stream-end',
] as const);

const endsBlockPart: ReadonlySet<YamlToken['type']> = new Set(['key', 'value', 'block-end'] as const);

const endsIndentlessEntry: ReadonlySet<YamlToken['type']> = new Set([
  'block-entry',
  'key',
  'value',
  'block-end',
] as const);

function empty(offset: number): YamlScalar {
  return { kind: 'scalar', text: '', tag: '', plain: true, offset };
}

function unexpected({ type }: YamlToken): string {
  return `not expected here: ${descriptions[type]}`;
}

const descriptions: Readonly<Record<YamlToken['type'], string>> = {
  'stream-end': 'the end of the text',
  'version-directive': 'a directive',
  'tag-directive': 'a directive',
  'document-start': '---',
  'document-end': '...',
  alias: 'an alias',
  anchor: 'an anchor',
  tag: 'a tag',
  scalar: 'a text, or a line that is indented differently from the lines before it',
  'block-sequence-start': 'a list that is indented differently from the lines before it',
  'block-mapping-start': 'a key that is indented differently from the lines before it',
  'block-end': 'the end of a block',
  'flow-sequence-start': '[',
  'flow-sequence-end': ']',
  'flow-mapping-start': '{',
  'flow-mapping-end': '}',
  'block-entry': 'an entry of a list',
  'flow-entry': 'a comma',
  key: 'a key',
  value: 'a colon',
};
