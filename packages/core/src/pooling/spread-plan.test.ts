import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextSpreadStep, type SpreadRow } from './spread-plan.ts';

const row = (share: number, connections: number, idle = connections): SpreadRow => ({ share, connections, idle });
const third = 1 / 3;

describe('the next step towards connections by share', () => {
  it.each<[string, readonly SpreadRow[], number, ReturnType<typeof nextSpreadStep>]>([
    ['an address without connections gets its first one', [row(0.5, 1), row(0.5, 0)], 9, { from: undefined, to: 1 }],
    ['it gets it from another if there is no room', [row(0.5, 4), row(0.5, 0)], 0, { from: 0, to: 1 }],
    [
      'the one that lacks most comes first',
      [row(third, 7), row(third, 1), row(third, 0)],
      2,
      { from: undefined, to: 2 },
    ],
    ['nothing moves while all are within their share', [row(third, 4), row(third, 3), row(third, 3)], 0, undefined],
    ['an ejected address gives up what it has', [row(0, 2, 0), row(1, 2)], 0, { from: 0, to: 1 }],
    [
      'and at last what is idle, for nothing',
      [row(0, 1), row(third, 3), row(third, 3), row(third, 3)],
      0,
      { from: 0, to: undefined },
    ],
    ['but not what is in use', [row(0, 1, 0), row(third, 3), row(third, 3), row(third, 3)], 0, undefined],
    ['nothing moves if no address has a share', [row(0, 2), row(0, 2)], 6, undefined],
    ['nothing moves in an empty pool that has no address', [], 10, undefined],
  ])('%s', (_, rows, room, expected) => {
    expect(nextSpreadStep(rows, room)).toEqual(expected);
  });

  it('leads from anything to the shares, rounded, and ends there', () => {
    const addresses = fc.array(fc.record({ weight: fc.nat(5), connections: fc.nat(12) }), {
      minLength: 1,
      maxLength: 6,
    });
    return fc.assert(
      fc.property(addresses, fc.nat(5), (given, room) => {
        const weights = given.reduce((sum, { weight }) => sum + weight, 0);
        const rows = given.map(({ weight, connections }) => ({ share: weight / (weights || 1), connections }));
        let left = room;
        let steps = 0;
        for (;;) {
          const step = nextSpreadStep(
            rows.map((each) => row(each.share, each.connections)),
            left,
          );
          if (step === undefined) break;
          const [from, to] = [step.from, step.to].map((index) => (index === undefined ? undefined : rows[index]));
          if (from !== undefined) from.connections -= 1;
          if (to !== undefined) to.connections += 1;
          left += (from === undefined ? 0 : 1) - (to === undefined ? 0 : 1);
          steps += 1;
          expect(left).toBeGreaterThanOrEqual(0);
          expect(steps).toBeLessThan(200);
        }
        const total = rows.reduce((sum, { connections }) => sum + connections, 0);
        const withShare = rows.filter(({ share }) => share > 0);
        if (withShare.length === 0) return;
        const isEnough = total + left >= withShare.length;
        for (const { share, connections } of rows) {
          if (share === 0 && total > 0 && withShare.some((each) => each.connections > 0)) expect(connections).toBe(0);
          if (share > 0 && isEnough) expect(connections).toBeGreaterThanOrEqual(Math.min(1, total));
          if (share > 0 && isEnough) expect(connections).toBeGreaterThanOrEqual(Math.floor(share * total - 1e-9));
        }
      }),
    );
  });
});
