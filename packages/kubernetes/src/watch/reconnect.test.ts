import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextConnection, type ReconnectSettings } from './reconnect.ts';

const settings: ReconnectSettings = { initialMillis: 200, maxMillis: 15_000, stableMillis: 5_000 };

/** When the connections of an hour begin, if each lasts `lastedMillis`. */
function connectionsOfAnHour(lastedMillis: number, random: () => number): number {
  let failures = 0;
  let count = 0;
  for (let now = 0; now < 3_600_000; count += 1) {
    const next = nextConnection(failures, { lastedMillis }, settings, random);
    failures = next.failures;
    now += lastedMillis + next.delayMillis;
  }
  return count;
}

describe('the next connection', () => {
  it.each([
    [0, 100],
    [1, 200],
    [2, 400],
    [5, 3_200],
    [7, 7_500],
    [1_000, 7_500],
  ])('after %i failures comes after %i ms at the earliest', (failures, least) => {
    expect(nextConnection(failures, { lastedMillis: 0 }, settings, () => 0).delayMillis).toBe(least);
    expect(nextConnection(failures, { lastedMillis: 0 }, settings, () => 1).delayMillis).toBe(2 * least);
  });

  it('comes soon after one that lasted, however many had failed before', () => {
    const next = nextConnection(20, { lastedMillis: 5_000 }, settings, () => 0.5);
    expect(next).toEqual({ failures: 0, delayMillis: 150 });
  });

  it('waits as long as the server asks, and longer if its own turn is later', () => {
    const delay = (failures: number, retryAfterSeconds: number) =>
      nextConnection(failures, { lastedMillis: 0, retryAfterSeconds }, settings, () => 0).delayMillis;
    expect(delay(0, 3)).toBe(3_000);
    expect(delay(9, 3)).toBe(7_500);
  });

  it('never becomes a storm, whatever the server does: 900 an hour at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), fc.integer(), (lastedMillis, seed) => {
        let state = seed >>> 0;
        const random = () => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
          return state / 2 ** 32;
        };
        expect(connectionsOfAnHour(lastedMillis, random)).toBeLessThan(900);
      }),
      { numRuns: 60 },
    );
  });
});
