import { describe, expect, it } from 'vitest';
import { backoffMillis } from './backoff.ts';

const bounds = { shortestMillis: 100, longestMillis: 5000 };

describe('the pause after failures in a row', () => {
  it.each([
    [0, 100],
    [1, 100],
    [2, 200],
    [6, 3200],
    [7, 5000],
    [10_000, 5000],
  ])('%i: %i ms', (failures, millis) => {
    expect(backoffMillis(failures, bounds)).toBe(millis);
  });

  it('is between half and the whole of that with chance, also at its longest', () => {
    for (const failures of [1, 4, 100]) {
      const whole = backoffMillis(failures, bounds);
      expect(backoffMillis(failures, bounds, () => 0)).toBe(whole / 2);
      expect(backoffMillis(failures, bounds, () => 0.5)).toBe(whole * 0.75);
    }
  });

  it('is 0 for those who wait for nothing', () => {
    expect(backoffMillis(3, { shortestMillis: 0, longestMillis: 0 }, () => 0.5)).toBe(0);
  });
});
