import { describe, expect, it } from 'vitest';
import { duration, inWords } from './duration.ts';

const option = duration('-t, --timeout <time>', 'how long', { least: 1, most: 3_600_000 });

describe('a time on the command line', () => {
  it.each([
    ['500ms', 500],
    ['5s', 5_000],
    ['5', 5_000],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ])('%s is %i ms', (written, millis) => {
    expect(option.read([written])).toBe(millis);
  });

  it('is not there if it was not given, and the last one if it was given twice', () => {
    expect(option.read([])).toBeUndefined();
    expect(option.read(['1s', '2s'])).toBe(2_000);
  });

  it.each(['', 'soon', '-1s', '5 s', '0', '2h', '1d', '1e3'])(
    'is not %j, and the refusal names the option',
    (written) => {
      expect(() => option.read([written])).toThrow(/--timeout.*from 1ms to 1h/s);
    },
  );
});

describe('a time in words', () => {
  it.each([
    [0, '0 ms'],
    [380.4, '380 ms'],
    [1_481, '1.5 s'],
    [59_900, '59.9 s'],
    [180_000, '3 min'],
  ])('of %d ms is %s', (millis, words) => {
    expect(inWords(millis)).toBe(words);
  });
});
