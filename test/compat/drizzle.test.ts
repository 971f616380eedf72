import { Pool, type Transaction } from '@externalname/pg';
import { sql } from 'drizzle-orm';
import { drizzle, type NodePgClient, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import { describe, expect, it } from 'vitest';
import { specify } from './support/specification.ts';
import { startWebscaler } from './support/webscaler.ts';

const writes = pgTable('writes', { id: text('id').notNull() });

specify<NodePgDatabase & { $client: Pool }>({
  name: 'Drizzle, node-postgres',
  open: (webscaler) => drizzle({ client: new Pool(webscaler.options()) }),
  insert: (database, id) => database.insert(writes).values({ id }),
  transaction: (database, work) => database.transaction(async (tx) => work((id) => tx.insert(writes).values({ id }))),
  close: (database) => database.$client.end(),
  repeatsStatements: true,
});

const within = (tx: Transaction) => drizzle({ client: tx as unknown as NodePgClient });

specify<NodePgDatabase & { $client: Pool }>({
  name: 'Drizzle, in pool.transaction()',
  open: (webscaler) => drizzle({ client: new Pool(webscaler.options()) }),
  insert: (database, id) => database.insert(writes).values({ id }),
  transaction: (database, work) =>
    database.$client.transaction((tx) => work((id) => within(tx).insert(writes).values({ id }))),
  close: (database) => database.$client.end(),
  repeatsStatements: true,
  repeatsTransactions: true,
});

describe('a statement that Drizzle has prepared', () => {
  const items = pgTable('items', { id: integer('id').notNull() });

  it('goes on after a migration and after DISCARD ALL, in a transaction of Drizzle from the next one on', async () => {
    await using webscaler = await startWebscaler();
    await using pool = new Pool(webscaler.options({ max: 1 }));
    const database = drizzle({ client: pool });
    await database.execute(sql`create table items (id integer)`);
    const all = database.select().from(items).prepare('all_items');
    await all.execute();
    await database.execute(sql`alter table items alter column id type bigint`);
    await all.execute();
    await database.execute(sql`discard all`);
    await all.execute();
    await database.execute(sql`discard all`);
    const within = () => database.transaction((tx) => tx.select().from(items).prepare('all_items').execute());
    await expect(within()).rejects.toMatchObject({ cause: { code: '26000', outcome: 'not-executed' } });
    expect(await within()).toEqual([]);
  });
});
