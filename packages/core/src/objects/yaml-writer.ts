import { isPlainText } from './yaml-values.ts';

/** What JSON is made of. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * Writes a value in block style, two spaces a level, a list of short values on one line. Every text that YAML 1.1, YAML 1.2 or
 * go-yaml could read as something else is in double quotes, where JSON's escapes hold (YAML 1.2.2, section 5.7).
 */
export function writeYaml(value: JsonValue): string {
  return `${linesOf(value).join('\n')}\n`;
}

function linesOf(value: JsonValue): string[] {
  if (typeof value === 'string') return textLines(value);
  if (value === null || typeof value !== 'object') return [String(value)];
  if (isList(value)) return listLines(value);
  const fields = Object.entries(value);
  return fields.length === 0 ? ['{}'] : fields.flatMap(([key, field]) => fieldLines(key, field));
}

function fieldLines(key: string, value: JsonValue): string[] {
  const name = needsQuotes(key) || key.includes('\n') ? quoted(key) : key;
  if (name.length > longestSimpleKey) return [`? ${name}`, ...hang(':', value)];
  const lines = linesOf(value);
  return isBlock(value) ? [`${name}:`, ...lines.map(indented)] : hangLines(`${name}:`, lines);
}

function listLines(list: readonly JsonValue[]): string[] {
  return fitsOnOneLine(list) ? [`[${list.map(inline).join(', ')}]`] : list.flatMap((item) => hang('-', item));
}

/** The first line stands behind the mark, and the others below it. */
function hang(mark: string, value: JsonValue): string[] {
  return hangLines(mark, linesOf(value));
}

function hangLines(mark: string, [first, ...rest]: string[]): string[] {
  return [`${mark} ${first}`, ...rest.map(indented)];
}

function indented(line: string): string {
  return line === '' ? '' : `  ${line}`;
}

function isBlock(value: JsonValue): boolean {
  if (value === null || typeof value !== 'object') return false;
  return isList(value) ? !fitsOnOneLine(value) : Object.keys(value).length > 0;
}

function fitsOnOneLine(list: readonly JsonValue[]): boolean {
  if (list.some((item) => (item !== null && typeof item === 'object') || String(item).includes('\n'))) return false;
  return list.length === 0 || list.join('", "').length <= widestList;
}

// `Array.isArray` knows mutable arrays only.
function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function inline(value: JsonValue): string {
  return typeof value === 'string' ? quoted(value) : String(value);
}

function textLines(text: string): string[] {
  if (needsQuotes(text)) return [quoted(text)];
  return text.includes('\n') ? ['|-', ...text.split('\n')] : [text];
}

function quoted(text: string): string {
  return JSON.stringify(text).replace(escapedBeyondJson, escapeSequence);
}

function escapeSequence(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Whether a text means something else without quotes. Several lines need none in a block scalar. */
function needsQuotes(text: string): boolean {
  if (/^\s|\s$/.test(text) || needsEscapes.test(text)) return true;
  return !text.includes('\n') && (!isPlainText(text) || looksLikeNumber.test(text) || hasIndicator.test(text));
}

const widestList = 70;

/**
 * A key on the line of its value may have 1024 characters (YAML 1.2.2, section 7.4.2). Readers count them differently, so a
 * key gets its `?` well before.
 */
const longestSimpleKey = 500;

// go-yaml and YAML 1.2 read some of these as numbers, some as texts; YAML 1.1 reads dates.
const looksLikeNumber =
  /^(?:e[-+]?\d+|[-+.\d][-+.\d_:,eExXoObB]*|[-+]?0[obx][\da-f_]+|[-+]?\.(?:inf|nan)|\d{4}-\d\d?-\d\d?.*|=|<<)$/i;

// Indicators (YAML 1.2.2, section 5.3) at the head of a text, marks of documents, and what ends a plain text.
const hasIndicator = /^(?:[,[\]{}#&*!|>'"%@`]|[-?:](?:\s|$)|---|\.\.\.)|:(?:\s|$)|\s#/;

// Characters that YAML 1.1 refuses raw or breaks lines at, and others that readers take away: tabs, byte order marks.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const needsEscapes = /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/;
const escapedBeyondJson = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;
