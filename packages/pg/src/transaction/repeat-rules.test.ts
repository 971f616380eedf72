import { describe, expect, it } from 'vitest';
import { mayRepeat, type RepeatBudget, repeatReason } from './repeat-rules.ts';

describe('a transaction that was rolled back', () => {
  const here = { readOnly: false, demoted: true };

  it.each([
    ['conflict', 'conflict'],
    ['server-lost', 'server'],
    ['not-queryable', 'server'],
    ['not-accepting', 'server'],
    ['read-only', 'server'],
    ['statement', undefined],
    ['session-ended', undefined],
    ['deadline', undefined],
    ['internal', undefined],
    ['other', undefined],
  ] as const)('after %s is repeated because of: %s', (kind, reason) => {
    expect(repeatReason(kind, here)).toBe(reason);
  });

  it('is repeated after a statement that its session had lost, and not for what else a session keeps', () => {
    expect(repeatReason('session-state', { ...here, forgotten: true })).toBe('conflict');
    expect(repeatReason('session-state', here)).toBeUndefined();
  });

  it('is not retried for being read-only if the application asked for that', () => {
    expect(repeatReason('read-only', { readOnly: true, demoted: true })).toBeUndefined();
    expect(repeatReason('read-only', { readOnly: false, demoted: false })).toBeUndefined();
  });
});

describe('the budget of repeats', () => {
  const budget: RepeatBudget = {
    retries: undefined,
    repeats: 0,
    conflicts: 0,
    readOnlyAnswers: 0,
    elapsedMillis: 0,
    failoverTimeoutMillis: 30_000,
  };

  it('is five for conflicts, and time alone for the loss of a server', () => {
    expect(mayRepeat('conflict', { ...budget, repeats: 4, conflicts: 4 })).toBe(true);
    expect(mayRepeat('conflict', { ...budget, repeats: 5, conflicts: 5 })).toBe(false);
    expect(mayRepeat('conflict', { ...budget, repeats: 50, conflicts: 4 })).toBe(true);
    expect(mayRepeat('server', { ...budget, repeats: 50 })).toBe(true);
    expect(mayRepeat('server', { ...budget, elapsedMillis: 30_000 })).toBe(false);
    expect(mayRepeat('conflict', { ...budget, elapsedMillis: 30_000 })).toBe(false);
  });

  it('is what the application says, for both', () => {
    expect(mayRepeat('conflict', { ...budget, retries: 0 })).toBe(false);
    expect(mayRepeat('server', { ...budget, retries: 0 })).toBe(false);
    expect(mayRepeat('conflict', { ...budget, retries: 9, repeats: 8, conflicts: 8 })).toBe(true);
    expect(mayRepeat('server', { ...budget, retries: 9, repeats: 9 })).toBe(false);
  });

  it('has no time limit for conflicts if the failover timeout is off, and no time for servers', () => {
    const off = { ...budget, failoverTimeoutMillis: 0, elapsedMillis: 60_000 };
    expect(mayRepeat('conflict', off)).toBe(true);
    expect(mayRepeat('server', off)).toBe(false);
  });

  it('ends when servers that proved to take writes say too often that they do not', () => {
    expect(mayRepeat('server', { ...budget, readOnlyAnswers: 3 })).toBe(true);
    expect(mayRepeat('server', { ...budget, readOnlyAnswers: 4 })).toBe(false);
  });
});
