import { describe, expect, it } from 'vitest';
import { distribution } from './distribution.ts';

describe('percentiles', () => {
  it('are values that were measured', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(distribution(hundred)).toEqual({ p50: 50, p90: 90, p99: 99, max: 100 });
    expect(distribution([7])).toEqual({ p50: 7, p90: 7, p99: 7, max: 7 });
    expect(distribution([3, 1])).toEqual({ p50: 1, p90: 3, p99: 3, max: 3 });
  });

  it('of nothing are none', () => {
    expect(distribution([])).toBeUndefined();
  });
});
