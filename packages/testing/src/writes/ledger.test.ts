import { describe, expect, it } from 'vitest';
import { WriteLedger } from './ledger.ts';
import type { SettledWrite, Write } from './write.ts';

const old = '127.64.0.1';
const next = '127.64.0.2';

function acknowledged(id: number, worker: number, settledAt: number, address: string): SettledWrite {
  return { id, worker, beganAt: settledAt - 5, settledAt, address };
}

function underWay(id: number, beganAt: number): Write {
  return { id, worker: 0, beganAt };
}

function ledgerWith(settled: readonly SettledWrite[], under: readonly Write[] = [], at = 0): WriteLedger {
  const ledger = new WriteLedger();
  ledger.enter({ settled, underWay: under }, at);
  return ledger;
}

describe('a ledger', () => {
  it('knows when a server first acknowledged a write after the patch, and when every worker had one', () => {
    const ledger = ledgerWith([
      acknowledged(1, 0, 100, old),
      acknowledged(4, 1, 400, next),
      acknowledged(3, 0, 300, next),
      acknowledged(5, 0, 500, next),
    ]);
    expect(ledger.firstAt(next, 200)?.id).toBe(3);
    expect(ledger.allWorkersAt(next, 200, 2)).toBe(400);
    expect(ledger.allWorkersAt(next, 200, 3)).toBeUndefined();
    expect(ledger.firstAt(next, 600)).toBeUndefined();
    expect(ledger.lastBefore(300)).toBe(100);
    expect(ledger.lastBefore(100)).toBeUndefined();
  });

  it('counts what each server acknowledged in a span of time', () => {
    const ledger = ledgerWith([
      acknowledged(1, 0, 100, old),
      acknowledged(2, 1, 200, old),
      acknowledged(3, 0, 300, next),
      acknowledged(4, 0, 400, next),
    ]);
    expect(ledger.countByAddress(150, 400)).toEqual(
      new Map([
        [next, 1],
        [old, 1],
      ]),
    );
  });

  it('takes a write that settled after more than 15 s for hung, also where it was acknowledged', () => {
    const ledger = ledgerWith([
      { id: 1, worker: 0, beganAt: 0, settledAt: 15_000, address: old },
      { id: 2, worker: 1, beganAt: 0, settledAt: 15_001, address: old },
    ]);
    expect([...ledger.hung.keys()]).toEqual([2]);
  });

  it('takes a write that is under way for more than 15 s for hung, once', () => {
    const ledger = ledgerWith([], [underWay(1, 0), underWay(2, 1_000)], 15_500);
    expect([...ledger.hung.keys()]).toEqual([1]);
    ledger.enter({ settled: [], underWay: [underWay(1, 0)] }, 16_000);
    expect([...ledger.hung.keys()]).toEqual([1]);
  });

  it('counts as hung what has not settled when the waiting ends', () => {
    const ledger = ledgerWith([], [underWay(7, 0)], 10);
    ledger.close();
    expect([...ledger.hung.keys()]).toEqual([7]);
    expect(ledger.underWay).toEqual([]);
  });

  it('gives each write to the stage in which it began', () => {
    const ledger = ledgerWith([
      { id: 1, worker: 0, beganAt: 99, settledAt: 150, address: old },
      { id: 2, worker: 0, beganAt: 100, settledAt: 160, address: old },
      { id: 3, worker: 0, beganAt: 99, settledAt: 170, failure: { code: 'X', message: '', outcome: 'unknown' } },
    ]);
    const before = ledger.begunBetween(Number.NEGATIVE_INFINITY, 100);
    expect(before.acknowledged.map(({ id }) => id)).toEqual([1]);
    expect(before.failed.map(({ id }) => id)).toEqual([3]);
    expect(ledger.begunBetween(100, Number.POSITIVE_INFINITY).acknowledged.map(({ id }) => id)).toEqual([2]);
  });

  it('knows the longest time without an acknowledgement, whichever server gave them', () => {
    const ledger = ledgerWith([
      acknowledged(1, 0, 100, old),
      acknowledged(3, 0, 700, next),
      acknowledged(2, 1, 250, old),
      acknowledged(4, 1, 900, next),
    ]);
    const [always, never] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    expect(ledger.longestPause(always, never)).toEqual({ from: 250, to: 700 });
    expect(ledger.longestPause(600, 1_500)).toEqual({ from: 900, to: 1_500 });
    expect(ledger.longestPause(900, never)).toBeUndefined();
  });

  it('takes writes for hung as soon as it is told to', () => {
    const ledger = new WriteLedger({ hungAfterMillis: 100 });
    ledger.enter({ settled: [], underWay: [underWay(1, 0), underWay(2, 50)] }, 120);
    expect([...ledger.hung.keys()]).toEqual([1]);
  });
});
