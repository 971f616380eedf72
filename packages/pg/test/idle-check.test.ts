import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { obliging } from './support/fake-postgres.ts';
import { never, start } from './support/pool-on-fake.ts';

/** A pool whose server has forgotten its first session, as behind a NAT gateway, once `forgets` is set. Tells what was asked. */
async function idlePool() {
  const clock = new ManualClock();
  const asked: string[] = [];
  const nat = { forgets: false };
  const script = obliging(async (text, { number }) => {
    asked.push(`${number} ${text}`);
    if (nat.forgets && number === 0) await never();
    return undefined;
  });
  const { pool } = await start({ idleTimeoutMillis: 0, liveness: false }, script, { clock });
  await pool.query('select 1');
  return { pool, clock, asked, nat };
}

describe('a connection that was idle for longer than idleCheckMillis', () => {
  it('is asked with an empty statement before the next one, and then no more', async () => {
    const { pool, clock, asked } = await idlePool();
    await clock.advance(10_000);
    await pool.query('select 2');
    await clock.advance(10_001);
    await pool.query('select 3');
    await pool.query('select 4');
    expect(asked).toEqual(['0 select 1', '0 select 2', '0 ', '0 select 3', '0 select 4']);
  });

  it('is replaced if it does not answer within a second, and its caller gets an answer', async () => {
    const { pool, clock, asked, nat } = await idlePool();
    await clock.advance(10_001);
    nat.forgets = true;
    const answer = pool.query('select 2');
    await expect.poll(() => asked).toContain('0 ');
    await clock.advance(1_000);
    await answer;
    expect(asked).toEqual(['0 select 1', '0 ', '1 select 2']);
  });
});
