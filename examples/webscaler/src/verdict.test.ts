import { type FailureOutcome, type SettledWrite, type Write, WriteLedger } from '@externalname/testing';
import { describe, expect, it } from 'vitest';
import { judgeStage, type StageFacts, verdict } from './verdict.ts';

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

function facts(changes: Partial<StageFacts> = {}, settled = usual, underWay: readonly Write[] = []): StageFacts {
  const ledger = new WriteLedger();
  ledger.enter({ settled, underWay }, 2_000);
  ledger.close();
  return {
    ledger,
    workers: 2,
    from: Number.NEGATIVE_INFINITY,
    to: Number.POSITIVE_INFINITY,
    patchedAt: 1_000,
    address: next,
    rows: allRows,
    failuresAllowed: 1,
    ...changes,
  };
}

describe('the verdict of a stage', () => {
  it('holds where every acknowledged write is there once and every worker writes to the promoted server', () => {
    expect(judgeStage(facts())).toEqual({
      held: true,
      writes: { acknowledged: 4, lost: 0, duplicated: 0, hung: 0, failed: 0 },
      patchToFirstWriteMillis: 200,
      patchToAllWorkersMillis: 350,
      outageMillis: 300,
      failures: [],
      ids: { lost: [], duplicated: [] },
      objections: [],
    });
  });

  it('does not hold where an acknowledged write is not on the promoted server', () => {
    const rows = new Map([...allRows].filter(([id]) => id !== 2));
    expect(judgeStage(facts({ rows }))).toMatchObject({ held: false, writes: { lost: 1 } });
  });

  it('does not hold where a write was done twice, whether or not it was acknowledged', () => {
    const rows = new Map([...allRows, [3, 2], [9, 2]] as const);
    const stage = judgeStage(facts({ rows }, [...usual, failed(9, 'unknown')]));
    expect(stage).toMatchObject({ held: false, writes: { duplicated: 2 } });
  });

  it('does not hold where a write hung', () => {
    const stage = judgeStage(facts({}, usual, [{ id: 5, worker: 0, beganAt: 950 }]));
    expect(stage).toMatchObject({ held: false, writes: { hung: 1 } });
  });

  it('holds with writes that were in flight when the server died, as many as connections, and says what became of them', () => {
    const rows = new Map([...allRows, [8, 1]]);
    const stage = judgeStage(
      facts({ rows, failuresAllowed: 2 }, [...usual, failed(8, 'unknown'), failed(9, 'unknown')]),
    );
    expect(stage).toMatchObject({
      held: true,
      writes: { acknowledged: 4, failed: 2 },
      failures: [{ code: 'ECONNRESET', outcome: 'unknown', count: 2, stored: 1 }],
    });
  });

  it.each([
    { name: 'more writes failed than there are connections', outcomes: ['unknown', 'unknown'], allowed: 1 },
    { name: 'a write failed and none may', outcomes: ['unknown'], allowed: 0 },
    { name: 'a write failed that was not in flight', outcomes: ['not-executed'], allowed: 5 },
    { name: 'nobody says what became of a write that failed', outcomes: ['unsaid'], allowed: 5 },
  ] as const)('does not hold where $name', ({ outcomes, allowed }) => {
    const more = outcomes.map((outcome, index) => failed(100 + index, outcome));
    expect(judgeStage(facts({ failuresAllowed: allowed }, [...usual, ...more])).held).toBe(false);
  });

  it('says so where a write that was told not to be executed is there', () => {
    const rows = new Map([...allRows, [8, 1]]);
    const { objections } = judgeStage(facts({ rows }, [...usual, failed(8, 'not-executed')]));
    expect(objections).toContain('1 writes that were said not to be executed (ECONNRESET) were');
  });

  it('does not hold where a worker never came to write to the promoted server', () => {
    const stage = judgeStage(facts({ workers: 3 }));
    expect(stage).toMatchObject({ held: false, patchToFirstWriteMillis: 200, patchToAllWorkersMillis: null });
  });

  it('has no figures if no worker wrote to the promoted server', () => {
    const stage = judgeStage(facts({ rows: new Map() }, []));
    expect(stage).toMatchObject({
      held: false,
      patchToFirstWriteMillis: null,
      patchToAllWorkersMillis: null,
      outageMillis: null,
    });
  });

  it('leaves to an earlier stage what that one had lost or done twice', () => {
    const rows = new Map([
      [2, 1],
      [3, 2],
    ]);
    const earlier = judgeStage(facts({ to: 915, rows }));
    expect(earlier.ids).toEqual({ lost: [1], duplicated: [3] });
    const planned = judgeStage(facts({ from: 915, rows, earlier }));
    expect(planned.writes).toMatchObject({ acknowledged: 1, lost: 1, duplicated: 0 });
  });
});

describe('the JSON', () => {
  it('has the documented keys and no other, the crash at the top and the planned switch below', () => {
    const crash = judgeStage(facts());
    const planned = judgeStage(facts({ patchedAt: 1_100 }));
    expect(verdict({ crash, planned }, [])).toEqual({
      held: true,
      writes: { acknowledged: 4, lost: 0, duplicated: 0, hung: 0, failed: 0 },
      patchToFirstWriteMillis: 200,
      patchToAllWorkersMillis: 350,
      outageMillis: 300,
      planned: {
        held: true,
        writes: { acknowledged: 4, lost: 0, duplicated: 0, hung: 0, failed: 0 },
        patchToFirstWriteMillis: 100,
        patchToAllWorkersMillis: 250,
        outageMillis: 300,
      },
    });
  });

  it('says at the top whether both stages held', () => {
    const good = judgeStage(facts());
    const bad = judgeStage(facts({ rows: new Map() }));
    expect(verdict({ crash: good, planned: bad }, []).held).toBe(false);
    expect(verdict({ crash: bad, planned: good }, []).held).toBe(false);
  });

  it('adds the plain pools where they were asked for, and does not judge by them', () => {
    const good = judgeStage(facts());
    const bad = judgeStage(facts({ rows: new Map() }));
    const plain = [{ settings: { client: 'plain-query' }, crash: bad, planned: bad }];
    const result = verdict({ crash: good, planned: good }, plain);
    expect(result.held).toBe(true);
    expect(result.plainPg?.['plain-query']).toMatchObject({ held: false, planned: { held: false } });
  });

  it('adds what a DNS poll would have taken where a push was asked for', () => {
    const good = judgeStage(facts());
    const polled = { crash: 3_200, planned: null };
    expect(verdict({ crash: good, planned: good }, [], polled).polled).toEqual(polled);
  });
});
