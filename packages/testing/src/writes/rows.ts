import type { PostgresPair, PostgresServer } from '@externalname/testing';

/** Makes a table for writes. Its ids are unique by intention only: no index is there to hide a second write. */
export async function makeTable(pair: PostgresPair, table: string): Promise<void> {
  const { primary, database, user } = pair;
  await primary.query(`create table ${table} (id bigint not null, worker int not null)`, [], { database });
  await primary.query(`alter table ${table} owner to "${user}"`, [], { database });
}

/** Counts on one server how often each id is there. */
export async function countRows(
  server: PostgresServer,
  { database, table }: { readonly database: string; readonly table: string },
): Promise<ReadonlyMap<number, number>> {
  const rows = await server.query<{ id: string; times: string }>(
    `select id, count(*) as times from ${table} group by id`,
    [],
    { database },
  );
  return new Map(rows.map(({ id, times }) => [Number(id), Number(times)]));
}
