import { Pool, type Transaction } from '@externalname/pg';
import { drizzle, type NodePgClient, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { pgTable, text } from 'drizzle-orm/pg-core';
import { specify } from './support/specification.ts';

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
