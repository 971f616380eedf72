import { afterEach, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { type FakePostgres, startFakePostgres } from './support/fake-postgres.ts';

const opened: AsyncDisposable[] = [];

afterEach(async () => {
  for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
});

/** A server that closes the first `refusals` connections, and accepts all others without another word. */
async function silentServer(refusals: number): Promise<FakePostgres> {
  const server = await startFakePostgres({
    script: ({ number, socket }) => void (number < refusals && socket.destroy()),
  });
  opened.push(server);
  return server;
}

// Longer than a test may take: a test that waits for an attempt fails here.
function poolFor(server: FakePostgres, overrides: PoolOptions = {}): Pool {
  return new Pool(server.options({ attemptTimeoutMillis: 60_000, failoverTimeoutMillis: 60_000, ...overrides }));
}

describe('end() while a server takes connections and stays silent', () => {
  it('in an outage: fails waiting callers, gives up the attempt in progress, and is over at once', async () => {
    const server = await silentServer(1);
    const pool = poolFor(server);
    const waiting = expect(pool.query('select 1')).rejects.toThrow('Cannot use a pool after calling end on the pool');
    await expect.poll(() => server.sessions.length).toBe(2);
    await pool.end();
    await waiting;
    expect(await closed(server, 1)).toBe(true);
  });

  it('gives up an attempt whose caller has given up before', async () => {
    const server = await silentServer(0);
    const pool = poolFor(server, { failoverTimeoutMillis: 1_000 });
    await expect(pool.query('select 1')).rejects.toMatchObject({ outcome: 'not-executed' });
    expect(server.sessions).toHaveLength(1);
    await pool.end();
    expect(await closed(server, 0)).toBe(true);
  });

  it('gives up the attempt of listen()', async () => {
    const server = await silentServer(0);
    const pool = poolFor(server);
    const listening = expect(pool.listen('jobs', () => undefined)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_CLOSED',
    });
    await expect.poll(() => server.sessions.length).toBe(1);
    await pool.end();
    await listening;
    expect(await closed(server, 0)).toBe(true);
  });
});

/** Resolves once the client's end of a connection is closed. */
async function closed(server: FakePostgres, number: number): Promise<boolean> {
  return (await server.sessions[number]?.receive()) === undefined;
}
