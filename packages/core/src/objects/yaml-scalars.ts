import {
  isBlank,
  isBlankOrEnd,
  isBreak,
  isBreakOrEnd,
  isDigit,
  type YamlCursor,
  YamlSyntaxError,
} from './yaml-cursor.ts';

/** Reads a quoted text, from the opening quote to after the closing one. */
export function scanQuoted(cursor: YamlCursor): string {
  const start = cursor.offset;
  const quote = cursor.unit();
  cursor.skip();
  let text = '';
  for (;;) {
    if (cursor.atDocumentIndicator()) throw new YamlSyntaxError('a document ends inside a quoted text', cursor.offset);
    if (Number.isNaN(cursor.unit())) throw new YamlSyntaxError('a quoted text has no closing quote', start);
    let folded = false;
    while (!isBlankOrEnd(cursor.unit())) {
      const unit = cursor.unit();
      if (unit === quote) {
        if (quote !== singleQuote || cursor.unit(1) !== singleQuote) break;
        cursor.skip();
        cursor.skip();
        text += "'";
      } else if (quote === doubleQuote && unit === backslash) {
        if (isBreak(cursor.unit(1))) {
          cursor.skip();
          cursor.takeBreak();
          folded = true;
          break;
        }
        text += takeEscape(cursor);
      } else {
        text += cursor.take();
      }
    }
    if (cursor.unit() === quote) break;
    text += takeSpace(cursor, folded);
  }
  cursor.skip();
  return text;
}

/** Keeps blanks as they are and folds line breaks: a single one becomes a space; of several, the first is left out. */
function takeSpace(cursor: YamlCursor, foldedAlready: boolean): string {
  let blanks = '';
  let firstBreak = '';
  let moreBreaks = '';
  let folded = foldedAlready;
  for (;;) {
    if (isBlank(cursor.unit())) {
      const blank = cursor.take();
      if (!folded) blanks += blank;
    } else if (isBreak(cursor.unit())) {
      const lineBreak = cursor.takeBreak();
      if (folded) moreBreaks += lineBreak;
      else firstBreak = lineBreak;
      folded = true;
    } else {
      break;
    }
  }
  return folded ? foldBreaks(firstBreak, moreBreaks) : blanks;
}

function foldBreaks(first: string, more: string): string {
  if (first !== '\n') return first + more;
  return more === '' ? ' ' : more;
}

const singleQuote = 0x27;
const doubleQuote = 0x22;
const backslash = 0x5c;

function takeEscape(cursor: YamlCursor): string {
  const start = cursor.offset;
  cursor.skip();
  const letter = Number.isNaN(cursor.unit()) ? '' : cursor.take();
  const plain = escapes.get(letter);
  if (plain !== undefined) return plain;
  const digits = hexDigits.get(letter);
  if (digits === undefined) {
    const message = `YAML 1.1 has no escape \\${letter}${letter === '/' ? ': write / without the backslash' : ''}`;
    throw new YamlSyntaxError(message, start);
  }
  const hex = cursor.text.slice(cursor.offset, cursor.offset + digits);
  if (hex.length < digits || !/^[\da-fA-F]+$/.test(hex)) {
    throw new YamlSyntaxError(`\\${letter} needs ${digits} hexadecimal digits`, start);
  }
  const codePoint = Number.parseInt(hex, 16);
  if ((codePoint >= 0xd800 && codePoint <= 0xdfff) || codePoint > 0x10ffff) {
    const message = `\\${letter}${hex} is not a character: write the character itself, or \\U and its eight digits`;
    throw new YamlSyntaxError(message, start);
  }
  for (let digit = 0; digit < digits; digit += 1) cursor.skip();
  return String.fromCodePoint(codePoint);
}

const hexDigits = new Map([
  ['x', 2],
  ['u', 4],
  ['U', 8],
]);

const escapes = new Map([
  ['0', '\0'],
  ['a', '\x07'],
  ['b', '\b'],
  ['t', '\t'],
  ['\t', '\t'],
  ['n', '\n'],
  ['v', '\v'],
  ['f', '\f'],
  ['r', '\r'],
  ['e', '\x1b'],
  [' ', ' '],
  ['"', '"'],
  ["'", "'"],
  ['\\', '\\'],
  ['N', '\x85'],
  ['_', '\xa0'],
  ['L', '\u2028'],
  ['P', '\u2029'],
]);

/** Reads a text after `|` or `>`, whose lines are indented further than `parentIndent`. */
export function scanBlockScalar(cursor: YamlCursor, parentIndent: number): string {
  const literal = cursor.unit() === 0x7c;
  cursor.skip();
  const { chomping, increment } = takeBlockHeader(cursor);
  let indent = increment === 0 ? 0 : Math.max(parentIndent, 0) + increment;
  let text = '';
  let lineBreak = '';
  let firstIsBlank = false;
  let breaks: string;
  [indent, breaks] = takeIndent(cursor, indent, parentIndent);
  while (cursor.column === indent && !Number.isNaN(cursor.unit())) {
    const blank = isBlank(cursor.unit());
    if (!literal && !firstIsBlank && !blank && lineBreak === '\n') {
      if (breaks === '') text += ' ';
    } else {
      text += lineBreak;
    }
    text += breaks;
    firstIsBlank = blank;
    const start = cursor.offset;
    while (!isBreakOrEnd(cursor.unit())) cursor.skip();
    text += cursor.text.slice(start, cursor.offset);
    lineBreak = Number.isNaN(cursor.unit()) ? '' : cursor.takeBreak();
    [indent, breaks] = takeIndent(cursor, indent, parentIndent);
  }
  if (chomping !== '-') text += lineBreak;
  if (chomping === '+') text += breaks;
  return text;
}

/** Reads what follows `|` or `>` on its line. */
function takeBlockHeader(cursor: YamlCursor): { chomping: string; increment: number } {
  const start = cursor.offset;
  let chomping = '';
  let increment = 0;
  for (let part = 0; part < 2; part += 1) {
    const unit = cursor.unit();
    if (chomping === '' && (unit === 0x2b || unit === 0x2d)) {
      chomping = cursor.take();
    } else if (increment === 0 && isDigit(unit)) {
      increment = unit - 0x30;
      if (increment === 0) throw new YamlSyntaxError('an indentation must be 1 to 9 columns, got 0', cursor.offset);
      cursor.skip();
    }
  }
  cursor.skipBlanks();
  cursor.skipComment();
  if (!isBreakOrEnd(cursor.unit())) {
    throw new YamlSyntaxError('only + or -, a digit from 1 to 9, and a comment may follow | and >', start);
  }
  if (!Number.isNaN(cursor.unit())) cursor.takeBreak();
  return { chomping, increment };
}

/** Skips empty lines and the indentation of the next one. If `indent` is 0, the first line decides the indentation. */
function takeIndent(cursor: YamlCursor, indent: number, parentIndent: number): [indent: number, breaks: string] {
  let breaks = '';
  let widest = 0;
  for (;;) {
    while ((indent === 0 || cursor.column < indent) && cursor.unit() === 0x20) cursor.skip();
    widest = Math.max(widest, cursor.column);
    if ((indent === 0 || cursor.column < indent) && cursor.unit() === 0x09) {
      throw new YamlSyntaxError('a tab in the indentation of a text: indent with spaces', cursor.offset);
    }
    if (!isBreak(cursor.unit())) break;
    breaks += cursor.takeBreak();
  }
  return [indent === 0 ? Math.max(widest, parentIndent + 1, 1) : indent, breaks];
}

/** Reads a text without quotes, and tells whether it ended after a line break. */
export function scanPlain(
  cursor: YamlCursor,
  parentIndent: number,
  inFlow: boolean,
): { text: string; endsLine: boolean } {
  let text = '';
  let blanks = '';
  let firstBreak = '';
  let moreBreaks = '';
  let folded = false;
  for (;;) {
    if (cursor.atDocumentIndicator() || cursor.unit() === 0x23) break;
    const start = cursor.offset;
    while (!isBlankOrEnd(cursor.unit()) && !endsPlain(cursor, inFlow)) cursor.skip();
    if (cursor.offset > start) {
      text += folded ? foldBreaks(firstBreak, moreBreaks) : blanks;
      text += cursor.text.slice(start, cursor.offset);
      blanks = firstBreak = moreBreaks = '';
      folded = false;
    }
    if (!isBlank(cursor.unit()) && !isBreak(cursor.unit())) break;
    while (isBlank(cursor.unit()) || isBreak(cursor.unit())) {
      if (isBlank(cursor.unit())) {
        if (folded && cursor.column <= parentIndent && cursor.unit() === 0x09) {
          throw new YamlSyntaxError('a tab in the indentation: indent with spaces', cursor.offset);
        }
        const blank = cursor.take();
        if (!folded) blanks += blank;
      } else {
        const lineBreak = cursor.takeBreak();
        if (folded) moreBreaks += lineBreak;
        else firstBreak = lineBreak;
        folded = true;
      }
    }
    if (!inFlow && cursor.column <= parentIndent) break;
  }
  return { text, endsLine: folded };
}

function endsPlain(cursor: YamlCursor, inFlow: boolean): boolean {
  const unit = cursor.unit();
  if (unit === 0x3a) return isBlankOrEnd(cursor.unit(1));
  return inFlow && (unit === 0x2c || unit === 0x3f || isBracket(unit));
}

function isBracket(unit: number): boolean {
  return unit === 0x5b || unit === 0x5d || unit === 0x7b || unit === 0x7d;
}
