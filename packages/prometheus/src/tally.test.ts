import { describe, expect, it } from 'vitest';
import { Bounds, labelBounds } from './labels.ts';
import { metrics } from './metrics.ts';
import type { MetricRow } from './rows.ts';
import { Tally } from './tally.ts';

function tallyOf({ labels, buckets = [] }: MetricRow, bounds = new Bounds()) {
  const tally = new Tally(labels, buckets, bounds);
  const add = (values: readonly string[], amount = 1) => tally.add(tally.cell([amount, ...values]), amount);
  return { add, cells: () => tally.cells };
}

describe('a tally', () => {
  it('counts each value in the bucket whose end is not below it', () => {
    const tally = tallyOf(metrics.operationDuration);
    for (const seconds of [0, 0.001, 0.0011, 10, 11]) tally.add(['webscaler-db', 'query', 'ok'], seconds);
    expect([...tally.cells()]).toEqual([
      {
        labels: { pool: 'webscaler-db', operation: 'query', result: 'ok' },
        count: 5,
        sum: expect.closeTo(21.0021, 9),
        buckets: [2, 1, 0, 0, 0, 0, 0, 0, 1, 1],
      },
    ]);
  });

  it('keeps apart what differs in one label', () => {
    const tally = tallyOf(metrics.retries);
    tally.add(['a', 'b', 'unknown']);
    tally.add(['b', 'a', 'unknown']);
    tally.add(['a', 'b', 'not-executed']);
    expect([...tally.cells()].map(({ count }) => count)).toEqual([1, 1, 1]);
  });

  it('counts what is beyond a bound as other, and keeps nothing of it', () => {
    const bounds = new Bounds();
    const tally = tallyOf(metrics.probes, bounds);
    for (let index = 0; index < 3 * labelBounds.pool.most; index++) tally.add([`pool-${index}`, 'alive']);
    const cells = [...tally.cells()];
    expect(cells).toHaveLength(labelBounds.pool.most + 1);
    expect(cells.at(-1)).toMatchObject({
      labels: { pool: 'other', result: 'alive' },
      count: 2 * labelBounds.pool.most,
    });
    // The bound is one for all metrics: a pool has its name in all of them, or in none.
    expect(bounds.admit('pool', 'pool-0')).toBe('pool-0');
    expect(bounds.admit('pool', 'another')).toBe('other');
  });
});
