import { setTimeout as sleep } from 'node:timers/promises';
import { StaticTargetSource } from '@externalname/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// A standby that is late all the time: it pauses its replay for up to 30 ms, again and again, and in the last third it is replaced by a
// new primary in the middle of the reads.
let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler({ synchronous: false });
}, 120_000);

afterAll(() => webscaler?.[Symbol.asyncDispose]());

it('100,000 reads after writes see what was written, on a standby that is late, and over a switch', async () => {
  const { pair } = webscaler;
  const [first, second] = pair.servers;
  const [writes, reads] = [new StaticTargetSource(first.hostName), new StaticTargetSource(second.hostName)];
  const pool = webscaler.pool({ source: writes, max: 8, reader: { source: reads, max: 16, catchUpMillis: 50 } });
  await pool.query('create table counters (id int primary key, value int not null)');
  await pool.query('insert into counters select id, 0 from generate_series(0, 31) as id');
  const total = Number(process.env['READS'] ?? 100_000);
  const done = { reads: 0, stale: 0, withoutToken: 0, stop: false };
  const late = (async () => {
    while (!done.stop) {
      const [paused] = [pair.standby];
      await paused.query('select pg_wal_replay_pause()').catch(() => undefined);
      await sleep(Math.random() * 30);
      await paused.query('select pg_wal_replay_resume()').catch(() => undefined);
      await sleep(Math.random() * 30);
    }
  })();
  // What the same reads would have seen without a token.
  const read = async (id: number, after: string | undefined) => {
    const { rows } = await pool.reader.query({ text: 'select value from counters where id = $1', values: [id], after });
    return rows[0].value as number;
  };
  const worker = async (id: number) => {
    for (let value = 1; done.reads < total; value += 1) {
      await pool.query('update counters set value = $2 where id = $1', [id, value]);
      const after = await pool.currentToken();
      // Several reads may share a token.
      const [plain, ...seen] = await Promise.all([undefined, after, after, after].map((token) => read(id, token)));
      if (plain !== undefined && plain < value) done.withoutToken += 1;
      done.reads += seen.length;
      done.stale += seen.filter((each) => each < value).length;
    }
  };
  const work = Promise.all(Array.from({ length: 32 }, (_, id) => worker(id)));
  while (done.reads < (total * 2) / 3) await sleep(50);
  writes.plan({ to: second.hostName });
  await pair.switchover({
    rejoin: false,
    onPromoted: () => {
      writes.set(second.hostName);
    },
  });
  await pair.rejoin(first);
  reads.set(first.hostName);
  await work;
  done.stop = true;
  await late;
  console.log(done, pool.status().reader?.tokenReads, pool.status().reader?.target?.externalName);
  expect(done.stale).toBe(0);
  // The standby was late indeed.
  expect(done.withoutToken).toBeGreaterThan(0);
}, 900_000);
