import { describe, expect, it } from 'vitest';
import { scriptedResult } from '../../test/scripted-drill.ts';
import type { RehearsedStage } from '../rehearsal/rehearsal.ts';
import { checksOf, type Thresholds } from './result.ts';

const thresholds: Thresholds = {
  lost: 0,
  twice: 0,
  hung: 0,
  failed: undefined,
  pauseMillis: 5_000,
  firstWriteMillis: undefined,
  allMovedMillis: undefined,
};
const servers = [
  { host: 'primary-db.example.com', address: '127.64.0.1' },
  { host: 'secondary-db.example.com', address: '127.64.0.2' },
] as const;
const good: RehearsedStage = {
  name: 'crash',
  move: { from: servers[0], to: servers[1] },
  patchedAt: 9_300,
  failuresExpected: 10,
  measures: {
    writes: { acknowledged: 4_266, lost: 0, duplicated: 0, hung: 0, failed: 10 },
    patchToFirstWriteMillis: 200,
    patchToAllWorkersMillis: 238,
    outageMillis: 1_481,
    longestPause: { from: 8_019, to: 9_500 },
    failures: [{ code: 'ECONNRESET', outcome: 'unknown', count: 10, stored: 3 }],
    ids: { lost: [], duplicated: [] },
  },
};
const over = (measures: Partial<RehearsedStage['measures']>, changed: Partial<Thresholds> = {}) =>
  checksOf({ ...good, measures: { ...good.measures, ...measures } }, { ...thresholds, ...changed })
    .filter(({ passed }) => !passed)
    .map(({ name, found, limit }) => `${name}: ${found}, allowed: ${limit}`);
const writes = (changes: Partial<RehearsedStage['measures']['writes']>) => ({
  writes: { ...good.measures.writes, ...changes },
});

describe('the checks of a drill', () => {
  it('pass where nothing is over its threshold', () => {
    expect(over({})).toEqual([]);
  });

  it.each([
    [writes({ lost: 1 }), 'acknowledged writes lost: 1, allowed: at most 0'],
    [writes({ duplicated: 2 }), 'writes done twice: 2, allowed: at most 0'],
    [writes({ hung: 3 }), 'writes that hung: 3, allowed: at most 0'],
    [writes({ failed: 11 }), 'writes that failed: 11, allowed: at most 10'],
    [writes({ acknowledged: 0 }), 'writes acknowledged: 0, allowed: at least 1'],
    [
      { failures: [{ code: '25006', outcome: 'not-executed', count: 2, stored: 1 }] } as const,
      'writes said not to be executed, and executed: 1, allowed: at most 0',
    ],
    [
      { patchToFirstWriteMillis: null },
      'first write to secondary-db.example.com after the patch: never, allowed: any time',
    ],
    [
      { patchToAllWorkersMillis: null },
      'every worker on secondary-db.example.com after the patch: never, allowed: any time',
    ],
    [{ longestPause: { from: 0, to: 5_100 } }, 'longest pause without a write: 5.1 s, allowed: at most 5.0 s'],
  ])('fail for %j', (measures, text) => {
    expect(over(measures)).toEqual([text]);
  });

  it('take the thresholds that were given', () => {
    const given = { lost: 5, failed: 2, firstWriteMillis: 100, allMovedMillis: 1_000, pauseMillis: undefined };
    expect(over({ ...writes({ lost: 5 }), longestPause: { from: 0, to: 50_000 } }, given)).toEqual([
      'writes that failed: 10, allowed: at most 2',
      'first write to secondary-db.example.com after the patch: 200 ms, allowed: within 100 ms',
    ]);
  });

  it('let a planned switch fail no write unless it is said otherwise', () => {
    const planned: RehearsedStage = { ...good, name: 'switch back', failuresExpected: 0 };
    const failed = checksOf(planned, thresholds).filter(({ passed }) => !passed);
    expect(failed).toEqual([
      { stage: 'switch back', name: 'writes that failed', limit: 'at most 0', found: '10', passed: false },
    ]);
  });
});

describe('the result of a drill', () => {
  it('passes if all checks of both switches do', () => {
    const { result } = scriptedResult();
    expect(result).toMatchObject({
      passed: true,
      service: 'default/webscaler-db',
      kind: 'crash',
      durationMillis: 18_300,
    });
    expect(result.stages.map(({ name, from, to }) => `${name}: ${from} -> ${to}`)).toEqual([
      'crash: primary-db.example.com -> secondary-db.example.com',
      'switch back: secondary-db.example.com -> primary-db.example.com',
    ]);
    expect(scriptedResult({ lost: 3 }).result.passed).toBe(false);
  });

  it('has moments in seconds since the start, and says nothing that is undefined in JSON', () => {
    const { result } = scriptedResult();
    expect(result.stages[0]?.longestPause).toEqual({ millis: 1_482, from: 8.018, to: 9.5 });
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });
});
