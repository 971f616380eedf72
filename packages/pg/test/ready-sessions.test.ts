import { InvalidArgumentError } from '@externalname/core';
import type { PostgresServer } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool } from '../src/index.ts';
import { nextSwitch, startWebscaler, type Webscaler } from './support/webscaler.ts';

const application = 'ready-sessions';
let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
});
afterEach(() => webscaler.endPools());
afterAll(() => webscaler?.[Symbol.asyncDispose]());

/** Process ids of the application's sessions on a server, the oldest first. */
async function sessionsOn(server: PostgresServer): Promise<string[]> {
  const rows = await server.query<{ pid: string }>(
    'select pid::text from pg_stat_activity where application_name = $1 order by backend_start',
    [application],
  );
  return rows.map(({ pid }) => pid);
}

function poolWith(readySessions: number, allowedTargets?: string[]): Pool {
  return webscaler.pool({
    application_name: application,
    readySessions,
    ...(allowedTargets === undefined ? {} : { allowedTargets }),
  });
}

describe('a pool that keeps sessions ready', () => {
  it('opens them at the other targets after its first connection, and counts them nowhere', async () => {
    const pool = poolWith(3);
    expect(await sessionsOn(webscaler.pair.standby)).toEqual([]);
    await pool.query('select 1');
    await expect.poll(() => sessionsOn(webscaler.pair.standby)).toHaveLength(3);
    expect(await sessionsOn(webscaler.pair.primary)).toHaveLength(1);
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0]);
  });

  it('says in its status how many wait at each host that the Service may come to point at', async () => {
    const { primary, standby } = webscaler.pair;
    const pool = poolWith(3);
    expect(pool.status().readySessions).toEqual({ [primary.hostName]: 0, [standby.hostName]: 0 });
    await pool.query('select 1');
    await expect.poll(() => pool.status().readySessions).toEqual({ [primary.hostName]: 0, [standby.hostName]: 3 });
    expect(poolWith(0).status().readySessions).toEqual({});
  });

  it('keeps none by default, and none if the allow-list names no host', async () => {
    await poolWith(0).query('select 1');
    await poolWith(3, ['*.example.com']).query('select 1');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await sessionsOn(webscaler.pair.standby)).toEqual([]);
  });

  it('closes them with the pool', async () => {
    const pool = poolWith(2);
    await pool.query('select 1');
    await expect.poll(() => sessionsOn(webscaler.pair.standby)).toHaveLength(2);
    await pool.end();
    await expect.poll(() => sessionsOn(webscaler.pair.standby)).toEqual([]);
  });

  it('replaces one that its server has ended', async () => {
    const pool = poolWith(1);
    await pool.query('select 1');
    await expect.poll(() => sessionsOn(webscaler.pair.standby)).toHaveLength(1);
    const [before] = await sessionsOn(webscaler.pair.standby);
    await webscaler.pair.standby.query('select pg_terminate_backend($1)', [before]);
    await expect
      .poll(async () => (await sessionsOn(webscaler.pair.standby)).filter((pid) => pid !== before), { timeout: 10_000 })
      .toHaveLength(1);
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });

  it('refuses a number of them that is none', () => {
    for (const readySessions of [-1, 1.5, 101, '3' as unknown as number, Number.NaN]) {
      expect(() => new Pool(webscaler.options({ readySessions }))).toThrow(InvalidArgumentError);
    }
  });

  // The last one, as it changes the roles.
  it('serves callers after a switch in sessions that were there before, and keeps others at the server that was left', async () => {
    const { pair } = webscaler;
    const pool = poolWith(3);
    await pool.query('select 1');
    await expect.poll(() => sessionsOn(pair.standby)).toHaveLength(3);
    const waiting = await sessionsOn(pair.standby);
    const switched = nextSwitch();
    const standby = pair.standby;
    await pair.switchover({ rejoin: false, onPromoted: ({ hostName }) => webscaler.point(hostName) });
    await switched;
    const serving = await Promise.all(
      [1, 2, 3].map(async () => (await pool.query('select pg_backend_pid()::text as pid')).rows[0].pid),
    );
    expect(pair.primary).toBe(standby);
    expect(waiting).toEqual(expect.arrayContaining(serving));
    await expect.poll(() => sessionsOn(pair.standby), { timeout: 5_000 }).toHaveLength(3);
  });
});
