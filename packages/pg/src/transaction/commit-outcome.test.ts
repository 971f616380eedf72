import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CommitAnswer,
  type CommitEvidence,
  judgeCommit,
  markerTable,
  relate,
  type ServerHistory,
} from './commit-outcome.ts';

const history: ServerHistory = { system: '7001', timeline: '00000001', statisticsSince: '1000.5' };
const recovered: ServerHistory = { ...history, statisticsSince: '2000.5' };
const promoted: ServerHistory = { ...history, timeline: '00000002', statisticsSince: '3000.5' };
const standby: ServerHistory = { ...history, timeline: undefined };
const stranger: ServerHistory = { ...history, system: '7002' };

const before: CommitEvidence = { transactionId: '741', wrote: true, processId: 12, history, marker: undefined };
const readOnly: CommitEvidence = { ...before, wrote: false };
const marked: CommitEvidence = { ...before, marker: '5e0e6b1c-0c3a-4f5e-9a53-6d6d5c1c9b7e' };

describe('a COMMIT without an answer', () => {
  const table: readonly [string, CommitEvidence, CommitAnswer, string][] = [
    ['the same server says so', before, { history, status: 'committed', marked: undefined }, 'committed'],
    ['the same server aborted it', before, { history, status: 'aborted', marked: undefined }, 'not-executed'],
    [
      'it wrote nothing before COMMIT, which may have sent a notification',
      readOnly,
      { history, status: 'committed', marked: undefined },
      'committed',
    ],
    [
      'it wrote nothing, and no session here was to be notified',
      readOnly,
      { history: promoted, status: undefined, marked: undefined },
      'not-executed',
    ],
    ['its process still runs', before, { history, status: 'in progress', marked: undefined }, 'in-progress'],
    ['it is too long ago', before, { history, status: 'forgotten', marked: undefined }, 'unprovable'],
    [
      'its process still runs, so no marker is seen yet',
      marked,
      { history, status: 'in progress', marked: false },
      'in-progress',
    ],
    ['the marker was cleaned up meanwhile', marked, { history, status: 'committed', marked: false }, 'committed'],
    [
      'after a crash the number may be another transaction',
      before,
      { history: recovered, status: 'committed', marked: undefined },
      'unprovable',
    ],
    [
      'after a crash the marker tells whose number it is',
      marked,
      { history: recovered, status: 'committed', marked: false },
      'not-executed',
    ],
    [
      'after a crash the marker is there',
      marked,
      { history: recovered, status: 'committed', marked: true },
      'committed',
    ],
    [
      'it did not survive a crash',
      before,
      { history: recovered, status: 'aborted', marked: undefined },
      'not-executed',
    ],
    [
      'its number was lost in a crash',
      before,
      { history: recovered, status: 'future', marked: undefined },
      'not-executed',
    ],
    [
      'statistics that were reset by hand look like a crash',
      before,
      { history: recovered, status: 'in progress', marked: undefined },
      'in-progress',
    ],
    [
      'a promoted copy cannot tell by the number',
      before,
      { history: promoted, status: undefined, marked: undefined },
      'unprovable',
    ],
    ['a promoted copy has the marker', marked, { history: promoted, status: undefined, marked: true }, 'committed'],
    [
      'a promoted copy will never have it',
      marked,
      { history: promoted, status: undefined, marked: false },
      'not-executed',
    ],
    [
      'a standby may still receive the marker',
      marked,
      { history: standby, status: undefined, marked: false },
      'unprovable',
    ],
    ['a standby has the marker', marked, { history: standby, status: undefined, marked: true }, 'committed'],
    [
      'a server of another origin may still receive it',
      marked,
      { history: stranger, status: undefined, marked: false },
      'unprovable',
    ],
    ['a server of another origin has it', marked, { history: stranger, status: undefined, marked: true }, 'committed'],
  ];
  it.each(table)('%s', (_, evidence, answer, verdict) => {
    expect(judgeCommit(evidence, answer)).toBe(verdict);
  });

  it('is never believed by its number on another server or after a crash', () => {
    const histories = fc.record({
      system: fc.constantFrom(undefined, '7001', '7002'),
      timeline: fc.constantFrom(undefined, '00000001', '00000002', '0000000A'),
      statisticsSince: fc.constantFrom(undefined, '1000.5', '2000.5'),
    });
    const status = fc.constantFrom('committed', 'aborted', 'in progress', 'future', 'forgotten', undefined);
    fc.assert(
      fc.property(histories, histories, status, (then, now, said) => {
        const evidence = { ...before, history: then as ServerHistory };
        const answer = { history: now as ServerHistory, status: said, marked: undefined } as CommitAnswer;
        const relation = relate(evidence.history, answer.history);
        const verdict = judgeCommit(evidence, answer);
        if (relation !== 'same run') expect(verdict).not.toBe('committed');
        if (relation === 'promoted copy' || relation === 'other') expect(verdict).toBe('unprovable');
      }),
    );
  });
});

describe('a marker table', () => {
  it.each([
    ['commits', '"commits"'],
    ['app.commits', '"app"."commits"'],
    ['Ünïcode_1$', '"Ünïcode_1$"'],
  ])('is quoted: %s', (written, quoted) => {
    expect(markerTable(written)).toBe(quoted);
  });

  it.each(['', 'a.b.c', '"quoted"', 'a; drop table b', '1st', undefined, 7])('is refused: %j', (written) => {
    expect(() => markerTable(written)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'commitMarker.table' }),
    );
  });
});
