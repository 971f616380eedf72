import { InvalidArgumentError } from './errors.ts';

/**
 * Only the options that the caller set. Properties of a prototype are left out, so that a polluted `Object.prototype`
 * (`allowedTargets: 'any'`) decides nothing. Properties that are not enumerable are kept, because `pg.Pool` hides its
 * password that way.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if that is not an object
 */
export function ownOptions<T extends object>(options: T, argument = 'options'): T {
  checkObject(argument, options);
  return Object.create(null, Object.getOwnPropertyDescriptors(options)) as T;
}

/** @throws InvalidArgumentError for anything but an object; a list is not one */
export function checkObject(argument: string, value: unknown): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw new InvalidArgumentError(argument, `must be an object, got ${describeValue(value)}`);
}

/** @throws InvalidArgumentError for anything but a text */
export function checkText(argument: string, value: unknown): asserts value is string {
  if (typeof value === 'string') return;
  throw new InvalidArgumentError(argument, `must be a string, got ${describeValue(value)}`);
}

/** @throws InvalidArgumentError for anything but a list */
export function checkList(argument: string, value: unknown): asserts value is readonly unknown[] {
  if (Array.isArray(value)) return;
  const advice = typeof value === 'string' && value.includes(',') ? ": split it, with value.split(',')" : '';
  throw new InvalidArgumentError(argument, `must be an array, got ${describeValue(value)}${advice}`);
}

/** @throws InvalidArgumentError that names the entry which is not a string */
export function checkTexts(argument: string, value: unknown): asserts value is readonly string[] {
  checkList(argument, value);
  // By index, because forEach skips holes.
  for (let index = 0; index < value.length; index++) checkText(`${argument}[${index}]`, value[index]);
}

/** @throws InvalidArgumentError for anything but a function */
export function checkFunction(
  argument: string,
  value: unknown,
): asserts value is (...values: readonly unknown[]) => unknown {
  if (typeof value === 'function') return;
  throw new InvalidArgumentError(argument, `must be a function, got ${describeValue(value)}`);
}

/** @throws InvalidArgumentError if the object lacks one of these methods */
export function checkMethods(argument: string, value: unknown, methods: readonly string[]): void {
  checkObject(argument, value);
  for (const name of methods) checkFunction(`${argument}.${name}`, (value as Record<string, unknown>)[name]);
}

/** What a number may be. `least` and `most` belong to the range, `above` does not. */
export interface NumberBounds {
  readonly least?: number;
  readonly above?: number;
  readonly most?: number;
  readonly whole?: boolean;
  /** What it counts: `milliseconds`. */
  readonly unit?: string;
}

/** @throws InvalidArgumentError for anything but a number within the bounds */
export function checkNumber(argument: string, value: unknown, bounds: NumberBounds = {}): asserts value is number {
  const {
    least = Number.NEGATIVE_INFINITY,
    above = Number.NEGATIVE_INFINITY,
    most = Number.POSITIVE_INFINITY,
  } = bounds;
  const inRange =
    typeof value === 'number' && value >= least && (value > above || above === -Infinity) && value <= most;
  if (inRange && (!bounds.whole || Number.isInteger(value))) return;
  throw new InvalidArgumentError(argument, `must be a ${describeNumber(bounds)}, got ${describeValue(value)}`);
}

function describeNumber({ least, above, most, whole, unit }: NumberBounds): string {
  const number = `${whole ? 'whole number' : 'number'}${unit === undefined ? '' : ` of ${unit}`}`;
  if (least !== undefined && most !== undefined) return `${number} from ${least} to ${most}`;
  const bounds = [
    above === undefined ? '' : ` above ${above}`,
    least === undefined || least === -Infinity ? '' : ` of at least ${least}`,
    most === undefined ? '' : ` of at most ${most}`,
  ];
  return number + bounds.filter(Boolean).join(' and');
}

/** @throws InvalidArgumentError for anything but `true` and `false` */
export function checkBoolean(argument: string, value: unknown): asserts value is boolean {
  if (typeof value === 'boolean') return;
  throw new InvalidArgumentError(argument, `must be true or false, got ${describeValue(value)}`);
}

/** @throws InvalidArgumentError for anything but an AbortSignal (a polyfill's will do) or `undefined` */
export function checkSignal(argument: string, value: unknown): void {
  if (value === undefined) return;
  const { aborted, addEventListener } = (value ?? {}) as { aborted?: unknown; addEventListener?: unknown };
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function') return;
  throw new InvalidArgumentError(argument, `must be an AbortSignal, got ${describeValue(value)}`);
}

/** How an error message names a value: a string by its beginning, an object or an array by its kind alone. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 0 ? `the string ${JSON.stringify(value.slice(0, longestShown))}` : 'an empty string';
    case 'number':
    case 'boolean':
    case 'undefined':
    case 'bigint':
      return String(value);
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    default:
      return `a ${typeof value}`;
  }
}

const longestShown = 100;

/**
 * Makes text from elsewhere (a server, an annotation) safe for one line of a log, a terminal or an Event: without line
 * breaks, escape sequences and characters that change the direction of writing, and cut to a length.
 */
export function printable(text: string, longest = 1_000): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}...` : text;
  return cut.replace(/\r\n|[\r\n\t]/g, ' ').replace(unprintable, escaped);
}

/** Whether {@link printable} would change nothing but the length of the text. */
export function isPrintable(text: string): boolean {
  return text.search(unprintable) < 0;
}

// Control and format characters, lone surrogates, and the separators of lines and paragraphs.
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
