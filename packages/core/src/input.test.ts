import { describe, expect, it } from 'vitest';
import { isPrintable, ownOptions, printable } from './input.ts';

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
