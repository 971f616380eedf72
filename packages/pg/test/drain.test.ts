import { once } from 'node:events';
import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { outcomeOf } from '../src/index.ts';
import { commandComplete, obliging, readyForQuery } from './support/fake-postgres.ts';
import { gate, start, turn } from './support/pool-on-fake.ts';
import { isSharing } from './support/sharing-of-all.ts';

const inTransaction = obliging((text) =>
  text === 'begin' ? [commandComplete('BEGIN'), readyForQuery('T')] : undefined,
);

describe('a transaction on a target that is left', () => {
  it('goes on for the drain time, to the millisecond', async () => {
    const clock = new ManualClock();
    const { pool, switchTo } = await start({ drainTimeoutMillis: 250, liveness: false }, inTransaction, { clock });
    const client = await pool.connect();
    const broken = once(client, 'error');
    await client.query('begin');
    await switchTo('secondary-db.example.com');
    await clock.advance(249);
    expect(pool.status().draining).toBe(1);
    await clock.advance(1);
    expect(await broken).toMatchObject([{ code: 'ERR_EXTERNALNAME_TARGET_RETIRED' }]);
    await pool.drained();
    client.release();
  });

  it('goes on without a limit if there is none', async () => {
    const clock = new ManualClock();
    const options = { drainTimeoutMillis: Number.POSITIVE_INFINITY, liveness: false } as const;
    const { pool, switchTo } = await start(options, inTransaction, { clock });
    const client = await pool.connect();
    client.on('error', () => undefined);
    await client.query('begin');
    await switchTo('secondary-db.example.com');
    await clock.advance(24 * 3_600_000);
    await client.query('select 1');
    client.release(true);
  });
});

describe('a failover timeout beyond what timers take', () => {
  it('is not over at once', async () => {
    // Node fires such a timer after a millisecond. It is the clock of the machine that is tested.
    const onConnect = () => new Promise((resolve) => setTimeout(resolve, 20));
    const { pool } = await start({ failoverTimeoutMillis: 2 ** 40, onConnect });
    await pool.query('select 1');
  });
});

describe('a callback-style application on a client whose target is retired', () => {
  it('does not get a next statement through to the old server', async () => {
    const seen: string[] = [];
    const [asked, answered] = [gate(), gate()];
    const { pool, server, switchTo } = await start(
      {},
      obliging(async (text) => {
        seen.push(text);
        if (text === 'first') {
          asked.open();
          await answered.opened;
        }
        return undefined;
      }),
    );
    const client = await pool.connect();
    client.on('error', () => undefined);
    const second = new Promise<unknown>((resolve) => {
      const next = (error: unknown) => resolve(error);
      // biome-ignore lint/nursery/noFloatingPromises: the form with a callback returns nothing
      client.query('first', () => client.query('second', next));
    });
    await asked.opened;
    await switchTo('secondary-db.example.com');
    const [old] = server.sessions;
    const closed = old === undefined ? undefined : once(old.socket, 'close');
    answered.open();
    const error = await second;
    await closed;
    expect(seen).not.toContain('second');
    expect(error).toBeInstanceOf(Error);
    expect(outcomeOf(error)).toBe('not-executed');
    client.release();
  });
});

describe('a pool whose Service flaps under load', () => {
  it('answers every call, keeps to max, and leaves no connection, listener or warning behind', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const { pool, server, source } = await start(
      { max: 12, drainTimeoutMillis: 20, reconnectSpreadMillis: 5 },
      obliging(async (text) => {
        for (let turns = text === '' ? 0 : Math.random() * 20; turns > 0; turns--) await turn();
        return undefined;
      }),
    );
    let most = 0;
    let stopping = false;
    let answered = 0;
    let heard: () => void = () => undefined;
    const answers = async (count: number) => {
      for (const until = answered + count; answered < until; ) {
        await new Promise<void>((resolve) => {
          heard = resolve;
        });
      }
    };
    const worker = async (n: number) => {
      while (!stopping) {
        try {
          if (n % 3 > 0) await pool.query('select 1');
          else {
            const client = await pool.connect();
            most = Math.max(most, pool.totalCount);
            await client.query('select 2').finally(() => client.release());
          }
          answered += 1;
          heard();
        } catch {
          // A client that is cut by a switch fails its statement.
          await turn();
        }
      }
    };
    const workers = Array.from({ length: 40 }, (_, n) => worker(n));
    for (let flap = 0; flap < 40; flap++) {
      source.set(flap % 2 === 0 ? 'secondary-db.example.com' : 'primary-db.example.com');
      await answers(25);
    }
    stopping = true;
    await Promise.all(workers);
    await pool.drained();
    await expect.poll(() => server.sessions.filter(({ socket }) => !socket.destroyed).length).toBeLessThanOrEqual(12);
    process.off('warning', onWarning);
    expect(pool.status()).toMatchObject({ draining: 0, waiting: 0 });
    expect(pool.status().epoch).toBeGreaterThan(5);
    expect(most).toBeLessThanOrEqual(12);
    // With a cache of statements, the pool itself may still be asking a server who answers.
    if (isSharing) await expect.poll(() => pool.totalCount - pool.idleCount).toBe(0);
    expect(pool.totalCount).toBe(pool.idleCount);
    expect(warnings).toEqual([]);
    for (const client of (pool as unknown as { _clients: NodeJS.EventEmitter[] })._clients) {
      expect(client.listenerCount('error')).toBeLessThanOrEqual(3);
    }
    // Every place is still there.
    const all = await Promise.all(Array.from({ length: 12 }, () => pool.connect()));
    for (const client of all) client.release();
  });
});
