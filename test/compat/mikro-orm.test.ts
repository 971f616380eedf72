import { Pool } from '@externalname/pg';
import { createPostgreSqlTypeParsers, defineEntity, MikroORM, type Options } from '@mikro-orm/postgresql';
import { PostgresDialect } from 'kysely';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { describe, expect, it } from 'vitest';
import { specify } from './support/specification.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

const Write = defineEntity({ name: 'Write', tableName: 'writes', properties: (p) => ({ id: p.string().primary() }) });

const Appointment = defineEntity({
  name: 'Appointment',
  tableName: 'appointments',
  properties: (p) => ({
    id: p.integer().primary(),
    at: p.datetime(),
    local: p.datetime().columnType('timestamp'),
    day: p.date(),
    days: p.array().columnType('date[]'),
    lasts: p.string().columnType('interval'),
  }),
});

function open(webscaler: Webscaler): Promise<MikroORM> {
  const pool = new Pool(webscaler.options({ types: dateTypes() }));
  return connect(webscaler, { driverOptions: new PostgresDialect({ pool, cursor: Cursor }) });
}

function connect(webscaler: Webscaler, options: Partial<Options>): Promise<MikroORM> {
  return MikroORM.init({ entities: [Write, Appointment], dbName: webscaler.pair.database, ...options });
}

/** What MikroORM sets on a pool of its own: it reads dates and intervals itself, from the server's text. */
function dateTypes(): pg.TypeOverrides {
  const types = new pg.TypeOverrides();
  for (const [oid, parse] of Object.entries(createPostgreSqlTypeParsers(parseTextArray))) {
    types.setTypeParser(Number(oid), parse);
  }
  return types;
}

// The types of pg know the ids of no arrays.
const parseTextArray = (pg.types.getTypeParser as (oid: number) => (text: string) => string[])(1009);

specify<MikroORM>({
  name: 'MikroORM, a Kysely dialect',
  open,
  async insert(orm, id) {
    await orm.em.fork().insert(Write, { id });
  },
  transaction: (orm, work) =>
    orm.em.fork().transactional(async (em) =>
      work(async (id) => {
        em.create(Write, { id });
        await em.flush();
      }),
    ),
  async *stream(orm, count) {
    const rows = orm.em.getConnection().stream<{ number: number }>(`select generate_series(1, ${count}) as number`);
    for await (const { number } of rows) yield number;
  },
  close: (orm) => orm.close(),
});

describe('MikroORM, dates through a dialect of ours', () => {
  it('reads what it reads through a pool of its own', async () => {
    await using webscaler = await startWebscaler();
    const { pair } = webscaler;
    await webscaler.query(
      'create table appointments (id integer, at timestamptz, local timestamp, day date, days date[], lasts interval)',
    );
    await webscaler.query(`grant all on appointments to ${pair.user}`);
    await webscaler.query(
      `insert into appointments values
         (1, '2026-11-25 01:02:03.004+00', '2026-11-25 01:02:03', '2026-11-25', '{2026-11-25}', '1 day 2 hours')`,
    );
    const { host, port, user, password, ssl } = pair.connection();
    const own = await connect(webscaler, { host, port, user, password, driverOptions: { ssl } });
    const ours = await open(webscaler);
    try {
      const [read, expected] = await Promise.all([ours, own].map((orm) => orm.em.fork().find(Appointment, {})));
      expect(read).toHaveLength(1);
      expect(read).toEqual(expected);
    } finally {
      await Promise.all([own.close(), ours.close()]);
    }
  });
});
