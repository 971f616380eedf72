import { promisify } from 'node:util';
import { Pool } from '@externalname/pg';
import connectPgSimple, { type PGStore } from 'connect-pg-simple';
import session, { type SessionData } from 'express-session';
import { describe, expect, it } from 'vitest';
import { specify } from './support/specification.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';
import { type Work, WriteLoad } from './support/write-load.ts';

const Store = connectPgSimple(session);

interface Opened {
  readonly store: PGStore;
  readonly pool: Pool;
}

function open(webscaler: Webscaler): Opened {
  const pool = new Pool(webscaler.options());
  return { pool, store: new Store({ pool, tableName: 'writes' }) };
}

/** All that a session store does may be done twice: it stores the same session again, or removes what is gone. */
function openRepeatable(webscaler: Webscaler): Opened {
  const pool = new Pool(webscaler.options());
  const query = (text: string, values: unknown[]) => pool.query({ text, values, idempotent: true });
  return { pool, store: new Store({ pool: { query } as unknown as Pool, tableName: 'writes' }) };
}

async function close({ store, pool }: Opened): Promise<void> {
  await store.close();
  await pool.end();
}

// The columns of its table, and beside them what the specification reads.
async function prepare(webscaler: Webscaler): Promise<void> {
  await webscaler.query(
    `alter table writes drop column id, add column sid varchar primary key, add column sess json not null,
       add column expire timestamp(6) not null, add column id text generated always as (sid) stored`,
  );
}

function store({ store }: Opened, id: string): Promise<unknown> {
  return promisify(store.set.bind(store))(id, sessionOf(id));
}

function sessionOf(user: string): SessionData & { readonly user: string } {
  return { cookie: { originalMaxAge: 60_000 }, user };
}

specify<Opened>({
  name: 'connect-pg-simple',
  open,
  prepare,
  insert: store,
  close,
  repeatsStatements: true,
});

describe('connect-pg-simple, a session', () => {
  it('is what it was after a crash, is renewed, and is destroyed', async () => {
    await using webscaler = await startWebscaler();
    await prepare(webscaler);
    const opened = open(webscaler);
    const { store: sessions } = opened;
    const get = promisify(sessions.get.bind(sessions));
    try {
      await store(opened, 'ada');
      await webscaler.failOver();
      expect(await get('ada')).toEqual(sessionOf('ada'));
      sessions.touch('ada', { ...sessionOf('ada'), cookie: { originalMaxAge: 0, expires: new Date(0) } });
      await expect.poll(() => get('ada')).toBeUndefined();
      await store(opened, 'ada');
      await promisify(sessions.destroy.bind(sessions))('ada');
      expect(await get('ada')).toBeUndefined();
    } finally {
      await close(opened);
    }
  });

  it('is stored without an error in a crash where its statements are marked as idempotent', async () => {
    await using webscaler = await startWebscaler();
    await prepare(webscaler);
    const opened = openRepeatable(webscaler);
    const work: Work = { name: 'session', rows: (write) => [write], write: ([id = '']) => store(opened, id) };
    const load = new WriteLoad([work, work, work, work], () => undefined);
    try {
      await load.everyoneWrites(5);
      await webscaler.failOver();
      await load.everyoneWrites(5);
    } finally {
      await load.stop();
      await close(opened);
    }
    expect(load.errors('session')).toEqual([]);
  });
});
