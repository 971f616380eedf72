/** Says why a text cannot be read, and where. */
export class YamlSyntaxError extends Error {
  /** In UTF-16 units, from the beginning of the text that was read. */
  readonly offset: number;
  readonly code: 'yaml-syntax' | 'yaml-aliases' | 'yaml-key';

  constructor(message: string, offset: number, code: YamlSyntaxError['code'] = 'yaml-syntax') {
    super(message);
    this.offset = offset;
    this.code = code;
  }
}

/** A place in a YAML text, as libyaml counts it: columns and characters in code points, lines at every YAML line break. */
export class YamlCursor {
  readonly text: string;
  /** In UTF-16 units. */
  offset = 0;
  column = 0;
  line = 0;
  /** Characters before this one. */
  index = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** The UTF-16 unit `ahead` units further on; NaN after the end. */
  unit(ahead = 0): number {
    return this.text.charCodeAt(this.offset + ahead);
  }

  /** Skips one character, which must not be a line break. */
  skip(): void {
    this.offset += isHighSurrogate(this.unit()) ? 2 : 1;
    this.column += 1;
    this.index += 1;
  }

  /** Skips one character, and returns it. */
  take(): string {
    const start = this.offset;
    this.skip();
    return this.text.slice(start, this.offset);
  }

  /** Skips one line break, and returns what a scalar keeps of it. */
  takeBreak(): string {
    const first = this.unit();
    const length = first === carriageReturn && this.unit(1) === lineFeed ? 2 : 1;
    this.offset += length;
    this.index += length;
    this.column = 0;
    this.line += 1;
    return first === lineSeparator || first === paragraphSeparator ? String.fromCharCode(first) : '\n';
  }

  skipBlanks(): void {
    while (isBlank(this.unit())) this.skip();
  }

  skipComment(): void {
    if (this.unit() !== 0x23) return;
    while (!isBreakOrEnd(this.unit())) this.skip();
  }

  /** Whether `---` or `...` begins here, as a word of its own at the beginning of a line. */
  atDocumentIndicator(): boolean {
    return this.column === 0 && (this.atTriple(0x2d) || this.atTriple(0x2e));
  }

  atTriple(unit: number): boolean {
    return this.unit() === unit && this.unit(1) === unit && this.unit(2) === unit && isBlankOrEnd(this.unit(3));
  }
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const lineSeparator = 0x2028;
const paragraphSeparator = 0x2029;

export function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

/** YAML 1.1 breaks lines at U+0085, U+2028 and U+2029 too. */
export function isBreak(unit: number): boolean {
  return (
    unit === lineFeed ||
    unit === carriageReturn ||
    unit === 0x85 ||
    unit === lineSeparator ||
    unit === paragraphSeparator
  );
}

export function isBreakOrEnd(unit: number): boolean {
  return isBreak(unit) || Number.isNaN(unit);
}

export function isBlankOrEnd(unit: number): boolean {
  return isBlank(unit) || isBreakOrEnd(unit);
}

/** Whether it may stand in an anchor or in the handle of a tag. */
export function isWordCharacter(unit: number): boolean {
  return (
    (unit >= 0x30 && unit <= 0x39) ||
    (unit >= 0x41 && unit <= 0x5a) ||
    (unit >= 0x61 && unit <= 0x7a) ||
    unit === 0x5f ||
    unit === 0x2d
  );
}

export function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/**
 * Characters that YAML 1.1 refuses everywhere unless they are escaped: control characters but tab and line breaks, U+FFFE, U+FFFF,
 * and halves of surrogate pairs, which no UTF-8 text can hold.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
export const unwritableCharacter = /[\0-\x08\v\f\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|\p{Cs}/u;
