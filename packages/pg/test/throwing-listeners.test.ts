import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool } from '../src/index.ts';
import { nextSwitch, startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});

afterEach(async () => {
  await webscaler?.endPools();
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

const mistake = new Error('a mistake in a listener');
const throwing = () => {
  throw mistake;
};

/** What the process would have ended of, meanwhile. */
async function uncaughtDuring(work: () => Promise<void>): Promise<unknown[]> {
  const seen: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => seen.push(error));
  try {
    await work();
    // What is thrown in a later tick has been thrown by then.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  }
  return seen;
}

const kinds: [string, () => Pool][] = [
  ['a Service', () => webscaler.pool({ max: 1, connectionTimeoutMillis: 3_000 })],
  [
    'a plain host',
    () => {
      const { pair } = webscaler;
      const { user, password, database, port } = pair;
      const ssl = { ca: pair.ca, servername: 'primary-db.example.com' };
      const host = pair.primary.address;
      return new Pool({ host, port, user, password, database, ssl, max: 1, connectionTimeoutMillis: 3_000 });
    },
  ],
];

describe.each(kinds)('a listener that throws, on a pool for %s,', (_, makePool) => {
  it.each(['connect', 'acquire', 'release', 'remove'] as const)(
    'for %s: every caller is answered, no place is lost, and the process gets the exception as from pg.Pool',
    async (event) => {
      await using pool = makePool();
      const uncaught = await uncaughtDuring(async () => {
        pool.on(event, throwing);
        await expect(pool.query('select 1 as one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
        await expect(pool.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
        await expect(pool.transaction((tx) => tx.query('select 2 as two'))).resolves.toMatchObject({
          rows: [{ two: 2 }],
        });
        pool.off(event, throwing);
        const client = await pool.connect();
        if (event === 'remove') pool.on(event, throwing);
        client.release(true);
        await expect(pool.query('select 3 as three')).resolves.toMatchObject({ rows: [{ three: 3 }] });
        pool.off(event, throwing);
      });
      const often = { connect: 1, acquire: 3, release: 3, remove: 1 }[event];
      expect(uncaught).toEqual(Array.from({ length: often }, () => mistake));
      expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0]);
    },
  );

  it('for release: throws out of the release() of the application, as in pg.Pool, and the client is back', async () => {
    await using pool = makePool();
    pool.once('release', throwing);
    const client = await pool.connect();
    expect(() => client.release()).toThrow(mistake);
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });

  it('and a verify that throws: its caller gets the error', async () => {
    await using pool = makePool();
    Object.assign(pool.options, { verify: throwing });
    await expect(pool.query('select 1')).rejects.toBe(mistake);
    Object.assign(pool.options, { verify: undefined });
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });
});

it('a listener for connect that throws does not hold up the first connection after a switch', async () => {
  const pool = webscaler.pool({ max: 1, targetSessionAttrs: 'any' });
  await pool.query('select 1');
  const uncaught = await uncaughtDuring(async () => {
    const switched = nextSwitch();
    pool.once('connect', throwing);
    await webscaler.point('secondary-db.example.com');
    await switched;
    await expect.poll(() => pool.idleCount, { timeout: 10_000 }).toBe(1);
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });
  expect(uncaught).toEqual([mistake]);
});

describe('pg.Pool itself', () => {
  it.each(['connect', 'acquire'] as const)('lets what a listener for %s throws end the process', async (event) => {
    const { pair } = webscaler;
    const { user, password, database, port } = pair;
    const ssl = { ca: pair.ca, servername: 'primary-db.example.com' };
    const pool = new pg.Pool({ host: pair.primary.address, port, user, password, database, ssl, max: 1 });
    const uncaught = await uncaughtDuring(async () => {
      const thrown = new Promise<void>((resolve) => pool.once(event, () => setImmediate(resolve)));
      pool.on(event, throwing);
      pool.connect().catch(() => undefined);
      await thrown;
    });
    expect(uncaught[0]).toBe(mistake);
    for (const client of (pool as unknown as { _clients: pg.Client[] })._clients) await client.end();
  });
});
