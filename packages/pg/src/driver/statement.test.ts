import { describe, expect, it } from 'vitest';
import { mayCommitWithin } from './statement.ts';

describe('a statement that may have committed a part of its work when it fails', () => {
  it.each([
    'begin; insert into t values (1); commit; insert into t values (2)',
    'BEGIN;INSERT INTO t VALUES (1);END;SELECT 1',
    "prepare transaction 'a'; select 1",
    'call batch_job()',
    '-- nightly\n/* of\nthe */ Call batch_job()',
    '/* of /* the */ night */ call batch_job()',
    'do $$ begin commit; end $$',
    'select 1; call batch_job()',
  ])('%s', (text) => {
    expect(mayCommitWithin(text)).toBe(true);
    expect(mayCommitWithin({ text, values: [] })).toBe(true);
  });

  it.each([
    'insert into t values (1)',
    "insert into t values ('commit');",
    'update t set a = case when b then 1 else 2 end',
    'insert into t values (1) on conflict do nothing',
    'insert into t values (1); insert into t values (2)',
    'select docall()',
    '',
    undefined,
    null,
    { name: 'prepared-before' },
  ])('is not: %s', (query) => {
    expect(mayCommitWithin(query)).toBe(false);
  });

  it.each([
    ['insert into t values (1); commit; insert into t values (2)', true],
    ['select 1; end', true],
    ['do $$ begin null; end $$; commit; select 1 / 0', true],
    ['do $$ begin null; end $$; do $$ begin null; end $$', true], // Nobody counts so far.
    ['call batch_job()', false],
    ['do $$ begin perform 1 / 0; end $$', false],
    ['/* nightly */ do language plpgsql $body$ begin perform 1; end $body$;', false],
    ['select 1; call batch_job()', false],
    ['insert into t values (1); insert into t values (2)', false],
  ])('inside a transaction, where no procedure can: %s', (text, expected) => {
    expect(mayCommitWithin(text, { inTransaction: true })).toBe(expected);
  });

  it('is found in no time, whatever stands before it', () => {
    const startedAt = performance.now();
    mayCommitWithin(`${' '.repeat(50_000)}x`);
    mayCommitWithin('/* */'.repeat(10_000));
    mayCommitWithin(`${';'.repeat(20_000)}${' '.repeat(20_000)}`);
    mayCommitWithin(`do $$ ; end ${'$'.repeat(40_000)}`, { inTransaction: true });
    mayCommitWithin(`do $a$ ; end ${'$a$ '.repeat(20_000)}`, { inTransaction: true });
    mayCommitWithin(`do ${' '.repeat(40_000)}; end ;x`, { inTransaction: true });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});
