import { describe, expect, it } from 'vitest';
import { countWrites, createWriteTable } from './rows.ts';

describe('the table of writes', () => {
  it('has no index that would hide a second write, and belongs to whom it shall', async () => {
    const statements: string[] = [];
    const run = async (text: string) => {
      statements.push(text);
      return [];
    };
    await createWriteTable(run, { table: 'writes', owner: 'my "app"' });
    expect(statements).toEqual([
      'create table writes (id bigint not null, worker int not null)',
      'alter table writes owner to "my ""app"""',
    ]);
  });

  it('is counted by id', async () => {
    const rows = [
      { id: '1', times: '1' },
      { id: '2', times: '2' },
    ];
    expect(await countWrites(async () => rows, { table: 'writes' })).toEqual(
      new Map([
        [1, 1],
        [2, 2],
      ]),
    );
  });

  it.each(['', 'Writes', 'w; drop table x', 'a.b', '1st', 'a'.repeat(64)])('is not called %j', async (table) => {
    const refused = expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'table' });
    await expect(createWriteTable(async () => [], { table })).rejects.toEqual(refused);
    await expect(countWrites(async () => [], { table })).rejects.toEqual(refused);
  });
});
