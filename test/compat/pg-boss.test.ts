import { Pool } from '@externalname/pg';
import { type ConstructorOptions, type Db, PgBoss } from 'pg-boss';
import { describe, expect, it } from 'vitest';
import { noteJobs } from './support/noted-jobs.ts';
import { specify } from './support/specification.ts';
import { changes, startWebscaler, type Webscaler } from './support/webscaler.ts';
import { type Work, WriteLoad } from './support/write-load.ts';

/** pg-boss takes no pool, but asks for no more than this. */
function databaseOf(pool: Pool): Db {
  return {
    executeSql: (text, values) => pool.query(text, values),
    async listen(channel, onNotification, onReconnect) {
      const subscription = await pool.listen(channel, ({ payload }) => onNotification(payload), { onReconnect });
      onReconnect();
      return subscription;
    },
  };
}

interface Opened {
  readonly pool: Pool;
  readonly boss: PgBoss;
}

async function open(webscaler: Webscaler, options: ConstructorOptions = {}): Promise<Opened> {
  const pool = new Pool(webscaler.options());
  const boss = new PgBoss({ db: databaseOf(pool), supervise: false, schedule: false, ...options });
  // What a worker met when it asked for jobs: it asks again.
  boss.on('error', () => undefined);
  await boss.start();
  return { pool, boss };
}

async function close({ pool, boss }: Opened): Promise<void> {
  await boss.stop({ graceful: false });
  await pool.end();
}

async function prepare(webscaler: Webscaler): Promise<void> {
  const { database, user } = webscaler.pair;
  await webscaler.query(`grant create on database ${database} to ${user}`);
  const opened = await open(webscaler);
  await opened.boss.createQueue('orders', { notify: true, expireInSeconds: 2, retryLimit: 10, retryDelay: 0 });
  await close(opened);
}

async function prepareWithNotes(webscaler: Webscaler): Promise<void> {
  await prepare(webscaler);
  await noteJobs(webscaler, 'pgboss.job', 'data');
}

specify<Opened>({
  name: 'pg-boss, executeSql',
  open,
  prepare: prepareWithNotes,
  insert: ({ boss }, id) => boss.send('orders', { id }),
  transaction: ({ pool, boss }, work) =>
    pool.transaction((tx) =>
      work(async (id) => {
        await boss.send('orders', { id }, { db: { executeSql: (text, values) => tx.query(text, values) } });
      }),
    ),
  close,
  repeatsStatements: true,
});

describe('pg-boss, workers', () => {
  it('run every job that was acknowledged, through a crash', async () => {
    await using webscaler = await startWebscaler();
    await prepare(webscaler);
    const opened = await open(webscaler, { supervise: true, superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 });
    const { boss } = opened;
    const run = new Set<string>();
    const sent = new Set<string>();
    const work: Work = {
      name: 'job',
      rows: (write) => [write],
      write: async ([id = '']) => {
        await boss.send('orders', { id });
        sent.add(id);
      },
    };
    let load: WriteLoad | undefined;
    try {
      await boss.work<{ id: string }>('orders', { batchSize: 10, pollingIntervalSeconds: 0.5 }, async (jobs) => {
        for (const { data } of jobs) run.add(data.id);
      });
      load = new WriteLoad([work, work, work], () => undefined);
      await load.everyoneWrites(5);
      await webscaler.failOver();
      await load.everyoneWrites(5);
      await load.stop();
      // One that was handed out when the server died is handed out again when its time is up.
      await expect.poll(() => [...sent].filter((id) => !run.has(id)), { timeout: 60_000, interval: 100 }).toEqual([]);
    } finally {
      await load?.stop();
      await close(opened);
    }
  });

  it.each(changes)('are told of a new job after %s', async (_, change) => {
    await using webscaler = await startWebscaler();
    await prepare(webscaler);
    const worker = await open(webscaler, { useListenNotify: true });
    const sender = await open(webscaler);
    const run: string[] = [];
    try {
      // Longer than anybody waits: what runs a job here is the notification.
      const seldom = { pollingIntervalSeconds: 600, notifyPollingIntervalSeconds: 600 };
      await worker.boss.work<{ id: string }>('orders', seldom, async (jobs) => {
        run.push(...jobs.map(({ data }) => data.id));
      });
      await sender.boss.send('orders', { id: 'before' });
      await expect.poll(() => run, { timeout: 5_000 }).toEqual(['before']);
      await change(webscaler);
      await worker.pool.query('select 1');
      await sender.boss.send('orders', { id: 'after' });
      await expect.poll(() => run, { timeout: 10_000 }).toEqual(['before', 'after']);
    } finally {
      await Promise.all([close(worker), close(sender)]);
    }
  });
});
