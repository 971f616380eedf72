import { Pool } from '@externalname/pg';
import { type Generated, Kysely, PostgresDialect, sql } from 'kysely';
import Cursor from 'pg-cursor';
import { describe, expect, it } from 'vitest';
import { specify } from './support/specification.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

interface Database {
  readonly writes: { readonly id: string; readonly server: Generated<string>; readonly backend: Generated<number> };
}

function open(pool: Pool): Kysely<Database> {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
}

specify<Kysely<Database>>({
  name: 'Kysely, PostgresDialect',
  open: (webscaler) => open(new Pool(webscaler.options())),
  insert: (database, id) => database.insertInto('writes').values({ id }).execute(),
  transaction: (database, work) =>
    database.transaction().execute((trx) => work((id) => trx.insertInto('writes').values({ id }).execute())),
  async *stream(database, count) {
    const rows = database.selectNoFrom(sql<number>`generate_series(1, ${sql.lit(count)})`.as('number')).stream(100);
    for await (const { number } of rows) yield number;
  },
  close: (database) => database.destroy(),
});

describe('Kysely, when a query is aborted', () => {
  it.each(['cancel query', 'kill session'] as const)('ends it on the server: %s', async (strategy) => {
    await using webscaler = await startWebscaler();
    // The one connection is taken: what cancels comes by another way.
    await using pool = new Pool(webscaler.options({ max: 1 }));
    const database = open(pool);
    const controller = new AbortController();
    const endless = run(database, controller.signal, strategy);
    await expect.poll(() => endlessOn(webscaler, 'primary-db.example.com'), { timeout: 20_000 }).toBe(1);
    controller.abort(new Error('too long'));
    await expect(endless).rejects.toThrow('too long');
    await expect.poll(() => endlessOn(webscaler, 'primary-db.example.com'), { timeout: 20_000 }).toBe(0);
    await database.insertInto('writes').values({ id: 'after' }).execute();
  });

  it('ends it on the server that it runs on, and not on the one that the Service points at now', async () => {
    await using webscaler = await startWebscaler();
    const { cluster, pair } = webscaler;
    await using pool = new Pool(webscaler.options({ targetSessionAttrs: 'any', drainTimeoutMillis: 600_000 }));
    const database = open(pool);
    const controller = new AbortController();
    const endless = run(database, controller.signal, 'cancel query');
    await expect.poll(() => endlessOn(webscaler, 'primary-db.example.com'), { timeout: 20_000 }).toBe(1);
    await cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: pair.standby.hostName },
    ]);
    await expect.poll(() => pool.status(), { timeout: 20_000 }).toMatchObject({ epoch: 1, draining: 1 });
    controller.abort(new Error('too long'));
    await expect(endless).rejects.toThrow('too long');
    await expect.poll(() => endlessOn(webscaler, 'primary-db.example.com'), { timeout: 20_000 }).toBe(0);
    await pool.drained();
  });
});

async function run(
  database: Kysely<Database>,
  signal: AbortSignal,
  inflightQueryAbortStrategy: 'cancel query' | 'kill session',
): Promise<unknown> {
  return await sql`select pg_sleep(600)`.execute(database, { signal, inflightQueryAbortStrategy });
}

async function endlessOn({ pair }: Webscaler, hostName: string): Promise<number> {
  const rows = await pair
    .server(hostName)
    .query("select pid from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'");
  return rows.length;
}
