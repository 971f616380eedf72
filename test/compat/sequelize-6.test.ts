import { Client, type ClientOptions, outcomeOf, pgModule } from '@externalname/pg';
import { BaseError, DataTypes, Sequelize } from 'sequelize';
import { specify } from './support/specification.ts';
import type { Webscaler } from './support/webscaler.ts';

function open(webscaler: Webscaler): Sequelize {
  const { host, port, user, password, database, ssl, max, ...rest } = webscaler.hostOptions();

  // Sequelize hands on the options that it knows, and no others.
  class DatabaseClient extends Client {
    constructor(options: ClientOptions) {
      super({ ...options, ...rest, ssl });
    }
  }

  const sequelize = new Sequelize(database as string, user, password as string, {
    dialect: 'postgres',
    dialectModule: { ...pgModule, Client: DatabaseClient },
    host,
    port,
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

specify<Sequelize>({
  name: 'Sequelize 6, dialectModule',
  open,
  insert: (sequelize, id) => sequelize.model('Write').create({ id }),
  transaction: (sequelize, work) =>
    sequelize.transaction((transaction) => work((id) => sequelize.model('Write').create({ id }, { transaction }))),
  close: (sequelize) => sequelize.close(),
  outcome: (error) => outcomeOf(error instanceof BaseError && 'parent' in error ? error.parent : error),
});
