import { Pool } from '@externalname/pg';
import { type InflightQueryAbortStrategy, Kysely, PostgresDialect, sql } from 'kysely';
import Cursor from 'pg-cursor';
import { describe, expect, it } from 'vitest';
import { specify } from './support/specification.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

interface Tables {
  readonly writes: { readonly id: string };
}

const open = (pool: Pool): Kysely<Tables> =>
  new Kysely<Tables>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });

specify<Kysely<Tables>>({
  name: 'Kysely, PostgresDialect',
  open: (webscaler) => open(new Pool(webscaler.options())),
  insert: (database, id) => database.insertInto('writes').values({ id }).execute(),
  transaction: (database, work) =>
    database.transaction().execute((tx) => work((id) => tx.insertInto('writes').values({ id }).execute())),
  async *stream(database, count) {
    const series = sql<number>`generate_series(1, ${count}::integer)`;
    for await (const { number } of database.selectNoFrom(series.as('number')).stream(100)) yield number;
  },
  close: (database) => database.destroy(),
});

describe.each<InflightQueryAbortStrategy>(['cancel query', 'kill session'])('Kysely, %s', (strategy) => {
  it('ends the query on the server when its signal is aborted', async () => {
    await using webscaler = await startWebscaler();
    await using database = open(new Pool(webscaler.options()));
    const aborted = new AbortController();
    const query = sleep(database, strategy, aborted.signal);
    await expect.poll(() => sleepers(webscaler), { timeout: 20_000 }).toBe(1);
    aborted.abort();
    await expect(query).rejects.toThrow();
    await expect.poll(() => sleepers(webscaler), { timeout: 20_000 }).toBe(0);
    await expect(database.insertInto('writes').values({ id: 'after' }).execute()).resolves.toBeDefined();
  });

  it('ends it on the old server, where it still runs after the Service points elsewhere', async () => {
    await using webscaler = await startWebscaler();
    const { cluster, pair } = webscaler;
    const pool = new Pool(webscaler.options({ targetSessionAttrs: 'any', drainTimeoutMillis: 60_000 }));
    await using database = open(pool);
    const aborted = new AbortController();
    const query = sleep(database, strategy, aborted.signal);
    await expect.poll(() => sleepers(webscaler), { timeout: 20_000 }).toBe(1);
    await cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: pair.standby.hostName },
    ]);
    await expect.poll(() => pool.status(), { timeout: 20_000 }).toMatchObject({ epoch: 1, draining: 1 });
    aborted.abort();
    await expect(query).rejects.toThrow();
    await expect.poll(() => sleepers(webscaler), { timeout: 20_000 }).toBe(0);
    await expect.poll(() => pool.status(), { timeout: 20_000 }).toMatchObject({ draining: 0 });
  });
});

async function sleep(
  database: Kysely<Tables>,
  inflightQueryAbortStrategy: InflightQueryAbortStrategy,
  signal: AbortSignal,
): Promise<unknown> {
  return await sql`select pg_sleep(600)`.execute(database, { signal, inflightQueryAbortStrategy });
}

/** How many of them run on the primary, as it sees it. */
async function sleepers(webscaler: Webscaler): Promise<number> {
  const rows = await webscaler.query(
    "select pid from pg_stat_activity where usename = $1 and state = 'active' and query like '%pg_sleep%'",
    [webscaler.pair.user],
  );
  return rows.length;
}
