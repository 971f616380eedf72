import { createRequire } from 'node:module';
import { Pool, pgModule } from '@externalname/pg';
import { type Knex, knex } from 'knex';
import QueryStream from 'pg-query-stream';
import type { Library } from './support/library.ts';
import { specify } from './support/specification.ts';
import type { Webscaler } from './support/webscaler.ts';

interface Opened {
  readonly database: Knex;
  readonly pool?: Pool;
  end(): Promise<unknown>;
}

// Knex has no types for its dialects.
const Postgres = createRequire(import.meta.url)('knex/lib/dialects/postgres/index.js') as typeof Knex.Client;

class PostgresThroughService extends Postgres {
  _driver(): unknown {
    return pgModule;
  }
}

function withClient(webscaler: Webscaler): Opened {
  const connection = webscaler.options() as Knex.PgConnectionConfig;
  const database = knex({ client: PostgresThroughService, connection, pool: { min: 0, max: 4 } });
  return { database, end: () => database.destroy() };
}

function withPool(webscaler: Webscaler): Opened {
  const pool = new Pool(webscaler.options());
  const database = knex({ client: 'pg', connectionPool: pool });
  return {
    database,
    pool,
    async end() {
      await database.destroy();
      await pool.end();
    },
  };
}

const usage: Omit<Library<Opened>, 'name' | 'open'> = {
  insert: async ({ database }, id) => await database('writes').insert({ id }),
  transaction: ({ database }, work) =>
    database.transaction((tx) => work(async (id) => await tx('writes').insert({ id }))),
  async *stream({ database, pool }, count) {
    const rows = database.select(database.raw('generate_series(1, ?::integer) as number', [count]));
    for await (const { number } of pool === undefined ? rows.stream() : onClient(pool, rows)) yield number;
  },
  close: (opened) => opened.end(),
};

// Knex 3.3.0 releases a client of `connectionPool` twice when its stream has been read to the end, and the second throws where
// nobody catches it. A `pg.Pool` does the same. So streams run on a client of the pool.
async function* onClient(pool: Pool, query: Knex.QueryBuilder): AsyncGenerator<{ number: number }> {
  const { sql, bindings } = query.toSQL().toNative();
  const client = await pool.connect();
  try {
    yield* client.query(new QueryStream(sql, [...bindings])) as AsyncIterable<{ number: number }>;
  } finally {
    client.release();
  }
}

specify<Opened>({ name: 'Knex, a dialect with our client', open: withClient, ...usage });
specify<Opened>({ name: 'Knex, connectionPool', open: withPool, ...usage });
