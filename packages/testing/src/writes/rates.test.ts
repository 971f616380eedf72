import { describe, expect, it } from 'vitest';
import { writeRates } from './rates.ts';

describe('writes a second over time', () => {
  it('are counted in columns of equal time that begin at a whole number of their length', () => {
    const series = [
      [0.3, 0.6, 0.7, 1.9, 3.2],
      [2.1, 9],
    ];
    expect(writeRates({ series, from: 0.3, to: 3.1, columns: 4 })).toEqual({
      from: 0,
      seconds: 1,
      rates: [
        [3, 1, 0],
        [0, 0, 1],
      ],
    });
  });
});
