import { Pool } from '@externalname/pg';
import { Logger, makeWorkerUtils, run, type WorkerUtils } from 'graphile-worker';
import { describe, expect, it } from 'vitest';
import { noteJobs } from './support/noted-jobs.ts';
import { specify } from './support/specification.ts';
import { changes, startWebscaler, type Webscaler } from './support/webscaler.ts';

const logger = new Logger(() => () => undefined);

interface Opened {
  readonly pool: Pool;
  readonly utils: WorkerUtils;
}

async function open(webscaler: Webscaler): Promise<Opened> {
  const pool = makePool(webscaler);
  return { pool, utils: await makeWorkerUtils({ pgPool: pool, logger }) };
}

/** A pool with the listeners that graphile-worker asks for. */
function makePool(webscaler: Webscaler): Pool {
  const pool = new Pool(webscaler.options());
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

async function close({ pool, utils }: Opened): Promise<void> {
  await utils.release();
  await pool.end();
}

async function prepare(webscaler: Webscaler): Promise<void> {
  const { database, user } = webscaler.pair;
  await webscaler.query(`grant create on database ${database} to ${user}`);
  const opened = await open(webscaler);
  await close(opened);
}

async function prepareWithNotes(webscaler: Webscaler): Promise<void> {
  await prepare(webscaler);
  await noteJobs(webscaler, 'graphile_worker._private_jobs', 'payload');
}

specify<Opened>({
  name: 'graphile-worker, pgPool',
  open,
  prepare: prepareWithNotes,
  insert: ({ utils }, id) => utils.addJob('order', { id }),
  transaction: ({ pool }, work) =>
    pool.transaction((tx) =>
      work((id) => tx.query("select graphile_worker.add_job('order', json_build_object('id', $1::text))", [id])),
    ),
  close,
});

describe('graphile-worker, the connection that listens', () => {
  it.each(changes)('is made again after %s, and a new job is run at once', async (_, change) => {
    await using webscaler = await startWebscaler();
    await prepare(webscaler);
    const pgPool = makePool(webscaler);
    const sender = await open(webscaler);
    const done: unknown[] = [];
    const runner = await run({
      pgPool,
      logger,
      noHandleSignals: true,
      // Longer than anybody waits: what runs a job here is the notification.
      pollInterval: 600_000,
      taskList: {
        order: (payload) => {
          done.push((payload as { id: string }).id);
        },
      },
    });
    const add = async (id: string) => {
      await expect.poll(() => listening(webscaler), { timeout: 20_000 }).toBe(true);
      await sender.utils.addJob('order', { id });
    };
    try {
      await add('before');
      await expect.poll(() => done, { timeout: 5_000 }).toEqual(['before']);
      // A job is marked as done after it ran, by a statement that is not retried and whose failure is not handled.
      await expect.poll(() => jobs(webscaler), { timeout: 5_000 }).toBe(0);
      await change(webscaler);
      await add('after');
      await expect.poll(() => done, { timeout: 5_000 }).toEqual(['before', 'after']);
    } finally {
      await runner.stop();
      await pgPool.end();
      await close(sender);
    }
  });
});

/** How many jobs are not done, as far as the database knows. */
async function jobs(webscaler: Webscaler): Promise<number> {
  return (await webscaler.query('select 1 from graphile_worker._private_jobs')).length;
}

/** Whether a session on the primary has sent its LISTEN. */
async function listening(webscaler: Webscaler): Promise<boolean> {
  const sessions = await webscaler.query(
    "select 1 from pg_stat_activity where query like 'LISTEN %' and state = 'idle'",
  );
  return sessions.length > 0;
}
