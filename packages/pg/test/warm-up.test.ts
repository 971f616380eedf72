import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { type FakeOptions, obliging } from './support/fake-postgres.ts';
import { gate, never, start, turn } from './support/pool-on-fake.ts';

describe('warmUp', () => {
  it('opens that many connections at the new target before the pool moves, and hands them out', async () => {
    const { pool, server, switchTo } = await start({ warmUp: 4, max: 4 });
    await pool.query('select 1');
    await switchTo('secondary-db.example.com');
    expect(server.sessions).toHaveLength(5);
    const clients = await Promise.all(Array.from({ length: 4 }, () => pool.connect()));
    expect(server.sessions).toHaveLength(5);
    for (const client of clients) client.release();
  });

  it('does not delay the move by more than a second', async () => {
    let sessions = 0;
    const clock = new ManualClock();
    const asked = gate();
    const script: FakeOptions['script'] = async (session) => {
      sessions += 1;
      if (sessions > 2) {
        asked.open();
        await never();
      }
      await obliging()(session);
    };
    const { pool, switchTo } = await start({ warmUp: 3 }, script, { clock });
    await pool.query('select 1');
    let moved = false;
    const moving = switchTo('secondary-db.example.com').then(() => {
      moved = true;
    });
    await asked.opened;
    await clock.advance(999);
    expect(moved).toBe(false);
    await clock.advance(1);
    await moving;
    await pool.query('select 1');
  });

  it('does not delay the move if the old server is lost', async () => {
    const [asked, mayAnswer] = [gate(), gate()];
    let sessions = 0;
    const script: FakeOptions['script'] = async (session) => {
      sessions += 1;
      if (sessions > 2) {
        asked.open();
        await mayAnswer.opened;
      }
      await obliging()(session);
    };
    // Its time stands still.
    const { pool, server, switchTo } = await start({ warmUp: 3 }, script, { clock: new ManualClock() });
    await pool.query('select 1');
    const moved = switchTo('secondary-db.example.com');
    await asked.opened;
    server.sessions[0]?.socket.destroy();
    await moved;
    mayAnswer.open();
    await pool.query('select 1');
  });

  it('opens as many as the pool has for a switch that is announced', async () => {
    const { pool, server, source, switchTo } = await start({ max: 3 });
    const clients = await Promise.all(Array.from({ length: 3 }, () => pool.connect()));
    for (const client of clients) client.release();
    source.plan({ to: 'secondary-db.example.com' });
    await expect.poll(() => pool.status().readySessions).toEqual({ 'secondary-db.example.com': 3 });
    await switchTo('secondary-db.example.com');
    const later = await Promise.all(Array.from({ length: 3 }, () => pool.connect()));
    for (const client of later) client.release();
    expect(server.sessions).toHaveLength(6);
  });

  it('closes them if the switch is given up', async () => {
    const { pool, source } = await start({ max: 3 });
    await pool.query('select 1');
    source.plan({ to: 'secondary-db.example.com' });
    await expect.poll(() => pool.status().readySessions).toEqual({ 'secondary-db.example.com': 1 });
    source.plan(undefined);
    await turn();
    await turn();
    expect(pool.status().readySessions).toEqual({});
  });

  it.each([0, 101, 1.5, '2'])('refuses %j', async (warmUp) => {
    await expect(start({ warmUp: warmUp as number })).rejects.toMatchObject({ argument: 'warmUp' });
  });
});
