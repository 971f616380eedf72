import { describe, expect, it } from 'vitest';
import { obliging } from './support/fake-postgres.ts';
import { start } from './support/pool-on-fake.ts';

describe('a verify hook', () => {
  it('that says no to a connection of pool.query() costs that connection, whatever its error looks like', async () => {
    let asked = 0;
    const { pool } = await start({
      max: 1,
      verify: (_client: unknown, done: (error?: Error) => void) => {
        asked += 1;
        done(asked === 1 ? new Error('not this one') : undefined);
      },
    });
    await expect(pool.query('select 1')).rejects.toThrow('not this one');
    await pool.query('select 1');
    expect(asked).toBe(2);
  });

  it('is asked about the connection that a switch began with', async () => {
    const verified: unknown[] = [];
    const { pool, switchTo } = await start({
      verify: (client: unknown, done: () => void) => {
        verified.push(client);
        done();
      },
    });
    await pool.query('select 1');
    await switchTo('secondary-db.example.com');
    const client = await pool.connect();
    expect(verified).toContain(client);
    client.release();
  });
});

describe('a server that dies while a connect hook runs', () => {
  it('is an outage like any other: the caller waits for the next connection', async () => {
    let sessions = 0;
    const { pool } = await start(
      { onConnect: (client: { query(text: string): Promise<unknown> }) => client.query('set a = b') },
      async (session) => {
        sessions += 1;
        if (sessions > 2) return obliging()(session);
        await obliging(() => {
          session.socket.destroy();
          return [];
        })(session);
      },
    );
    await pool.query('select 1');
    expect(sessions).toBe(3);
  });
});
