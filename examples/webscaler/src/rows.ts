import { countWrites, createWriteTable, type PostgresPair, type PostgresServer } from '@externalname/testing';

/** Makes a table for writes. */
export async function makeTable({ primary, database, user }: PostgresPair, table: string): Promise<void> {
  await createWriteTable((text) => primary.query(text, [], { database }), { table, owner: user });
}

/** Counts on one server how often each id is there. */
export async function countRows(
  server: PostgresServer,
  { database, table }: { readonly database: string; readonly table: string },
): Promise<ReadonlyMap<number, number>> {
  return countWrites((text) => server.query(text, [], { database }), { table });
}
