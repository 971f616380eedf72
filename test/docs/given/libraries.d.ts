// What the pages of docs/libraries take as given, beside what every page does. Compiled as a file of test/compat, which has the libraries.
import type { PgTable } from 'drizzle-orm/pg-core';
import type { TaskList } from 'graphile-worker';
import type { Knex } from 'knex';

declare global {
  const orders: PgTable;
  const database: Knex;
  const taskList: TaskList;
  // Classes, as both TypeORM and MikroORM take them.
  const entities: (new () => object)[];
  // Kysely's type of all tables.
  interface Database {
    orders: { id: string };
  }
}
