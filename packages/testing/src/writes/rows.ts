import { InvalidArgumentError } from '@externalname/core';
import { aText, checkFunction, checkObject, checkOptions, listOf, optional } from '@externalname/core/internal';

/** What runs a statement: a server of `PostgresPair` as its superuser, or a function of yours. */
export type RunStatement = (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** See {@link createWriteTable}. */
export interface WriteTableOptions {
  /** The name of the table, as it stands in SQL without quotes. */
  table: string;
  /** The role that the table shall belong to. @defaultValue the one that makes it */
  owner?: string | undefined;
}

/**
 * Makes a table for the rows of a {@link WriteLoad}: `id` and `worker`. Ids are unique by intention only: no index is there to hide a
 * second write.
 */
export async function createWriteTable(run: RunStatement, options: WriteTableOptions): Promise<void> {
  checkFunction('run', run);
  checkOptions(options, { table: aText, owner: optional(aText) });
  const { table, owner } = options;
  await run(`create table ${named(table, 'table')} (id bigint not null, worker int not null)`);
  if (owner !== undefined) await run(`alter table ${table} owner to "${owner.replaceAll('"', '""')}"`);
}

/** Counts how often each id is in a table of {@link createWriteTable} on one server. */
export async function countWrites(
  run: RunStatement,
  options: Pick<WriteTableOptions, 'table'>,
): Promise<ReadonlyMap<number, number>> {
  checkFunction('run', run);
  checkOptions(options, { table: aText });
  const rows = await run(
    `select id::text as id, count(*)::text as times from ${named(options.table, 'table')} group by id`,
  );
  listOf(checkObject)('what run returns', rows);
  return new Map(rows.map(({ id, times }) => [Number(id), Number(times)]));
}

// The name stands in the statement as it is.
function named(name: string, argument: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name)) return name;
  throw new InvalidArgumentError(
    argument,
    `must be a name of lower case letters, digits and underscores, got ${JSON.stringify(name)}`,
  );
}
