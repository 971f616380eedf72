import {
  isBlank,
  isBlankOrEnd,
  isBreak,
  isDigit,
  isWordCharacter,
  YamlCursor,
  YamlSyntaxError,
} from './yaml-cursor.ts';
import { scanBlockScalar, scanPlain, scanQuoted } from './yaml-scalars.ts';
import { scanTag, scanTagHandle, scanTagUri, type WrittenTag } from './yaml-tags.ts';

/** A token of a YAML text. */
export type YamlToken = { readonly offset: number } & (
  | { readonly type: PunctuationType }
  | { readonly type: 'version-directive'; readonly version: string }
  | { readonly type: 'tag-directive'; readonly handle: string; readonly prefix: string }
  | { readonly type: 'document-end'; readonly endOffset: number }
  | { readonly type: 'alias' | 'anchor'; readonly name: string }
  | { readonly type: 'tag'; readonly tag: WrittenTag }
  | { readonly type: 'scalar'; readonly text: string; readonly plain: boolean }
);

type PunctuationType =
  | 'stream-end'
  | 'document-start'
  | 'block-sequence-start'
  | 'block-mapping-start'
  | 'block-end'
  | 'flow-sequence-start'
  | 'flow-sequence-end'
  | 'flow-mapping-start'
  | 'flow-mapping-end'
  | 'block-entry'
  | 'flow-entry'
  | 'key'
  | 'value';

/**
 * Finds the tokens of one document as go-yaml does (the reader behind `sigs.k8s.io/yaml`, a port of libyaml). It is our own
 * scanner because the parsers on npm read YAML 1.2: for one of ten slightly wrong texts, their verdict differs from kubectl's.
 *
 * The difficulty is `key: value`, because only the colon shows that something was a key. Until then, the scanner remembers each
 * token that may begin a key, and holds it back, because a `key` token may have to go in front of it. A key without `?` ends
 * on its line, and within 1024 characters.
 *
 * Source: YAML 1.1, and the behaviour of `go.yaml.in/yaml/v2` 2.4, which the tests compare.
 */
export class YamlScanner {
  readonly #cursor: YamlCursor;
  #queue: YamlToken[] = [];
  /** How many tokens were returned: the number of the first one in the queue. */
  #given = 0;
  /** The column of the innermost block collection; -1 for none. */
  #indent = -1;
  readonly #outerIndents: number[] = [];
  /** Tokens that may turn out to be keys: one for the block context, and one for each level of brackets. */
  readonly #possibleKeys: PossibleKey[] = [noKey];
  /** Where in `#possibleKeys` the token of that number is remembered. */
  readonly #keyLevels = new Map<number, number>();
  #keyAllowed = true;

  constructor(text: string) {
    this.#cursor = new YamlCursor(text);
  }

  /** The next token, without taking it. */
  peek(): YamlToken {
    for (;;) {
      const [token] = this.#queue;
      if (token !== undefined && !this.#mayBecomeKey(this.#given)) return token;
      this.#fetch();
    }
  }

  next(): YamlToken {
    const token = this.peek();
    this.#queue.shift();
    this.#given += 1;
    return token;
  }

  #mayBecomeKey(tokenNumber: number): boolean {
    const level = this.#keyLevels.get(tokenNumber);
    return level !== undefined && this.#isKeyValid(level);
  }

  #fetch(): void {
    const cursor = this.#cursor;
    this.#skipToToken();
    this.#closeBlocks(cursor.column);
    const unit = cursor.unit();
    if (Number.isNaN(unit)) this.#fetchStreamEnd();
    else if (cursor.column === 0 && unit === 0x25) this.#fetchDirective();
    else if (cursor.atDocumentIndicator()) this.#fetchDocumentIndicator();
    else this.#fetchContent(unit);
  }

  #fetchContent(unit: number): void {
    const cursor = this.#cursor;
    const { offset } = cursor;
    const spaced = isBlankOrEnd(cursor.unit(1));
    switch (String.fromCharCode(unit)) {
      case '[':
        this.#fetchFlowStart('flow-sequence-start');
        break;
      case '{':
        this.#fetchFlowStart('flow-mapping-start');
        break;
      case ']':
        this.#fetchFlowEnd('flow-sequence-end');
        break;
      case '}':
        this.#fetchFlowEnd('flow-mapping-end');
        break;
      case ',':
        this.#forgetKey();
        this.#keyAllowed = true;
        this.#punctuate('flow-entry');
        break;
      case '-':
        if (spaced) this.#fetchBlockEntry();
        else this.#fetchPlain();
        break;
      case '?':
        if (spaced || this.#inFlow) this.#fetchKey();
        else this.#fetchPlain();
        break;
      case ':':
        if (spaced || this.#inFlow) this.#fetchValue();
        else this.#fetchPlain();
        break;
      case '*':
        this.#fetchName('alias');
        break;
      case '&':
        this.#fetchName('anchor');
        break;
      case '!':
        this.#rememberKey();
        this.#keyAllowed = false;
        this.#queue.push({ type: 'tag', offset, tag: scanTag(cursor) });
        break;
      case "'":
      case '"':
        this.#rememberKey();
        this.#keyAllowed = false;
        this.#queue.push({ type: 'scalar', offset, text: scanQuoted(cursor), plain: false });
        break;
      case '|':
      case '>':
        if (this.#inFlow) throw nothingBegins(unit, offset);
        this.#fetchBlockScalar();
        break;
      case '#':
      case '%':
      case '@':
      case '`':
      case '\t':
        throw nothingBegins(unit, offset);
      default:
        this.#fetchPlain();
    }
  }

  get #inFlow(): boolean {
    return this.#possibleKeys.length > 1;
  }

  #skipToToken(): void {
    const cursor = this.#cursor;
    for (;;) {
      while (cursor.unit() === 0x20 || (cursor.unit() === 0x09 && (this.#inFlow || !this.#keyAllowed))) cursor.skip();
      cursor.skipComment();
      if (!isBreak(cursor.unit())) return;
      cursor.takeBreak();
      if (!this.#inFlow) this.#keyAllowed = true;
    }
  }

  #fetchStreamEnd(): void {
    this.#closeBlocks(-1);
    this.#forgetKey();
    this.#keyAllowed = false;
    this.#queue.push({ type: 'stream-end', offset: this.#cursor.offset });
  }

  #fetchDirective(): void {
    const cursor = this.#cursor;
    this.#closeBlocks(-1);
    this.#forgetKey();
    this.#keyAllowed = false;
    const { offset } = cursor;
    cursor.skip();
    let name = '';
    while (isWordCharacter(cursor.unit())) name += cursor.take();
    if (name !== 'YAML' && name !== 'TAG') throw new YamlSyntaxError('a directive must be %YAML or %TAG', offset);
    if (!isBlankOrEnd(cursor.unit())) throw new YamlSyntaxError('a space must follow the name of a directive', offset);
    cursor.skipBlanks();
    this.#queue.push(
      name === 'YAML'
        ? { type: 'version-directive', offset, version: this.#version() }
        : { type: 'tag-directive', offset, ...this.#tagDirective() },
    );
    cursor.skipBlanks();
    cursor.skipComment();
    if (!isBlankOrEnd(cursor.unit())) throw new YamlSyntaxError('a directive must end with its line', offset);
  }

  #version(): string {
    return `${this.#versionNumber()}.${this.#versionNumber('.')}`;
  }

  #versionNumber(before = ''): number {
    const cursor = this.#cursor;
    const { offset } = cursor;
    if (before !== '' && cursor.take() !== before)
      throw new YamlSyntaxError('a version must be written like 1.1', offset);
    let digits = '';
    while (isDigit(cursor.unit())) digits += cursor.take();
    if (digits === '' || digits.length > 2) throw new YamlSyntaxError('a version must be written like 1.1', offset);
    return Number(digits);
  }

  #tagDirective(): { handle: string; prefix: string } {
    const cursor = this.#cursor;
    const { offset } = cursor;
    const handle = scanTagHandle(cursor);
    if (handle !== '!' && !(handle.length > 1 && handle.endsWith('!'))) {
      throw new YamlSyntaxError('the handle of a tag must end with !', offset);
    }
    if (!isBlank(cursor.unit())) throw new YamlSyntaxError('a space must follow the handle of a tag', offset);
    cursor.skipBlanks();
    const prefix = scanTagUri(cursor, '');
    if (!isBlankOrEnd(cursor.unit())) throw new YamlSyntaxError('a space must follow the prefix of a tag', offset);
    return { handle, prefix };
  }

  #fetchDocumentIndicator(): void {
    const cursor = this.#cursor;
    this.#closeBlocks(-1);
    this.#forgetKey();
    this.#keyAllowed = false;
    const { offset } = cursor;
    const ends = cursor.unit() === 0x2e;
    for (let character = 0; character < 3; character += 1) cursor.skip();
    this.#queue.push(
      ends ? { type: 'document-end', offset, endOffset: cursor.offset } : { type: 'document-start', offset },
    );
  }

  #fetchFlowStart(type: 'flow-sequence-start' | 'flow-mapping-start'): void {
    this.#rememberKey();
    this.#possibleKeys.push({ ...noKey, tokenNumber: this.#nextNumber });
    this.#keyAllowed = true;
    this.#punctuate(type);
  }

  #fetchFlowEnd(type: 'flow-sequence-end' | 'flow-mapping-end'): void {
    this.#forgetKey();
    if (this.#inFlow) {
      const level = this.#possibleKeys.pop();
      if (level !== undefined) this.#keyLevels.delete(level.tokenNumber);
    }
    this.#keyAllowed = false;
    this.#punctuate(type);
  }

  #fetchBlockEntry(): void {
    if (!this.#inFlow)
      this.#openBlock('block-sequence-start', 'a list must begin on a line of its own, or after - or ?');
    this.#forgetKey();
    this.#keyAllowed = true;
    this.#punctuate('block-entry');
  }

  #fetchKey(): void {
    if (!this.#inFlow) this.#openBlock('block-mapping-start', 'a key must begin a line');
    this.#forgetKey();
    this.#keyAllowed = !this.#inFlow;
    this.#punctuate('key');
  }

  #fetchValue(): void {
    const level = this.#possibleKeys.length - 1;
    const key = this.#possibleKeys[level];
    if (key !== undefined && this.#isKeyValid(level)) {
      const { offset } = key;
      this.#insert({ type: 'key', offset }, key.tokenNumber);
      if (!this.#inFlow && this.#indent < key.column) {
        this.#indentTo(key.column);
        this.#insert({ type: 'block-mapping-start', offset }, key.tokenNumber);
      }
      this.#possibleKeys[level] = { ...key, possible: false };
      this.#keyLevels.delete(key.tokenNumber);
      this.#keyAllowed = false;
    } else {
      if (!this.#inFlow) this.#openBlock('block-mapping-start', 'a second "key: value" on one line: quote the text');
      this.#keyAllowed = !this.#inFlow;
    }
    this.#punctuate('value');
  }

  #fetchName(type: 'alias' | 'anchor'): void {
    const cursor = this.#cursor;
    this.#rememberKey();
    this.#keyAllowed = false;
    const { offset } = cursor;
    cursor.skip();
    let name = '';
    while (isWordCharacter(cursor.unit())) name += cursor.take();
    const after = cursor.unit();
    if (name === '' || !(isBlankOrEnd(after) || '?:,]}%@`'.includes(String.fromCharCode(after)))) {
      throw new YamlSyntaxError(`the name of an ${type} may contain only letters, digits, - and _`, offset);
    }
    this.#queue.push({ type, offset, name });
  }

  #fetchBlockScalar(): void {
    this.#forgetKey();
    this.#keyAllowed = true;
    const { offset } = this.#cursor;
    this.#queue.push({ type: 'scalar', offset, text: scanBlockScalar(this.#cursor, this.#indent), plain: false });
  }

  #fetchPlain(): void {
    this.#rememberKey();
    this.#keyAllowed = false;
    const { offset } = this.#cursor;
    const { text, endsLine } = scanPlain(this.#cursor, this.#indent, this.#inFlow);
    this.#queue.push({ type: 'scalar', offset, text, plain: true });
    if (endsLine) this.#keyAllowed = true;
  }

  /** A token of one character. */
  #punctuate(type: PunctuationType): void {
    this.#queue.push({ type, offset: this.#cursor.offset });
    this.#cursor.skip();
  }

  /** The number of the next token that will be pushed. */
  get #nextNumber(): number {
    return this.#given + this.#queue.length;
  }

  #insert(token: YamlToken, tokenNumber: number): void {
    const position = tokenNumber - this.#given;
    if (position < 0) this.#queue.push(token);
    else this.#queue.splice(position, 0, token);
  }

  #openBlock(type: 'block-sequence-start' | 'block-mapping-start', otherwise: string): void {
    const { column, offset } = this.#cursor;
    if (!this.#keyAllowed) throw new YamlSyntaxError(otherwise, offset);
    if (this.#indent >= column) return;
    this.#indentTo(column);
    this.#queue.push({ type, offset });
  }

  #indentTo(column: number): void {
    this.#outerIndents.push(this.#indent);
    this.#indent = column;
  }

  #closeBlocks(column: number): void {
    if (this.#inFlow) return;
    while (this.#indent > column) {
      this.#queue.push({ type: 'block-end', offset: this.#cursor.offset });
      this.#indent = this.#outerIndents.pop() ?? -1;
    }
  }

  #rememberKey(): void {
    if (!this.#keyAllowed) return;
    const { offset, column, line, index } = this.#cursor;
    this.#forgetKey();
    const level = this.#possibleKeys.length - 1;
    const required = !this.#inFlow && this.#indent === column;
    const tokenNumber = this.#nextNumber;
    this.#possibleKeys[level] = { possible: true, required, tokenNumber, offset, column, line, index };
    this.#keyLevels.set(tokenNumber, level);
  }

  #forgetKey(): void {
    const level = this.#possibleKeys.length - 1;
    const key = this.#possibleKeys[level];
    if (!key?.possible) return;
    if (key.required) throw withoutColon(key);
    this.#possibleKeys[level] = { ...key, possible: false };
    this.#keyLevels.delete(key.tokenNumber);
  }

  #isKeyValid(level: number): boolean {
    const key = this.#possibleKeys[level];
    if (!key?.possible) return false;
    const { line, index } = this.#cursor;
    if (key.line === line && key.index + longestKey >= index) return true;
    if (key.required) throw withoutColon(key);
    this.#possibleKeys[level] = { ...key, possible: false };
    return false;
  }
}

interface PossibleKey {
  readonly possible: boolean;
  /** Only a key can stand in the column of a block mapping. */
  readonly required: boolean;
  readonly tokenNumber: number;
  readonly offset: number;
  readonly column: number;
  readonly line: number;
  readonly index: number;
}

const noKey: PossibleKey = {
  possible: false,
  required: false,
  tokenNumber: 0,
  offset: 0,
  column: 0,
  line: 0,
  index: 0,
};

/** In characters. */
const longestKey = 1024;

function nothingBegins(unit: number, offset: number): YamlSyntaxError {
  const what = unit === 0x09 ? 'a tab' : String.fromCharCode(unit);
  return new YamlSyntaxError(`a value cannot begin with ${what}: quote the text, or indent with spaces`, offset);
}

function withoutColon({ offset }: PossibleKey): YamlSyntaxError {
  return new YamlSyntaxError('a key has no ": " after it, or a line is indented too little', offset);
}
