import { YamlSyntaxError } from './yaml-cursor.ts';
import { deepestYaml, TooDeepError, type YamlLiteral, type YamlNode } from './yaml-nodes.ts';

/**
 * Reads JSON values that follow one another, with or without white space between them, and records where their parts
 * are. Half of a surrogate pair becomes U+FFFD, as in Go.
 *
 * @throws YamlSyntaxError, TooDeepError at the first value that is not JSON, after it has yielded the values before it
 */
export function* parseJsonValues(text: string): Generator<YamlNode> {
  const reader = new JsonReader(text);
  while (reader.hasMore()) yield reader.value();
}

class JsonReader {
  readonly #text: string;
  #offset = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  hasMore(): boolean {
    this.#match(whiteSpace);
    return this.#offset < this.#text.length;
  }

  value(): YamlNode {
    const offset = this.#offset;
    switch (this.#text[offset]) {
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
      case '"':
        return { kind: 'literal', value: this.#string(), offset };
      default:
        return this.#word() ?? this.#number();
    }
  }

  #nested(read: () => YamlNode): YamlNode {
    this.#depth += 1;
    if (this.#depth > deepestYaml) throw new TooDeepError(this.#offset);
    const node = read();
    this.#depth -= 1;
    return node;
  }

  #object(): YamlNode {
    const offset = this.#offset;
    const entries: [YamlNode, YamlNode][] = [];
    this.#entries('}', 'a key in double quotes', () => {
      const keyOffset = this.#offset;
      if (this.#text[keyOffset] !== '"') throw this.#expected('a key in double quotes');
      const key: YamlLiteral = { kind: 'literal', value: this.#string(), offset: keyOffset };
      this.#match(whiteSpace);
      if (this.#text[this.#offset] !== ':') throw this.#expected('a colon');
      this.#offset += 1;
      this.#match(whiteSpace);
      entries.push([key, this.value()]);
    });
    return { kind: 'mapping', entries, offset };
  }

  #array(): YamlNode {
    const offset = this.#offset;
    const items: YamlNode[] = [];
    this.#entries(']', 'a value', () => items.push(this.value()));
    return { kind: 'sequence', items, offset };
  }

  #entries(end: string, entry: string, read: () => void): void {
    this.#offset += 1;
    this.#match(whiteSpace);
    if (this.#text[this.#offset] === end) {
      this.#offset += 1;
      return;
    }
    for (;;) {
      if (this.#text[this.#offset] === end) throw this.#expected(`${entry}, because a comma stands before it`);
      read();
      this.#match(whiteSpace);
      const next = this.#text[this.#offset];
      if (next !== ',' && next !== end) throw this.#expected(`a comma or ${end}`);
      this.#offset += 1;
      if (next === end) return;
      this.#match(whiteSpace);
    }
  }

  #string(): string {
    let value = '';
    this.#offset += 1;
    for (;;) {
      value += this.#match(plainText);
      const next = this.#text[this.#offset];
      if (next === '"') break;
      if (next === undefined) throw this.#expected('a closing double quote');
      if (next !== '\\') throw this.#expected('an escape instead of a tab or line break');
      const escaped = this.#match(escapeSequence);
      if (escaped === '') throw this.#expected('a JSON escape');
      value += unescaped(escaped);
    }
    this.#offset += 1;
    return value.replace(/\p{Cs}/gu, '\ufffd');
  }

  #word(): YamlLiteral | undefined {
    const offset = this.#offset;
    const value = words.get(this.#match(wordForm));
    return value === undefined ? undefined : { kind: 'literal', value, offset };
  }

  #number(): YamlLiteral {
    const offset = this.#offset;
    const written = this.#match(numberForm);
    if (written === '') throw this.#expected('a value');
    const value = Number(written);
    if (!Number.isFinite(value)) throw new YamlSyntaxError('a number that 64 bits cannot hold', offset);
    return { kind: 'literal', value, offset };
  }

  #match(form: RegExp): string {
    form.lastIndex = this.#offset;
    const found = form.exec(this.#text)?.[0] ?? '';
    this.#offset += found.length;
    return found;
  }

  #expected(what: string): YamlSyntaxError {
    const codePoint = this.#text.codePointAt(this.#offset);
    const found = codePoint === undefined ? 'the end of the text' : JSON.stringify(String.fromCodePoint(codePoint));
    const rule = 'A text that begins with { is JSON to its end: to write YAML, begin with --- on a line of its own';
    return new YamlSyntaxError(`expected ${what}, got ${found}. ${rule}`, this.#offset);
  }
}

const whiteSpace = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON refuses them raw
const plainText = /[^"\\\0-\x1f]*/y;
const escapeSequence = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;
const wordForm = /(?:true|false|null)/y;
const numberForm = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

const words = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

function unescaped(escaped: string): string {
  const letter = escaped.charAt(1);
  if (letter === 'u') return String.fromCharCode(Number.parseInt(escaped.slice(2), 16));
  return letters.get(letter) ?? letter;
}

const letters = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);
