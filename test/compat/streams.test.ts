import { Pool } from '@externalname/pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { describe, expect, it } from 'vitest';
import type { Library } from './support/library.ts';
import { specify } from './support/specification.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

interface Row {
  readonly number: number;
}

const numbers = 'select generate_series(1, $1::integer) as number';

async function* byStream(pool: Pool, count: number): AsyncGenerator<number> {
  const client = await pool.connect();
  const stream = client.query(new QueryStream(numbers, [count]));
  try {
    for await (const { number } of stream as AsyncIterable<Row>) yield number;
  } finally {
    client.release();
  }
}

async function* byCursor(pool: Pool, count: number): AsyncGenerator<number> {
  const client = await pool.connect();
  const cursor = client.query(new Cursor<Row>(numbers, [count]));
  try {
    for (let rows = await cursor.read(100); rows.length > 0; rows = await cursor.read(100)) {
      for (const { number } of rows) yield number;
    }
  } finally {
    cursor.close().catch(ignore);
    client.release();
  }
}

const ways = [
  ['pg-query-stream', byStream],
  ['pg-cursor', byCursor],
] as const;

for (const [name, stream] of ways) {
  specify<Pool>({
    name,
    open: (webscaler) => new Pool(webscaler.options()),
    insert: (pool, id) => pool.query('insert into writes (id) values ($1)', [id]),
    transaction: (pool, work) =>
      pool.transaction((tx) => work((id) => tx.query('insert into writes (id) values ($1)', [id]))),
    stream,
    close: (pool) => pool.end(),
    repeatsStatements: true,
  } satisfies Library<Pool>);
}

describe.each(ways)('%s, while it is read', (_, stream) => {
  it('goes on to its end on the old server when the Service points elsewhere, within drainTimeoutMillis', async () => {
    await using webscaler = await startWebscaler();
    await using pool = new Pool(webscaler.options({ ...anyRole, drainTimeoutMillis: 60_000 }));
    const read: number[] = [];
    for await (const number of stream(pool, 5_000)) {
      read.push(number);
      if (number !== 1_000) continue;
      await pointAtStandby(webscaler);
      await expect.poll(() => pool.status(), { timeout: 20_000 }).toMatchObject({ epoch: 1, draining: 1 });
    }
    expect(read).toHaveLength(5_000);
    await pool.drained();
  });

  it('is cut after drainTimeoutMillis', async () => {
    await using webscaler = await startWebscaler();
    await using pool = new Pool(webscaler.options({ ...anyRole, drainTimeoutMillis: 50 }));
    const reading = readAndWait(stream(pool, 2_000_000_000), 1_000, async () => {
      await pointAtStandby(webscaler);
      await expect.poll(() => pool.status(), { timeout: 20_000 }).toMatchObject({ epoch: 1, draining: 0 });
    });
    await expect(reading).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_RETIRED', outcome: 'unknown' });
  });

  it('fails in a crash, and the next one is read from the new server', async () => {
    await using webscaler = await startWebscaler();
    await using pool = new Pool(webscaler.options());
    await expect(readAndWait(stream(pool, 2_000_000_000), 1_000, () => webscaler.failOver())).rejects.toThrow();
    const read: number[] = [];
    for await (const number of stream(pool, 500)) read.push(number);
    expect(read).toHaveLength(500);
    expect(pool.status()).toMatchObject({
      draining: 0,
      waiting: 0,
      target: { externalName: 'secondary-db.example.com' },
    });
  });
});

const anyRole = { targetSessionAttrs: 'any' } as const;

// Not as in a planned switch, which waits for what is under way on the old primary.
async function pointAtStandby({ cluster, pair }: Webscaler): Promise<void> {
  await cluster.services.patch('default', 'webscaler-db', [
    { op: 'replace', path: '/spec/externalName', value: pair.standby.hostName },
  ]);
}

/** Reads on after `work`, which is done when that many are read. */
async function readAndWait(stream: AsyncIterable<number>, count: number, work: () => Promise<unknown>): Promise<void> {
  for await (const number of stream) if (number === count) await work();
}

function ignore(): void {}
