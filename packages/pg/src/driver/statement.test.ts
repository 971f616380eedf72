import { describe, expect, it } from 'vitest';
import { mayCommitWithin, mayEndTransaction } from './statement.ts';

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
    '-- nightly\rcall batch_job()',
    '\f\vcall batch_job()',
    "select '\\'; commit; select '",
    "select E'it\\'s'; commit; select 1",
    "select E'a'\n'\\''; commit; select 1",
    "select E'a' -- more\n'\\''; commit; select 1",
    "select U&'\\'; commit; select 1",
    'select $a$ $b$ $a$; commit; select $c$',
    'select "a; ""b"; commit; select 1',
    'select a$$; commit; select $$b',
    'select 1 /* /* */ ; */; commit; select 1',
    'select 1 +-- and\r2; commit; select 1',
    'vacuum',
    'ANALYZE',
    'cluster t',
    'reindex table t',
    'repack t',
    'create database a',
    'drop database a',
    'alter database a set tablespace b',
    'create tablespace a location b',
    'drop subscription a',
    'alter system set work_mem = 1',
    'create unique index concurrently if not exists a on t (b)',
    'drop index concurrently a',
    'alter table t detach partition u concurrently',
    'commit prepared',
    "rollback prepared 'a'",
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
    "select '; commit; select 1'",
    "select ';' 'commit;'",
    'select $$; commit; $$; select 1',
    'select $a$ $b$; commit; $b$ $a$; select 1',
    'select "; commit;"; select 1',
    'select 1 /* ; commit; /* ; */ ; commit; */; select 1',
    'select 1; -- commit;\nselect 2;',
    '(select 1) union (select 2)',
    'with a as (select 1) select * from a',
    'create table t (concurrent integer)',
    'refresh materialized view a',
  ])('is not: %s', (query) => {
    expect(mayCommitWithin(query)).toBe(false);
  });

  it.each([
    ['insert into t values (1); commit; insert into t values (2)', true],
    ['select 1; end', true],
    ['do $$ begin null; end $$; commit; select 1 / 0', true],
    ['do $$ begin null; end $$; do $$ begin null; end $$', false],
    ['do $$ begin null; end $$; end', true],
    ['call batch_job()', false],
    ['do $$ begin perform 1 / 0; end $$', false],
    ['/* nightly */ do language plpgsql $body$ begin perform 1; end $body$;', false],
    ['select 1; call batch_job()', false],
    ['insert into t values (1); insert into t values (2)', false],
  ])('inside a transaction, where no procedure can: %s', (text, expected) => {
    expect(mayCommitWithin(text, { inTransaction: true })).toBe(expected);
  });

  it('is what has no text here: a statement that was prepared before', () => {
    expect(mayCommitWithin({ name: 'prepared-before' })).toBe(true);
    expect(mayCommitWithin({ cursor: { text: 'select 1' } })).toBe(false);
    // In a transaction it is one statement, whichever it is.
    expect(mayCommitWithin({ name: 'prepared-before' }, { inTransaction: true })).toBe(false);
  });

  it('is found in no time, whatever stands before it', () => {
    const before = process.cpuUsage();
    mayCommitWithin(`${' '.repeat(50_000)}x`);
    mayCommitWithin('/* */'.repeat(10_000));
    mayCommitWithin(`${';'.repeat(20_000)}${' '.repeat(20_000)}`);
    mayCommitWithin(`do $$ ; end ${'$'.repeat(40_000)}`, { inTransaction: true });
    mayCommitWithin(`do $a$ ; end ${'$a$ '.repeat(20_000)}`, { inTransaction: true });
    mayCommitWithin(`do ${' '.repeat(40_000)}; end ;x`, { inTransaction: true });
    mayCommitWithin(`select 'a' ${'-'.repeat(50_000)}`);
    mayCommitWithin(`select 'a' ${'-- \n'.repeat(20_000)} x`);
    mayCommitWithin(`select ${"'a'\n".repeat(20_000)}`);
    mayCommitWithin(`select ${'$a'.repeat(30_000)}`);
    mayCommitWithin(`select ${'$a$ $b$ '.repeat(20_000)}`);
    mayCommitWithin(`select ${"E'\\".repeat(30_000)}`);
    mayCommitWithin('a'.repeat(200_000));
    mayCommitWithin(';a'.repeat(50_000));
    expect(process.cpuUsage(before).user / 1_000).toBeLessThan(1_000);
  });
});

describe('a statement in a transaction that may end it', () => {
  it.each([
    ['commit', true],
    ['COMMIT AND CHAIN', true],
    ['end', true],
    ["prepare transaction 'a'", true],
    ['rollback', true],
    ['abort work', true],
    ['insert into t values (1); commit; begin', true],
    ['rollback; insert into t values (1)', true],
    ['rollback to savepoint a', false],
    ['rollback work to a', false],
    ['rollback transaction to savepoint a', false],
    ['savepoint a', false],
    ["insert into t values ('commit; commit')", false],
    ['do $$ begin commit; end $$', false],
    ['prepare a as select 1', false],
  ])('%s: %s', (text, expected) => {
    expect(mayEndTransaction(text)).toBe(expected);
    expect(mayEndTransaction({ text })).toBe(expected);
  });
});
