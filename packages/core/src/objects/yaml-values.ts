import { YamlSyntaxError } from './yaml-cursor.ts';
import type { YamlScalar } from './yaml-nodes.ts';

/** What a scalar says: a text, a number, a boolean or null. */
export type ScalarValue =
  | { readonly type: 'text'; readonly value: string }
  | IntegerValue
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'null'; readonly value: null };

interface IntegerValue {
  readonly type: 'integer';
  readonly value: number;
  /** JavaScript's own number has 53 bits of the 64. */
  readonly exact: bigint;
}

/**
 * Finds out what a scalar says, as go-yaml does: YAML 1.1 without sexagesimal numbers, integers with Go's prefixes (`0o17`),
 * dates as text.
 *
 * @throws YamlSyntaxError where the value is none of its tag
 */
export function scalarValue(node: YamlScalar): ScalarValue {
  const { text, tag, plain, offset } = node;
  if (tag === '' && !plain) return { type: 'text', value: text };
  if (tag === binaryTag) return { type: 'text', value: decodeBinary(text, offset) };
  const name = tag.startsWith(standardPrefix) ? tag.slice(standardPrefix.length) : tag;
  switch (name) {
    case '':
      return plainValue(text);
    case 'bool':
    case 'int':
    case 'float':
    case 'null': {
      const value = plainValue(text);
      if (value.type === typeOfTag[name]) return value;
      if (name === 'float' && value.type === 'integer' && fitsInt64(value)) {
        return { type: 'float', value: value.value };
      }
      throw new YamlSyntaxError(`!!${name} does not go with this value`, offset);
    }
    case 'timestamp':
      if (isTimestamp(text)) return { type: 'text', value: text };
      throw new YamlSyntaxError('!!timestamp does not go with this value', offset);
    default:
      // `!!str`, and every tag that go-yaml does not know.
      return { type: 'text', value: text };
  }
}

const standardPrefix = 'tag:yaml.org,2002:';
const binaryTag = `${standardPrefix}binary`;
const typeOfTag = { bool: 'boolean', int: 'integer', float: 'float', null: 'null' } as const;

/** `<<` without quotes. A `!` in front says nothing of it. */
export function isMergeKey(node: YamlScalar): boolean {
  return node.text === '<<' && (node.plain || node.tag === `${standardPrefix}merge`);
}

/** Whether a scalar that is written without quotes and a tag is a text, whatever else is wrong with it. */
export function isPlainText(text: string): boolean {
  return plainValue(text).type === 'text';
}

/** The text that a key becomes in JSON; undefined for what kubectl takes for no key: null, and integers beyond 64 bits. */
export function keyText(key: ScalarValue): string | undefined {
  switch (key.type) {
    case 'text':
      return key.value;
    case 'boolean':
      return String(key.value);
    case 'integer':
      return fitsInt64(key) ? String(key.exact) : undefined;
    case 'float':
      return floatKey(key.value);
    case 'null':
      return undefined;
  }
}

function plainValue(text: string): ScalarValue {
  const word = words.get(text);
  if (word !== undefined) return word;
  const first = text.charAt(0);
  const float = first === '.' ? dotFloat : first === '' || !'+-0123456789'.includes(first) ? undefined : anyFloat;
  if (float === undefined) return { type: 'text', value: text };
  const digits = first === '.' ? text : text.replaceAll('_', '');
  const integer = first === '.' ? undefined : integerValue(digits);
  if (integer !== undefined) return integer;
  if (float.test(digits)) {
    const value = Number(digits.replaceAll('_', ''));
    if (Number.isFinite(value)) return { type: 'float', value };
  }
  return { type: 'text', value: text };
}

const dotFloat = /^\.\d+(?:_\d+)*(?:[eE][-+]?\d+(?:_\d+)*)?$/;
const anyFloat = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;

/** An integer of 64 bits, signed, or unsigned without a sign in front. */
function integerValue(digits: string): IntegerValue | undefined {
  const written = integerForm.exec(digits)?.groups;
  if (written === undefined) return signBehindPrefix(digits);
  const { sign = '', hex, binary, octal, decimal } = written;
  const magnitude = magnitudeOf([
    ['0x', hex],
    ['0b', binary],
    ['0o', octal],
    ['', decimal],
  ]);
  if (magnitude === undefined) return undefined;
  const exact = sign === '-' ? -magnitude : magnitude;
  const largest = sign === '' ? largestUint64 : largestInt64;
  if (exact > largest || exact < -largestInt64 - 1n) return undefined;
  return { type: 'integer', value: Number(exact), exact };
}

const integerForm =
  /^(?<sign>[-+]?)(?:0[xX](?<hex>[\da-fA-F]+)|0[bB](?<binary>[01]+)|0[oO]?(?<octal>[0-7]+)|(?<decimal>0|[1-9]\d*))$/;

/** Not longer than 64 digits: a longer one is not an integer of 64 bits, unless it begins with zeros. */
function magnitudeOf(forms: readonly (readonly [prefix: string, digits: string | undefined])[]): bigint | undefined {
  for (const [prefix, digits] of forms) {
    if (digits === undefined) continue;
    const significant = digits.replace(/^0+(?=.)/, '');
    return significant.length > 64 ? undefined : BigInt(prefix + significant);
  }
  return undefined;
}

/** `0b-101`, which Go's strict parser refuses and go-yaml then reads all the same. */
function signBehindPrefix(digits: string): IntegerValue | undefined {
  const written = /^0b([-+])([01]+)$/.exec(digits);
  const magnitude = magnitudeOf([['0b', written?.[2]]]);
  if (magnitude === undefined) return undefined;
  const exact = written?.[1] === '-' ? -magnitude : magnitude;
  if (exact > largestInt64 || exact < -largestInt64 - 1n) return undefined;
  return { type: 'integer', value: Number(exact), exact };
}

const largestInt64 = 2n ** 63n - 1n;
const largestUint64 = 2n ** 64n - 1n;

function fitsInt64({ exact }: IntegerValue): boolean {
  return exact <= largestInt64;
}

/** As the `g` format of Go writes the nearest number of 32 bits, which is what `sigs.k8s.io/yaml` makes of such a key. */
function floatKey(value: number): string {
  const single = Math.fround(value);
  if (Number.isNaN(single)) return '.nan';
  if (!Number.isFinite(single)) return single < 0 ? '-.inf' : '.inf';
  if (single === 0) return Object.is(single, -0) ? '-0' : '0';
  let precision = 1;
  while (Math.fround(Number(single.toExponential(precision - 1))) !== single) precision += 1;
  const [mantissa = '', exponentText = ''] = single.toExponential(precision - 1).split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return fixed(single, precision, exponent);
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${size}`;
}

function fixed(value: number, precision: number, exponent: number): string {
  return value.toFixed(Math.max(0, precision - 1 - exponent));
}

const words: ReadonlyMap<string, ScalarValue> = new Map<string, ScalarValue>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map(
    (word) => [word, { type: 'boolean', value: true }] as const,
  ),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map(
    (word) => [word, { type: 'boolean', value: false }] as const,
  ),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, { type: 'null', value: null }] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, { type: 'float', value: Number.NaN }] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map(
    (word) => [word, { type: 'float', value: Number.POSITIVE_INFINITY }] as const,
  ),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, { type: 'float', value: Number.NEGATIVE_INFINITY }] as const),
]);

/** The text that the bytes are in UTF-8; each byte that is in none of its characters becomes U+FFFD, as in Go. */
function decodeBinary(text: string, offset: number): string {
  const base64 = text.replace(/[\r\n]/g, '');
  if (base64.length % 4 !== 0 || !/^[A-Za-z\d+/]*={0,2}$/.test(base64)) {
    throw new YamlSyntaxError('!!binary needs base64', offset);
  }
  const bytes = Uint8Array.from(atob(base64), (unit) => unit.charCodeAt(0));
  let decoded = '';
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    decoded += character ?? '\ufffd';
    at += character === undefined ? 1 : utf8Length(character);
  }
  return decoded;
}

function characterAt(bytes: Uint8Array, at: number): string | undefined {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  try {
    return strictUtf8.decode(bytes.subarray(at, at + length));
  } catch {
    return undefined;
  }
}

function utf8Length(character: string): number {
  const codePoint = character.codePointAt(0) ?? 0;
  return codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The forms of a date, with or without a time, that go-yaml knows. */
function isTimestamp(text: string): boolean {
  const parts = timestampForm.exec(text)?.groups;
  if (parts === undefined) return false;
  const year = Number(parts['year']);
  const month = Number(parts['month']);
  const day = Number(parts['day']);
  const lastDay = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  return (
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= lastDay &&
    Number(parts['hour'] ?? parts['hour2'] ?? 0) < 24 &&
    Number(parts['minute'] ?? parts['minute2'] ?? 0) < 60 &&
    Number(parts['second'] ?? parts['second2'] ?? 0) < 60
  );
}

const timestampForm =
  /^(?<year>\d{4})-(?<month>\d{1,2})-(?<day>\d{1,2})(?:[Tt](?<hour>\d{1,2}):(?<minute>\d{1,2}):(?<second>\d{1,2})(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)| +(?<hour2>\d{1,2}):(?<minute2>\d{1,2}):(?<second2>\d{1,2})(?:[.,]\d+)?)?$/;
