import { Client, type ClientOptions, pgModule } from '@externalname/pg';
import { DataTypes, Sequelize } from '@sequelize/core';
import { PostgresDialect } from '@sequelize/postgres';
import { specify } from './support/specification.ts';
import type { Webscaler } from './support/webscaler.ts';

function open(webscaler: Webscaler): Sequelize<PostgresDialect> {
  const { host, port, user, password, database, ssl, max, ...rest } = webscaler.hostOptions();

  // Sequelize takes the options that it knows, and refuses others.
  class DatabaseClient extends Client {
    constructor(options: ClientOptions) {
      super({ ...options, ...rest });
    }
  }

  const sequelize = new Sequelize({
    dialect: PostgresDialect,
    pgModule: { ...pgModule, Client: DatabaseClient },
    host,
    port,
    user,
    password: password as string,
    database: database as string,
    ssl: ssl as { ca: string },
    // A connection that is being made when Sequelize is closed ends when it has been idle.
    pool: { max: max as number, idle: 1_000, evict: 250 },
    logging: false,
  });
  sequelize.define(
    'Write',
    { id: { type: DataTypes.TEXT, primaryKey: true } },
    { tableName: 'writes', timestamps: false },
  );
  return sequelize;
}

specify<Sequelize<PostgresDialect>>({
  name: 'Sequelize 7, pgModule',
  open,
  // Inside the callback of a transaction, what is not told otherwise belongs to it.
  insert: (sequelize, id) => sequelize.models.getOrThrow('Write').create({ id }, { transaction: null }),
  transaction: (sequelize, work) =>
    sequelize.transaction((transaction) =>
      work((id) => sequelize.models.getOrThrow('Write').create({ id }, { transaction })),
    ),
  close: (sequelize) => sequelize.close(),
});
