import { describe, expect, it } from 'vitest';
import {
  checkBoolean,
  checkFunction,
  checkList,
  checkMethods,
  checkNumber,
  checkObject,
  checkSignal,
  checkText,
  checkTexts,
  describeValue,
  isPrintable,
  ownOptions,
  printable,
} from './input.ts';

describe('options', () => {
  it('are the own ones: what stands on a prototype is not read', () => {
    const given = Object.assign(Object.create({ allowedTargets: 'any' }), { service: 'webscaler-db' });
    const options = ownOptions<{ service?: string; allowedTargets?: string }>(given);
    expect(options.service).toBe('webscaler-db');
    expect(options.allowedTargets).toBeUndefined();
  });

  it('keep what is hidden, and their getters', () => {
    const given = Object.defineProperty({}, 'password', { get: () => 'secret', enumerable: false });
    expect(ownOptions<{ password?: string }>(given).password).toBe('secret');
    expect(JSON.stringify(ownOptions(given))).toBe('{}');
  });
});

describe('a value that cannot be used', () => {
  it.each<[string, () => void, string]>([
    ['no object', () => checkObject('of', 'text'), 'of: must be an object, got the string "text"'],
    ['a list for an object', () => checkObject('of', []), 'of: must be an object, got an array'],
    ['options that are none', () => ownOptions(null as never), 'options: must be an object, got null'],
    ['no text', () => checkText('of', Symbol('s')), 'of: must be a string, got a symbol'],
    ['no list', () => checkList('of', 'a'), 'of: must be an array, got the string "a"'],
    [
      'a text with commas',
      () => checkList('of', 'a,b'),
      `of: must be an array, got the string "a,b": split it, with value.split(',')`,
    ],
    ['an entry that is not text', () => checkTexts('of', ['a', 5]), 'of[1]: must be a string, got 5'],
    ['a hole', () => checkTexts('of', new Array(1)), 'of[0]: must be a string, got undefined'],
    ['no function', () => checkFunction('of', {}), 'of: must be a function, got an object'],
    [
      'a method that is missing',
      () => checkMethods('of', {}, ['close']),
      'of.close: must be a function, got undefined',
    ],
    ['no number', () => checkNumber('of', '5', { least: 0 }), 'of: must be a number of at least 0, got the string "5"'],
    ['NaN', () => checkNumber('of', Number.NaN), 'of: must be a number, got NaN'],
    [
      'a fraction',
      () => checkNumber('of', 1.5, { least: 0, most: 9, whole: true }),
      'of: must be a whole number from 0 to 9, got 1.5',
    ],
    ['neither true nor false', () => checkBoolean('of', 0n), 'of: must be true or false, got 0'],
    ['no signal', () => checkSignal('of', null), 'of: must be an AbortSignal, got null'],
  ])('is refused with its name and what was given: %s', (_, check, message) => {
    expect(check).toThrow(expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', message }));
  });

  it('is not shown at length, and what has parts by its kind alone', () => {
    expect(describeValue('a'.repeat(1_000)).length).toBeLessThan(120);
    expect(describeValue({ password: 'hunter2' })).toBe('an object');
  });
});

describe('text from elsewhere', () => {
  it.each([
    ['two\nlines\r\nof\ttext', 'two lines of text'],
    ['\u001b[31mred\u001b[0m', '\\u{1b}[31mred\\u{1b}[0m'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['\u2028\u0000\u009b\ud800', '\\u{2028}\\u{0}\\u{9b}\\u{d800}'],
    ['Überfahrt — 東京 🚢', 'Überfahrt — 東京 🚢'],
  ])('is made fit for one line: %j', (text, expected) => {
    expect(printable(text)).toBe(expected);
    expect(isPrintable(printable(text))).toBe(true);
  });

  it('is cut', () => {
    expect(printable('a'.repeat(5_000), 10)).toBe('aaaaaaaaaa...');
  });
});
