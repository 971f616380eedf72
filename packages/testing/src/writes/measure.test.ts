import { describe, expect, it } from 'vitest';
import { WriteLedger } from './ledger.ts';
import { measureWrites, type WriteFacts } from './measure.ts';
import type { FailureOutcome, SettledWrite, Write } from './write.ts';

const old = '127.64.0.1';
const next = '127.64.0.2';

// Two workers: each wrote to the old server, the Service was patched at 1000, each wrote to the new one.
const usual: readonly SettledWrite[] = [
  { id: 1, worker: 0, beganAt: 790, settledAt: 800, address: old },
  { id: 2, worker: 1, beganAt: 890, settledAt: 900, address: old },
  { id: 3, worker: 0, beganAt: 910, settledAt: 1_200, address: next },
  { id: 4, worker: 1, beganAt: 920, settledAt: 1_350, address: next },
];
const allRows = new Map([1, 2, 3, 4].map((id) => [id, 1]));

function failed(id: number, outcome: FailureOutcome, code = 'ECONNRESET'): SettledWrite {
  return { id, worker: 0, beganAt: 880, settledAt: 905, failure: { code, message: 'read ECONNRESET', outcome } };
}

function facts(changes: Partial<WriteFacts> = {}, settled = usual, underWay: readonly Write[] = []): WriteFacts {
  const ledger = new WriteLedger();
  ledger.enter({ settled, underWay }, 2_000);
  ledger.close();
  const [from, to] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return { ledger, workers: 2, from, to, patchedAt: 1_000, address: next, rows: allRows, ...changes };
}

describe('the measures of a switch', () => {
  it('are times from the patch, the pause, and counts', () => {
    expect(measureWrites(facts())).toEqual({
      writes: { acknowledged: 4, lost: 0, duplicated: 0, hung: 0, failed: 0 },
      patchToFirstWriteMillis: 200,
      patchToAllWorkersMillis: 350,
      outageMillis: 300,
      longestPause: { from: 900, to: 1_200 },
      failures: [],
      ids: { lost: [], duplicated: [] },
    });
  });

  it('name the acknowledged writes that are not there, and those that are there twice', () => {
    const rows = new Map([
      [1, 1],
      [3, 2],
      [4, 1],
      [9, 2],
    ]);
    const measures = measureWrites(facts({ rows }, [...usual, failed(9, 'unknown')]));
    expect(measures.ids).toEqual({ lost: [2], duplicated: [3, 9] });
    expect(measures.writes).toMatchObject({ lost: 1, duplicated: 2, failed: 1 });
  });

  it('do not count again what an earlier switch has lost or done twice', () => {
    const rows = new Map([
      [2, 1],
      [3, 2],
    ]);
    const earlier = measureWrites(facts({ to: 915, rows }));
    expect(earlier.ids).toEqual({ lost: [1], duplicated: [3] });
    expect(measureWrites(facts({ from: 915, rows, earlier })).ids).toEqual({ lost: [4], duplicated: [] });
  });

  it('count failures by code and outcome, and how many of them were executed', () => {
    const rows = new Map([...allRows, [8, 1]]);
    const more = [failed(8, 'unknown'), failed(9, 'unknown'), failed(10, 'not-executed', '25006')];
    expect(measureWrites(facts({ rows }, [...usual, ...more])).failures).toEqual([
      { code: 'ECONNRESET', outcome: 'unknown', count: 2, stored: 1 },
      { code: '25006', outcome: 'not-executed', count: 1, stored: 0 },
    ]);
  });

  it('have no time for what did not happen', () => {
    expect(measureWrites(facts({ workers: 3 }))).toMatchObject({
      patchToFirstWriteMillis: 200,
      patchToAllWorkersMillis: null,
    });
    expect(measureWrites(facts({ rows: new Map() }, [], [{ id: 5, worker: 0, beganAt: 950 }]))).toMatchObject({
      writes: { acknowledged: 0, hung: 1 },
      patchToFirstWriteMillis: null,
      outageMillis: null,
      longestPause: undefined,
    });
  });
});
