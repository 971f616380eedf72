import { describe, expect, it } from 'vitest';
import { isShareableText, sharedConfigOf } from './shareable.ts';

describe('a text that may run between those of others', () => {
  it.each([
    'select 1',
    ' SELECT name FROM items WHERE id = $1 ;',
    '-- why\nselect 1',
    'insert into items (id) values ($1) returning id',
    'with moved as (delete from items returning *) insert into old select * from moved',
    'update items set name = $1 where id = $2',
    'delete from items',
    'values (1), (2)',
    'table items',
    'merge into items using other on true when matched then do nothing',
    "select 'begin; commit'",
    'select 1 as "into"',
    "insert into items values (nextval('ids'))",
    'select * from items for update skip locked',
    'select $tag$ set x = 1; $tag$',
  ])('%s', (text) => expect(isShareableText(text)).toBe(true));
});

describe('a text that needs a connection of its own', () => {
  it.each([
    ['nothing', ''],
    ['a transaction', 'begin'],
    ['a setting', "set statement_timeout = '1s'"],
    ['a setting by a function', "select set_config('a.b', 'c', false)"],
    ['the same in quotes', `select "set_config"('a.b', 'c', false)`],
    ['several statements', 'select 1; select 2'],
    ['several statements, the second of which may be one', "select 'a\\'; select 1"],
    ['a lock', 'select pg_advisory_lock(1)'],
    ['a lock, perhaps', 'select pg_try_advisory_xact_lock($1)'],
    ['a channel', 'listen jobs'],
    ['a temporary table', 'create temp table t (a int)'],
    ['a table by SELECT', 'select 1 into t'],
    ['a temporary table by SELECT', 'select 1 as a into temporary t'],
    ['what a sequence gave this session', "select currval('ids')"],
    ['the same of any', 'select lastval()'],
    ['a cursor', 'declare c cursor for select 1'],
    ['a COPY', 'copy items from stdin'],
    ['a prepared statement', 'execute x'],
    ['a procedure', 'call work()'],
    ['a block', 'do $$ begin end $$'],
    ['a large object', 'select lo_open(1, 2)'],
    ['a connection of a connection', "select dblink_connect('x')"],
    ['a seed', 'select setseed(0.5)'],
    ['a setting by the view of all', "update pg_settings set setting = '1s' where name = 'statement_timeout'"],
    ['a setting of pg_trgm', 'select set_limit(0.5)'],
    ['a slot that may be temporary', "select pg_create_physical_replication_slot('a', true, true)"],
    ['the same by a copy', "select pg_copy_logical_replication_slot('a', 'b', true)"],
    ['the progress of replication', "select pg_replication_origin_session_setup('a')"],
    ['a backup', "select pg_backup_start('a')"],
    ['the same until PostgreSQL 14', "select pg_start_backup('a', false, false)"],
    ['a text that is run', "select query_to_xml($1, true, true, '')"],
    ['the same for a search', 'select * from ts_stat($1)'],
    ['the same for a table', 'select * from crosstab($1) as rows (a int, b int)'],
    ['EXPLAIN, which may run anything', 'explain analyze select 1'],
    ['a name that cannot be read', 'select U&"set\\005fconfig"(1)'],
    ['more text than is worth reading', `select '${'x'.repeat(20_000)}'`],
  ])('%s', (_, text) => expect(isShareableText(text)).toBe(false));
});

describe('what pool.query() is called with', () => {
  it.each([
    ['a text', 'select 1', undefined],
    ['a text with values', 'select $1', [1]],
    ['a config', { text: 'select $1', values: [1], rowMode: 'array', name: 'x', idempotent: true }, undefined],
  ])('may share: %s', (_, asked, values) => expect(sharedConfigOf(asked, values)).toBe(asked));

  it.each([
    ['values that are none', 'select 1', 'x'],
    ['values of a config that are none', { text: 'select 1', values: {} }, undefined],
    ['an object that sends itself', { text: 'select 1', submit: () => undefined }, undefined],
    [
      'an instance',
      new (class {
        text = 'select 1';
      })(),
      undefined,
    ],
    ['a timeout of its own', { text: 'select 1', query_timeout: 10 }, undefined],
    ['rows in portions', { text: 'select 1', rows: 10 }, undefined],
    ['a token', { text: 'select 1', after: 'x' }, undefined],
    ['a name alone', { name: 'x' }, undefined],
    ['types of parameters', { text: 'select $1', types: [23] }, undefined],
    ['nothing', null, undefined],
  ])('needs a connection of its own: %s', (_, asked, values) => expect(sharedConfigOf(asked, values)).toBeUndefined());
});
