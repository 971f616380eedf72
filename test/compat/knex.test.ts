import { Pool, pgModule } from '@externalname/pg';
import knex, { type Knex } from 'knex';
import Postgres from 'knex/lib/dialects/postgres/index.js';
import QueryStream from 'pg-query-stream';
import { describe, expect, it } from 'vitest';
import type { Insert } from './support/library.ts';
import { specify } from './support/specification.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

/** Its connections are clients of ours, and its pool is its own. */
class PostgresThroughService extends Postgres {
  override _driver() {
    return pgModule;
  }
}

/** Knex on our pool, with a driver for the client that Knex makes beside the pool, to cancel. */
function knexThatCancels(pool: Pool, options: object): Knex {
  class ClientBesidePool extends pool.Client {
    constructor() {
      super(options);
    }
  }

  class PostgresOnPool extends Postgres {
    override _driver() {
      return { ...pgModule, Client: ClientBesidePool };
    }
  }

  return knex({ client: PostgresOnPool, connectionPool: pool, log: quiet });
}

function knexOfClients(webscaler: Webscaler): Knex {
  return knex({
    client: PostgresThroughService,
    connection: webscaler.options() as Knex.PgConnectionConfig,
    pool: { min: 0, max: 4 },
    log: quiet,
  });
}

// It warns of each connection that has ended.
const quiet: Knex.Logger = { warn() {}, error() {}, deprecate() {}, debug() {} };

const insert = (database: Knex, id: string) => database('writes').insert({ id });

const transaction = (database: Knex, work: (insert: Insert) => Promise<void>) =>
  database.transaction((trx) => work(async (id) => await trx('writes').insert({ id })));

const numbers = (database: Knex, count: number) =>
  database.select(database.raw('generate_series(1, ?::integer) as number', [count]));

interface Row {
  readonly number: number;
}

specify<Knex>({
  name: 'Knex, with clients of ours',
  open: knexOfClients,
  insert,
  transaction,
  async *stream(database, count) {
    for await (const { number } of numbers(database, count).stream() as AsyncIterable<Row>) yield number;
  },
  close: (database) => database.destroy(),
});

specify<{ database: Knex; pool: Pool }>({
  name: 'Knex, connectionPool',
  open(webscaler) {
    const pool = new Pool(webscaler.options());
    return { pool, database: knex({ client: 'pg', connectionPool: pool, log: quiet }) };
  },
  insert: ({ database }, id) => insert(database, id),
  transaction: ({ database }, work) => transaction(database, work),
  // Its own `stream()` gives the client back twice.
  async *stream({ database, pool }, count) {
    const { sql, bindings } = numbers(database, count).toSQL().toNative();
    const client = await pool.connect();
    try {
      const rows = client.query(new QueryStream(sql, [...bindings]));
      for await (const { number } of rows as AsyncIterable<Row>) yield number;
    } finally {
      client.release();
    }
  },
  async close({ database, pool }) {
    await database.destroy();
    await pool.end();
  },
});

describe('Knex, when a query takes longer than its timeout', () => {
  it('cancels it on the server, with clients of ours', async () => {
    await using webscaler = await startWebscaler();
    const database = knexOfClients(webscaler);
    try {
      const query = database.raw(endless).timeout(500, { cancel: true });
      await expect(query).rejects.toThrow('Defined query timeout of 500ms exceeded');
      await expect.poll(() => endlessOn(webscaler, 'primary-db.example.com'), { timeout: 20_000 }).toBe(0);
    } finally {
      await database.destroy();
    }
  });

  it('cancels it on the server that it runs on, with connectionPool, although the Service points elsewhere now', async () => {
    await using webscaler = await startWebscaler();
    const { cluster, pair } = webscaler;
    const options = webscaler.options({ targetSessionAttrs: 'any', drainTimeoutMillis: 600_000 });
    await using pool = new Pool(options);
    const database = knexThatCancels(pool, options);
    const connection = await database.client.acquireConnection();
    const cancelled = expect(database.raw(endless).connection(connection)).rejects.toMatchObject({ code: '57014' });
    await expect.poll(() => endlessOn(webscaler, 'primary-db.example.com'), { timeout: 20_000 }).toBe(1);
    await cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: pair.standby.hostName },
    ]);
    await expect.poll(() => pool.status(), { timeout: 20_000 }).toMatchObject({ epoch: 1, draining: 1 });
    // What a timeout does, at this moment.
    await database.client.cancelQuery(connection);
    await cancelled;
    await expect.poll(() => endlessOn(webscaler, 'primary-db.example.com'), { timeout: 20_000 }).toBe(0);
    await database.client.releaseConnection(connection);
    await pool.drained();
  });
});

const endless = 'select pg_sleep(600)';

async function endlessOn({ pair }: Webscaler, hostName: string): Promise<number> {
  const rows = await pair
    .server(hostName)
    .query("select pid from pg_stat_activity where query = $1 and state = 'active'", [endless]);
  return rows.length;
}
