import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { type FakeOptions, type FakePostgres, obliging, startFakePostgres } from './support/fake-postgres.ts';
import { isSharing } from './support/sharing-of-all.ts';

// Tracers know nothing of us. They wrap methods of pg's own classes, read what those show, and carry the caller's async context.

let server: FakePostgres;
const pools: Pool[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(pools.splice(0).map((pool) => (pool.ending ? undefined : pool.end())));
  await server?.[Symbol.asyncDispose]();
});

async function start(overrides: PoolOptions = {}, script: FakeOptions['script'] = obliging()) {
  server = await startFakePostgres({ script });
  const options = server.options({ endTimeoutMillis: 500, ...overrides });
  const pool = new Pool(options);
  pools.push(pool);
  return { pool, source: options.source };
}

/** Replaces a method of `pg`, as tracers do, until the end of the test. */
function wrap(prototype: object, method: string, around: (call: () => unknown, self: unknown) => unknown): unknown[][] {
  const calls: unknown[][] = [];
  const methods = prototype as Record<string, (...parameters: unknown[]) => unknown>;
  const original = methods[method];
  vi.spyOn(methods, method).mockImplementation(function (this: unknown, ...parameters: unknown[]) {
    calls.push(parameters);
    return around(() => original?.apply(this, parameters), this);
  });
  return calls;
}

/** The async context of each call of a method of `pg`, from now on. */
function contextsOf(prototype: object, method: string): { readonly stores: unknown[]; readonly calls: unknown[][] } {
  const stores: unknown[] = [];
  const calls = wrap(prototype, method, (call) => {
    stores.push(request.getStore());
    return call();
  });
  return { stores, calls };
}

const request = new AsyncLocalStorage<string>();

// A query on a shared connection goes past pg-pool: what wraps the methods of pg.Client sees it.
describe.skipIf(isSharing)('what wraps the methods of pg.Pool', () => {
  it('sees each connect(), query() and end() of ours', async () => {
    const { pool } = await start();
    const wrapped = ['connect', 'query', 'end'].map((method) => wrap(pg.Pool.prototype, method, (call) => call()));
    await pool.query('select 1');
    const client = await pool.connect();
    client.release();
    await pool.end();
    const [connects, queries, ends] = wrapped.map((calls) => calls.length);
    expect({ connects, queries, ends }).toEqual({ connects: 2, queries: 1, ends: 1 });
  });

  it('tells the connect() of a query from one that the application makes: it comes before query() returns', async () => {
    const { pool } = await start();
    let inQuery = false;
    const seen: boolean[] = [];
    wrap(pg.Pool.prototype, 'query', (call) => {
      inQuery = true;
      const result = call();
      inQuery = false;
      return result;
    });
    wrap(pg.Pool.prototype, 'connect', (call) => {
      seen.push(inQuery);
      return call();
    });
    await pool.query('select 1');
    (await pool.connect()).release();
    expect(seen).toEqual([true, false]);
  });

  it('sees that the pool is ending when end() returns; that it has ended shows when all is closed', async () => {
    const { pool } = await start();
    const seen: unknown[] = [];
    wrap(pg.Pool.prototype, 'end', (call, self) => {
      call();
      seen.push((self as Pool).ending);
    });
    const client = await pool.connect();
    const over = pool.end();
    expect(seen).toEqual([true]);
    expect(pool.ended).toBe(false);
    client.release();
    await over;
    expect(pool.ended).toBe(true);
  });

  it('can ask a bare prototype for its counts, as it does before there is a pool', () => {
    const bare = Object.create(Pool.prototype) as Pool;
    const { totalCount, idleCount, waitingCount, expiredCount } = bare;
    expect({ totalCount, idleCount, waitingCount, expiredCount }).toEqual({
      totalCount: 0,
      idleCount: 0,
      waitingCount: 0,
      expiredCount: 0,
    });
  });
});

describe('the name that a tracer gives to the pool', () => {
  it('is that of the Service', () => {
    const pool = new Pool({ service: 'webscaler-db.default', allowedTargets: ['*.example.com'], database: 'app' });
    pools.push(pool);
    expect(pool.options).toMatchObject({ host: 'webscaler-db.default', database: 'app' });
  });

  it('is the host if that names the Service, and that of the connection string if there is one', () => {
    const allowedTargets = ['*.example.com'];
    const byHost = new Pool({ host: 'webscaler-db', allowedTargets });
    const byString = new Pool({ connectionString: 'postgres://app@webscaler-db/app', allowedTargets });
    pools.push(byHost, byString);
    expect(byHost.options.host).toBe('webscaler-db');
    expect(byString.options).not.toHaveProperty('host');
  });

  it('and that of a connection is the real host', async () => {
    const { pool, source } = await start();
    const hosts: string[] = [];
    pool.on('connect', (client) => {
      hosts.push((client as unknown as { connectionParameters: { host: string } }).connectionParameters.host);
    });
    await pool.query('select 1');
    source.set('secondary-db.example.com');
    await expect.poll(() => hosts).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
  });
});

describe('the async context', () => {
  it('of a query, and of the connection that is made for it, is its caller’s', async () => {
    const { pool } = await start({ max: 1 });
    const connects = contextsOf(pg.Client.prototype, 'connect');
    await request.run('first', () => pool.query('select 1'));
    expect(connects.stores).toEqual(['first']);
  });

  it('of a query that is asked before its client is connected is its caller’s', async () => {
    server = await startFakePostgres({ script: obliging() });
    const client = new Client(server.options());
    const queries = contextsOf(pg.Client.prototype, 'query');
    const connecting = request.run('first', () => client.connect());
    const answered = request.run('second', () => client.query('select 1'));
    const calledBack = new Promise<unknown>((resolve) => {
      request.run('third', () => client.query('select 1', resolve));
    });
    await Promise.all([connecting, answered, calledBack]);
    await client.end();
    expect(queries.stores).toEqual(['second', 'third']);
  });

  it('of the attempt to reach a new target has no caller’s context, however it is learned of', async () => {
    const { pool, source } = await start();
    await request.run('first', () => pool.query('select 1'));
    const connects = contextsOf(pg.Client.prototype, 'connect');
    request.run('second', () => source.set('secondary-db.example.com'));
    await expect.poll(() => pool.status().epoch).toBe(1);
    expect(connects.stores).toEqual([undefined]);
  });

  it('of the listening connection, and of its heartbeat, has no caller’s context', async () => {
    const { pool } = await start();
    const connects = contextsOf(pg.Client.prototype, 'connect');
    const queries = contextsOf(pg.Client.prototype, 'query');
    await request.run('first', () => pool.listen('jobs', () => undefined));
    expect(connects.stores).toEqual([undefined]);
    expect(queries.calls).toEqual([['LISTEN "jobs"']]);
    expect(queries.stores).toEqual([undefined]);
  });

  it('of the session that asks whether a silent server still works has no caller’s context', async () => {
    const silent = obliging((text) => (text === 'slow' ? new Promise(() => undefined) : undefined));
    const liveness = { afterMillis: 20, intervalMillis: 20, failures: 2 };
    const { pool } = await start({ liveness, endTimeoutMillis: 50 }, silent);
    const connects = contextsOf(pg.Client.prototype, 'connect');
    const slow = request.run('first', () => pool.query('slow')).catch(() => undefined);
    await expect.poll(() => connects.stores.length).toBeGreaterThan(1);
    expect(connects.stores.slice(0, 2)).toEqual(['first', undefined]);
    await pool.end();
    await slow;
  });
});
