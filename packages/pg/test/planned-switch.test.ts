import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import type { PoolOptions } from '../src/index.ts';
import { obliging } from './support/fake-postgres.ts';
import { start } from './support/pool-on-fake.ts';

const secondary = 'secondary-db.example.com';
const rounds: (() => void)[] = [];

afterEach(() => {
  for (const answer of rounds.splice(0)) answer();
});

/** A pool of three sessions whose server answers, from the move on, only when it is told to: so a round trip can be counted. */
async function movingPool(options: PoolOptions = {}) {
  let isCounting = false;
  let asked: { readonly text: string; readonly answer: () => void }[] = [];
  const script = obliging(async (text) => {
    if (isCounting)
      await new Promise<void>((resolve) => {
        asked.push({ text, answer: resolve });
        rounds.push(resolve);
      });
    return undefined;
  });
  const { pool, server, source } = await start({ max: 3, ...options }, script);
  const clients = await Promise.all(Array.from({ length: 3 }, () => pool.connect()));
  for (const client of clients) client.release();
  return {
    pool,
    server,
    source,
    beginCounting: () => {
      isCounting = true;
    },
    /** The statements of one round trip, which are all with the server at the same time, and their answers. */
    async roundTrip(count: number): Promise<string[]> {
      await expect.poll(() => asked.map(({ text }) => text)).toHaveLength(count);
      const round = asked;
      asked = [];
      for (const { answer } of round) answer();
      return round.map(({ text }) => text);
    },
  };
}

/** Three callers who are held for a switch that was announced, and is made now. */
async function heldInASwitch(options: PoolOptions = {}) {
  const { pool, source, beginCounting, roundTrip } = await movingPool(options);
  source.plan({ to: secondary });
  await expect.poll(() => pool.status().readySessions).toEqual({ [secondary]: 3 });
  const held = [1, 2, 3].map((value) => pool.query(`select ${value}`));
  beginCounting();
  source.set(secondary);
  return { held, roundTrip };
}

describe('a switch that was announced', () => {
  it('costs held callers one round trip for the proof of all sessions, before that of their own query', async () => {
    const { held, roundTrip } = await heldInASwitch();
    expect(await roundTrip(3)).toEqual(['', '', '']);
    expect((await roundTrip(3)).toSorted()).toEqual(['select 1', 'select 2', 'select 3']);
    await Promise.all(held);
  });

  it('says goodbye to the old server after the queries of held callers are sent', async () => {
    const sent: string[] = [];
    class Client extends pg.Client {
      override query(...given: unknown[]): never {
        const [query] = given as [string | { text: string }];
        sent.push(typeof query === 'string' ? query : query.text);
        return (super.query as (...all: unknown[]) => unknown)(...given) as never;
      }
      override end(...given: []): Promise<void> {
        sent.push('goodbye');
        return super.end(...given);
      }
    }
    const { pool, source } = await start({ max: 1, Client });
    await pool.query('select 0');
    source.plan({ to: secondary });
    await expect.poll(() => pool.status().readySessions).toEqual({ [secondary]: 1 });
    const held = pool.query('select 1');
    source.set(secondary);
    await held;
    expect(sent).toEqual(['select 0', '', 'select 1', 'goodbye']);
  });

  it('runs the hooks of all sessions at once', async () => {
    const onConnect: PoolOptions['onConnect'] = async (client) => void (await client.query('set a.b = 1'));
    const { held, roundTrip } = await heldInASwitch({ onConnect });
    expect(await roundTrip(3)).toEqual(['', '', '']);
    expect(await roundTrip(3)).toEqual(['set a.b = 1', 'set a.b = 1', 'set a.b = 1']);
    expect((await roundTrip(3)).toSorted()).toEqual(['select 1', 'select 2', 'select 3']);
    await Promise.all(held);
  });

  it('keeps all the sessions that were opened for it, if warmUp asks for fewer', async () => {
    const { pool, server, source } = await movingPool({ warmUp: 2 });
    source.plan({ to: secondary });
    await expect.poll(() => pool.status().readySessions).toEqual({ [secondary]: 3 });
    const held = [1, 2, 3].map((value) => pool.query(`select ${value}`));
    source.set(secondary);
    await Promise.all(held);
    expect([pool.totalCount, server.sessions.length]).toEqual([3, 6]);
  });
});

describe('sessions that warmUp has opened', () => {
  it('are not asked again by the callers who come at once', async () => {
    const { pool, source, beginCounting, roundTrip } = await movingPool({ warmUp: 3 });
    source.set(secondary);
    await expect.poll(() => pool.status().target?.externalName).toBe(secondary);
    beginCounting();
    const calls = [1, 2, 3].map((value) => pool.query(`select ${value}`));
    expect((await roundTrip(3)).toSorted()).toEqual(['select 1', 'select 2', 'select 3']);
    await Promise.all(calls);
  });
});
