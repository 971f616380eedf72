import * as pg from 'pg';
import { Client } from './client/client.ts';
import { Pool } from './pool/pool.ts';

/**
 * The `pg` module with our {@link Pool} and {@link Client}, for libraries that take a module and make clients
 * themselves: TypeORM's `driver`, Sequelize's `dialectModule` and `pgModule`, Knex's `_driver()`. `native` is `null`, as it is
 * in `pg` if pg-native is not installed.
 *
 * @example
 * ```ts
 * new DataSource({ type: 'postgres', driver: pgModule, host: 'webscaler-db', username: 'app', database: 'app' });
 * ```
 */
export const pgModule: PgModule = { ...namesOf(pg), Pool, Client, native: null };

/** See {@link pgModule}. */
export type PgModule = Omit<typeof pg, 'Pool' | 'Client' | 'native' | 'default'> & {
  readonly Pool: typeof Pool;
  readonly Client: typeof Client;
  readonly native: null;
};

// As an ES module, pg also has itself as its default export, which would bypass ours.
function namesOf(module: typeof pg): Omit<typeof pg, 'native' | 'default'> {
  const { default: _, ...names } = module as typeof pg & { default?: unknown };
  return names;
}
