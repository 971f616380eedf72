import { FaultProxy } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ListenNotification, Pool, type PoolOptions, type Reconnection } from '../src/index.ts';
import { obliging, startFakePostgres } from './support/fake-postgres.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
});

afterEach(async () => {
  await webscaler.endPools();
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

/** A subscription, what it heard, and how often it was told to catch up. */
async function listenTo(pool: Pool, channel: string) {
  const heard: ListenNotification[] = [];
  const reconnections: Reconnection[] = [];
  const subscription = await pool.listen(channel, (notification) => heard.push(notification), {
    onReconnect: (reconnection) => reconnections.push(reconnection),
  });
  const payloads = () => heard.map(({ payload }) => payload);
  return { subscription, heard, payloads, reconnections };
}

const notify = (pool: Pool, channel: string, payload: string) =>
  pool.query('select pg_notify($1, $2)', [channel, payload]);

describe('pool.listen()', () => {
  it('calls the handler for each notification, from the moment that it resolves', async () => {
    const pool = webscaler.pool();
    const { heard } = await listenTo(pool, 'jobs');
    await notify(pool, 'jobs', 'one');
    await pool.query('notify jobs');
    await expect.poll(() => heard.length).toBe(2);
    expect(heard).toEqual([
      { channel: 'jobs', payload: 'one', processId: expect.any(Number) },
      { channel: 'jobs', payload: '', processId: expect.any(Number) },
    ]);
  });

  it('uses one connection for all channels, which does not count towards max', async () => {
    const pool = webscaler.pool({ max: 1 });
    const names = ['a', 'b', 'c'];
    const all = await Promise.all(names.map((name) => listenTo(pool, name)));
    expect(pool.totalCount).toBe(0);
    for (const name of names) await notify(pool, name, name);
    await expect.poll(() => all.map(({ payloads }) => payloads())).toEqual([['a'], ['b'], ['c']]);
    expect(await backends(pool)).toBe(2);
  });

  it('takes channels with any characters, and tells them apart by case', async () => {
    const pool = webscaler.pool();
    const strange = 'Ünï "quoted"; drop table x --';
    const [a, b] = [await listenTo(pool, strange), await listenTo(pool, 'Case')];
    await notify(pool, strange, 'x');
    await notify(pool, 'case', 'y');
    await notify(pool, 'Case', 'z');
    await expect.poll(() => b.payloads()).toEqual(['z']);
    expect(a.payloads()).toEqual(['x']);
  });

  it.each([[''], ['x'.repeat(64)], ['ü'.repeat(32)], ['a\0b'], [7]])('refuses %j', async (channel) => {
    const pool = webscaler.pool();
    await expect(pool.listen(channel as string, () => undefined)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
    });
  });

  it('serves several handlers of one channel, and continues for the others when one is closed', async () => {
    const pool = webscaler.pool();
    const first = await listenTo(pool, 'shared');
    const second = await listenTo(pool, 'shared');
    await notify(pool, 'shared', 'both');
    await expect.poll(() => [first.payloads(), second.payloads()]).toEqual([['both'], ['both']]);
    await first.subscription.close();
    await first.subscription.close();
    await notify(pool, 'shared', 'second only');
    await expect.poll(() => second.payloads()).toEqual(['both', 'second only']);
    expect(first.payloads()).toEqual(['both']);
  });

  it('closes the connection with the last subscription, and makes another for the next', async () => {
    const pool = webscaler.pool();
    {
      await using a = (await listenTo(pool, 'a')).subscription;
      const b = await listenTo(pool, 'b');
      await b.subscription.close();
      expect(a.channel).toBe('a');
      expect(await backends(pool)).toBe(2);
    }
    await expect.poll(() => backends(pool)).toBe(1);
    const again = await listenTo(pool, 'a');
    await notify(pool, 'a', 'again');
    await expect.poll(() => again.payloads()).toEqual(['again']);
  });

  it('ends by its signal', async () => {
    const pool = webscaler.pool();
    const controller = new AbortController();
    await pool.listen('a', () => undefined, { signal: controller.signal });
    controller.abort();
    await expect.poll(() => backends(pool)).toBe(1);
    await expect(pool.listen('a', () => undefined, { signal: controller.signal })).rejects.toBe(
      controller.signal.reason,
    );
  });

  it('ends with the pool, and nothing is left', async () => {
    const pool = webscaler.pool();
    const { subscription } = await listenTo(pool, 'a');
    await pool.end();
    await subscription.close();
    await expect(pool.listen('a', () => undefined)).rejects.toThrow('after calling end');
  });

  it('does not hold up the end of the pool while it waits for its connection', async () => {
    const pool = webscaler.pool({ targetSessionAttrs: 'standby' });
    const listening = pool.listen('a', () => undefined).catch((error: unknown) => error);
    await expect.poll(() => pool.status().target).toBeDefined();
    await pool.end();
    expect(await listening).toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
  });

  it('says why if it cannot begin', async () => {
    const wrong = webscaler.pool({ password: 'wrong' });
    await expect(wrong.listen('a', () => undefined)).rejects.toMatchObject({ code: '28P01' });
    const late = webscaler.pool({ targetSessionAttrs: 'standby', failoverTimeoutMillis: 3_000 });
    await expect(late.listen('a', () => undefined)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      cause: { code: 'ERR_EXTERNALNAME_SERVER_ROLE' },
    });
    await expect(late.listen('a', () => undefined, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  it('works for a plain host', async () => {
    const { pair } = webscaler;
    const options: PoolOptions = { ...pair.connection(), ssl: { ca: pair.ca, checkServerIdentity: () => undefined } };
    const pool = webscaler.pool({
      service: undefined,
      allowedTargets: undefined,
      allowedNetworks: undefined,
      dns: undefined,
      ...options,
    });
    const { payloads } = await listenTo(pool, 'a');
    await notify(pool, 'a', 'plain');
    await expect.poll(() => payloads()).toEqual(['plain']);
  });
});

describe('a subscription whose connection is lost', () => {
  it('receives again by itself, and calls onReconnect once for each channel', async () => {
    const pool = webscaler.pool();
    const [a, b] = [await listenTo(pool, 'a'), await listenTo(pool, 'b')];
    await webscaler.pair.primary.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%' or query = ''",
    );
    await expect.poll(() => [a.reconnections.length, b.reconnections.length], { timeout: 10_000 }).toEqual([1, 1]);
    expect(a.reconnections).toEqual([
      { channel: 'a', target: 'primary-db.example.com', gapMillis: expect.any(Number) },
    ]);
    await notify(pool, 'a', 'again');
    await expect.poll(() => a.payloads()).toEqual(['again']);
  });

  it('notices a network that swallows everything, by its heartbeat', async () => {
    const { pair, cluster } = webscaler;
    await using proxy = await FaultProxy.start({
      target: { host: pair.primary.address, port: pair.port },
      port: pair.port,
    });
    cluster.hosts.set('secondary-db.example.com', [pair.standby.address]);
    cluster.hosts.set('primary-db.example.com', [proxy.address]);
    try {
      const pool = webscaler.pool();
      await expect
        .poll(async () => {
          const probe = await listenTo(pool, 'probe');
          if (proxy.counts.open === 0) await probe.subscription.close();
          return proxy.counts.open;
        })
        .toBeGreaterThan(0);
      const { reconnections, payloads } = await listenTo(pool, 'a');
      for (const connection of proxy.connections) connection.blackHole();
      await expect.poll(() => reconnections.length, { timeout: 20_000 }).toBe(1);
      await notify(pool, 'a', 'again');
      await expect.poll(() => payloads()).toEqual(['again']);
    } finally {
      cluster.hosts.set('primary-db.example.com', [pair.primary.address]);
    }
  });
});

describe('listenHeartbeatMillis', () => {
  it('sets how often a connection that listens is asked for a sign of life, and how long it may take', async () => {
    let answering = true;
    const counted = async () => {
      const count = { heartbeats: 0 };
      const server = await startFakePostgres({
        script: obliging((text) => {
          if (text !== '') return undefined;
          count.heartbeats += 1;
          return answering ? undefined : new Promise(() => undefined);
        }),
      });
      return { count, server };
    };
    const [often, seldom] = [await counted(), await counted()];
    await using _ = often.server;
    await using __ = seldom.server;
    await using pool = new Pool(often.server.options({ listenHeartbeatMillis: 100 }));
    await using other = new Pool(seldom.server.options({ listenHeartbeatMillis: 600_000 }));
    for (const one of [pool, other]) await one.listen('a', () => undefined);
    await expect.poll(() => often.count.heartbeats, { timeout: 15_000 }).toBeGreaterThan(2);
    answering = false;
    await expect.poll(() => often.server.sessions.length, { timeout: 15_000 }).toBeGreaterThan(1);
    expect(seldom.count.heartbeats).toBe(0);
    expect(seldom.server.sessions).toHaveLength(1);
  });

  it.each([[0], [-1], [Number.NaN], ['1000']])('refuses %j', (value) => {
    expect(() => webscaler.pool({ listenHeartbeatMillis: value as number })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'listenHeartbeatMillis' }),
    );
  });
});

describe('when the Service is pointed at the promoted standby', () => {
  it('a subscription follows, and calls onReconnect', async () => {
    const pool = webscaler.pool();
    const { reconnections, payloads } = await listenTo(pool, 'jobs');
    await notify(pool, 'jobs', 'before');
    await expect.poll(() => payloads()).toEqual(['before']);
    const [primary, standby] = webscaler.pair.servers;
    await primary.kill();
    await standby.promote();
    await webscaler.point('secondary-db.example.com');
    await expect
      .poll(() => reconnections, { timeout: 20_000 })
      .toMatchObject([{ channel: 'jobs', target: 'secondary-db.example.com' }]);
    await notify(pool, 'jobs', 'after');
    await expect.poll(() => payloads()).toEqual(['before', 'after']);
  });
});

/** The application's connections to the server. */
async function backends(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where usename = current_user and backend_type = 'client backend'",
  );
  return rows[0]?.n ?? 0;
}
