import { setTimeout as sleep } from 'node:timers/promises';
import { StaticTargetSource } from '@externalname/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler({ synchronous: false });
}, 120_000);

afterAll(() => webscaler?.[Symbol.asyncDispose]());

// READ_LIMITS=1, on a machine that does nothing else, holds 99 of 100 reads of each phase to a second.
it('a replica that is killed, frozen or late fails no read', async () => {
  const { pair } = webscaler;
  const source = new StaticTargetSource(pair.standby.hostName);
  const pool = webscaler.pool({ max: 8, reader: { source, max: 16, maxLagBytes: 100_000 } });
  await pool.query('drop table if exists readings');
  await pool.query('create table readings (id int primary key, value text not null)');
  await pool.query("insert into readings select id, 'x' from generate_series(1, 1000) as id");
  const rows: object[] = [];
  /** What reads go through while something happens, in the time that it takes. */
  const during = async (phase: string, happens: () => Promise<unknown>) => {
    const millis: number[] = [];
    const byServer = { standby: 0, primary: 0 };
    const failures: unknown[] = [];
    let isOver = false;
    const worker = async () => {
      while (!isOver) {
        const beganAt = performance.now();
        const text = 'select value, pg_is_in_recovery() as standby from readings where id = $1';
        await pool.reader.query(text, [1 + Math.floor(Math.random() * 1_000)]).then(
          ({ rows: [row] }) => {
            byServer[row.standby ? 'standby' : 'primary'] += 1;
          },
          (error: unknown) => failures.push(error),
        );
        millis.push(performance.now() - beganAt);
        await sleep(4);
      }
    };
    const work = Promise.all(Array.from({ length: 32 }, worker));
    await happens();
    isOver = true;
    await work;
    millis.sort((a, b) => a - b);
    const [p99 = 0, longest = 0] = [millis[Math.floor(millis.length * 0.99)], millis.at(-1)];
    rows.push({
      phase,
      ...byServer,
      failed: failures.length,
      'p99 ms': Math.round(p99),
      'max ms': Math.round(longest),
    });
    expect(failures).toEqual([]);
    if (process.env['READ_LIMITS'] === '1') expect(p99).toBeLessThan(1_000);
    return byServer;
  };
  const isAtStandby = async () => (await pool.reader.query('select pg_is_in_recovery() as standby')).rows[0].standby;
  await expect.poll(isAtStandby, { timeout: 30_000 }).toBe(true);
  const healthy = await during('all well', () => sleep(4_000));
  expect(healthy.primary).toBe(0);
  const killed = await during('killed', async () => {
    await sleep(500);
    await pair.standby.kill();
    await sleep(6_000);
  });
  expect(killed.primary).toBeGreaterThan(0);
  const restarted = await during('started again', async () => {
    await pair.standby.start();
    await sleep(9_000);
  });
  expect(restarted.standby).toBeGreaterThan(0);
  await during('frozen', async () => {
    await sleep(500);
    await pair.standby.freeze();
    await sleep(10_000);
  });
  const thawed = await during('thawed', async () => {
    await pair.standby.thaw();
    await sleep(12_000);
  });
  expect(thawed.standby).toBeGreaterThan(0);
  const late = await during('late', async () => {
    await pair.standby.query('select pg_wal_replay_pause()');
    await pool.query("update readings set value = repeat('y', 1000)");
    await sleep(5_000);
  });
  expect(late.primary).toBeGreaterThan(0);
  const caughtUp = await during('caught up', async () => {
    await pair.standby.query('select pg_wal_replay_resume()');
    await sleep(12_000);
  });
  expect(caughtUp.standby).toBeGreaterThan(0);
  console.table(rows);
}, 300_000);
