import { Pool } from '@externalname/pg';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
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
