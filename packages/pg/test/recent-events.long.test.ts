import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  Client,
  FailoverTimeoutError,
  Pool,
  type PoolOptions,
  type RecentEvent,
  recentEventsOf,
} from '../src/index.ts';
import {
  errorResponse,
  type FakePostgres,
  obliging,
  scramRequest,
  startFakePostgres,
} from './support/fake-postgres.ts';
import { rejectionOf } from './support/rejection.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

describe('when the primary is gone and there is no switch', () => {
  let webscaler: Webscaler;

  beforeAll(async () => {
    webscaler = await startWebscaler();
  });
  afterEach(async () => {
    await webscaler.endPools();
    await webscaler.pair.primary.start();
  });
  afterAll(() => webscaler?.[Symbol.asyncDispose]());

  const impatient = { failoverTimeoutMillis: 1_500 } satisfies PoolOptions;

  async function outage(options: PoolOptions = {}) {
    const pool = webscaler.pool({ ...impatient, ...options });
    await pool.query('select 1');
    await webscaler.pair.primary.kill();
    return pool;
  }

  /** What every such error has to tell. */
  function expectStory(events: readonly RecentEvent[]) {
    const { pair } = webscaler;
    const address = `${pair.servers[0].address}:${pair.port}`;
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'source', target: 'primary-db.example.com', source: 'dns' }),
    );
    expect(events).toContainEqual(expect.objectContaining({ event: 'resolve', addresses: [pair.servers[0].address] }));
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'connect', address, code: 'ECONNREFUSED', times: expect.any(Number) }),
    );
    expect(events.length).toBeLessThanOrEqual(20);
    for (const { time } of events) expect(new Date(time).toISOString()).toBe(time);
  }

  it('the error of a query tells where the pool looked and what each address answered', async () => {
    const pool = await outage();
    const error = await rejectionOf(pool.query('select 1'));
    expect(error).toBeInstanceOf(FailoverTimeoutError);
    expectStory((error as FailoverTimeoutError).recentEvents);
    const lost = recentEventsOf(error).find(({ event }) => event === 'lost');
    expect(lost).toMatchObject({ target: 'primary-db.example.com', message: expect.stringMatching(/\w/) });
  });

  it.each<[string, (pool: Pool) => Promise<unknown>]>([
    ['a checkout', (pool) => pool.connect()],
    ['a transaction', (pool) => pool.transaction((tx) => tx.query('select 1'))],
    ['a subscription', (pool) => pool.listen('jobs', () => undefined)],
  ])('so does the error of %s', async (_, work) => {
    expectStory(recentEventsOf(await rejectionOf(work(await outage()))));
  });

  it('so does the error in the words of pg, if connectionTimeoutMillis ends the wait', async () => {
    const error = await rejectionOf((await outage({ connectionTimeoutMillis: 1_500 })).connect());
    expect(error.message).toBe('Connection terminated due to connection timeout');
    expectStory(recentEventsOf(error));
  });

  it.each<PoolOptions>([impatient, { connectionTimeoutMillis: 1_500 }])(
    'so does the error of a client (%j)',
    async (options) => {
      await webscaler.pair.primary.kill();
      const client = new Client(webscaler.options(options));
      expectStory(recentEventsOf(await rejectionOf(client.connect())));
      await client.end();
    },
  );

  it('each of many callers gets the same short story', async () => {
    const pool = await outage();
    const errors = await Promise.all(Array.from({ length: 50 }, () => rejectionOf(pool.query('select 1'))));
    for (const error of errors) {
      expectStory(recentEventsOf(error));
      expect(inspect(recentEventsOf(error)).length).toBeLessThan(5_000);
    }
  });

  it('a server that takes connections and says nothing is told as under way', async () => {
    const { pair } = webscaler;
    await pair.primary.freeze();
    try {
      const error = await rejectionOf(webscaler.pool(impatient).query('select 1'));
      expect(recentEventsOf(error).at(-1)).toMatchObject({
        event: 'connect',
        address: `${pair.primary.address}:${pair.port}`,
        underWay: true,
      });
    } finally {
      await pair.primary.thaw();
    }
  });

  it('a refused target is told with what the pool stays on', async () => {
    const pool = await outage({ failoverTimeoutMillis: 4_000 });
    const failing = rejectionOf(pool.query('select 1'));
    await webscaler.point('elsewhere.example.org');
    try {
      expect(recentEventsOf(await failing)).toContainEqual(
        expect.objectContaining({
          event: 'refuse',
          target: 'elsewhere.example.org',
          from: 'primary-db.example.com',
          code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
        }),
      );
    } finally {
      await webscaler.point('primary-db.example.com');
    }
  });
});

describe('an error that tells what was tried', () => {
  let server: FakePostgres | undefined;
  const pools: Pool[] = [];

  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
    await server?.[Symbol.asyncDispose]();
    server = undefined;
  });

  const password = 'correct horse battery staple';

  it('contains no password, even if a message repeats it, and however it is printed', async () => {
    server = await startFakePostgres({
      script: async (session) => {
        session.send(scramRequest);
        // By now a function has been asked for the password.
        await session.receive();
        session.send(errorResponse('57P03', 'FATAL', `no entry for ${password} or ${encodeURIComponent(password)}`));
        session.socket.end();
      },
    });
    const makers: ((options: PoolOptions) => PoolOptions)[] = [
      (options) => ({ ...options, password }),
      (options) => ({ ...options, password: async () => password }),
      ({ user, database, port, ...options }) => ({
        ...options,
        connectionString: `postgresql://${user}:${encodeURIComponent(password)}@webscaler-db:${port}/${database}`,
      }),
    ];
    for (const make of makers) {
      const pool = new Pool(make(server.options({ failoverTimeoutMillis: 300 })));
      pools.push(pool);
      const error = await rejectionOf(pool.query('select 1'));
      const events = recentEventsOf(error);
      for (const shown of [inspect(events, { depth: 10, showHidden: true }), JSON.stringify(events)]) {
        expect(shown).not.toContain(password);
        expect(shown).not.toContain(encodeURIComponent(password));
      }
    }
  });

  it('costs nothing while all is well: statements leave no trace', async () => {
    server = await startFakePostgres({ script: obliging() });
    const pool = new Pool(server.options({ failoverTimeoutMillis: 300 }));
    pools.push(pool);
    for (let count = 0; count < 100; count++) await pool.query('select 1');
    await server[Symbol.asyncDispose]();
    await expect.poll(() => pool.totalCount).toBe(0);
    const error = await rejectionOf(pool.query('select 1'));
    const kinds = new Set(recentEventsOf(error).map(({ event }) => event));
    expect([...kinds].filter((kind) => !['source', 'resolve', 'connect', 'lost'].includes(kind))).toEqual([]);
    // Of the connection that served all of them.
    expect(
      recentEventsOf(error).filter(({ event, code, message }) => event === 'connect' && !(code ?? message)),
    ).toHaveLength(1);
  });
});
