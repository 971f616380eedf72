import { describe, expect, it } from 'vitest';
import { signalledProcesses } from './backend-signal.ts';

describe('the processes that a statement signals by number', () => {
  it.each<[unknown, unknown, number[]]>([
    ['select pg_cancel_backend(123)', undefined, [123]],
    ['select pg_terminate_backend(123)', [], [123]],
    ['SELECT PG_CATALOG.PG_TERMINATE_BACKEND ( 123 , 5000 )', undefined, [123]],
    ["select pg_cancel_backend('123')", undefined, [123]],
    ['select "pg_cancel_backend"(123)', undefined, [123]],
    ['select pg_cancel_backend(123::int)', undefined, [123]],
    ['select pg_cancel_backend(cast(123 as integer))', undefined, [123]],
    ['select pg_cancel_backend(pid => 123)', undefined, [123]],
    ['select pg_cancel_backend($1)', [123], [123]],
    ['select pg_cancel_backend($2::int4), $1', ['x', '123'], [123]],
    [{ text: 'select pg_cancel_backend($1)', values: [123] }, undefined, [123]],
    [{ text: 'select pg_cancel_backend($1)' }, [123], [123]],
    ['select pg_cancel_backend(1), pg_terminate_backend(2), pg_cancel_backend(1)', undefined, [1, 2]],
  ])('of %j with %j are %j', (query, values, processes) => {
    expect(signalledProcesses(query, values)).toEqual(processes);
  });

  it.each<[unknown, unknown?]>([
    ['select 1'],
    ['select pg_cancel_backend(pid) from pg_stat_activity where pid <> 123'],
    ['select pg_cancel_backend(pg_backend_pid())'],
    ['select pg_cancel_backend($1)'],
    ['select pg_cancel_backend($1)', [null]],
    ['select pg_cancel_backend($1)', ['abc']],
    ['select my_pg_cancel_backend(123)'],
    [{ name: 'named' }],
    [undefined],
    [null],
  ])('are none in %j with %j', (query, values) => {
    expect(signalledProcesses(query, values)).toEqual([]);
  });
});
