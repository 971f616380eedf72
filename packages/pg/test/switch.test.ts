import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nextRefusal, nextSwitch, startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});

afterEach(async () => {
  await webscaler.endPools();
  await webscaler.point('primary-db.example.com');
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

describe('a pool for a Service', () => {
  it('connects to the external host over verified TLS, under its external name', async () => {
    const pool = webscaler.pool();
    const client = await pool.connect();
    try {
      const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: true }]);
      expect((client as unknown as pg.Client).host).toBe('primary-db.example.com');
    } finally {
      client.release();
    }
    expect(pool).toBeInstanceOf(pg.Pool);
    expect(pool.status().target?.externalName).toBe('primary-db.example.com');
  });

  it('keeps the connection after an ordinary SQL error', async () => {
    const pool = webscaler.pool();
    const { rows: before } = await pool.query('select pg_backend_pid() as pid');
    await expect(pool.query('select 1/0')).rejects.toMatchObject({ code: '22012', outcome: 'not-executed' });
    const { rows: after } = await pool.query('select pg_backend_pid() as pid');
    expect(after).toEqual(before);
    expect(pool.totalCount).toBe(1);
  });

  it('takes its host as the Service if there is an allow-list, also from a connection string', async () => {
    const { pair } = webscaler;
    const pool = webscaler.pool({
      service: undefined,
      ssl: { ca: pair.ca },
      connectionString: `postgres://${pair.user}:${pair.password}@webscaler-db.default:${pair.port}/${pair.database}`,
    });
    await pool.query('select 1');
    expect(pool.status().target?.via).toEqual(['webscaler-db.default.svc.cluster.local']);
  });
});

describe('when the Service points elsewhere', () => {
  // The standby takes reads, which is all that these tests need of a second server.
  const anyRole = { targetSessionAttrs: 'any' } as const;

  it('moves every connection: idle ones at once, a transaction when it has ended', async () => {
    const pool = webscaler.pool(anyRole);
    await Promise.all(Array.from({ length: 5 }, () => pool.query('select pg_sleep(0.01)')));
    const held = await pool.connect();
    const failures: unknown[] = [];
    held.on('error', (error) => failures.push(error));
    await held.query('begin');
    const switched = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    await expect(switched).resolves.toMatchObject({
      from: 'primary-db.example.com',
      to: 'secondary-db.example.com',
      source: 'dns',
      draining: 1,
    });

    await expect(held.query('commit')).resolves.toBeDefined();
    await pool.drained();
    await expect(held.query('select 1')).rejects.toThrow();
    held.release();
    expect(failures).toMatchObject([{ code: 'ERR_EXTERNALNAME_TARGET_RETIRED', outcome: 'not-executed' }]);
    const { rows } = await pool.query('select host(inet_server_addr()) as address');
    expect(rows).toEqual([{ address: webscaler.pair.addresses['secondary-db.example.com'] }]);
  });

  it('cuts what is still in flight when the drain time is over, and says that its outcome is unknown', async () => {
    const pool = webscaler.pool({ ...anyRole, drainTimeoutMillis: 50 });
    const slow = pool.query('select pg_sleep(20)');
    const outcome = expect(slow).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_TARGET_RETIRED',
      outcome: 'unknown',
      target: 'primary-db.example.com',
    });
    const running = () =>
      webscaler.pair.primary.query(
        "select from pg_stat_activity where query = 'select pg_sleep(20)' and state = 'active'",
      );
    await expect.poll(running).toHaveLength(1);
    await webscaler.point('secondary-db.example.com');
    await outcome;
    expect(pool.status()).toMatchObject({ draining: 0, target: { externalName: 'secondary-db.example.com' } });
  });

  it('does not count what drains towards max, so that callers who wait are served by the new server', async () => {
    const pool = webscaler.pool({ ...anyRole, max: 1, drainTimeoutMillis: 10_000, pipelining: 0 });
    await pool.query('select 1');
    const slow = pool.query('select pg_sleep(4)');
    const waiting = pool.query('select host(inet_server_addr()) as address');
    await expect.poll(() => pool.waitingCount).toBe(1);
    await webscaler.point('secondary-db.example.com');
    const { rows } = await waiting;
    expect(rows).toEqual([{ address: webscaler.pair.addresses['secondary-db.example.com'] }]);
    expect(pool.status().draining).toBe(1);
    await slow;
    await pool.drained();
  });

  it('stays where it is for a host outside the allow-list, and says so', async () => {
    const pool = webscaler.pool(anyRole);
    await pool.query('select 1');
    const refusal = nextRefusal();
    await webscaler.point('evil.example.org');
    await expect(refusal).resolves.toMatchObject({
      target: 'evil.example.org',
      stays: 'primary-db.example.com',
      error: { code: 'ERR_EXTERNALNAME_TARGET_REFUSED' },
    });
    await expect(pool.query('select 1')).resolves.toBeDefined();
    expect(pool.status()).toMatchObject({
      target: { externalName: 'primary-db.example.com' },
      refusal: { target: 'evil.example.org' },
    });
  });

  it('stays where it is for a host that does not exist, and moves when it comes to exist', async () => {
    const { cluster, pair } = webscaler;
    const pool = webscaler.pool({ ...anyRole, allowedTargets: ['*.example.com'] });
    await pool.query('select 1');
    const refusal = nextRefusal();
    await webscaler.point('secondary-db.example.com');
    cluster.hosts.set('secondary-db.example.com', []);
    await expect(refusal).resolves.toMatchObject({
      target: 'secondary-db.example.com',
      stays: 'primary-db.example.com',
      error: { code: expect.stringContaining('ERR_EXTERNALNAME_DNS_') },
    });
    await expect(pool.query('select 1')).resolves.toBeDefined();
    const switched = nextSwitch();
    cluster.hosts.set('secondary-db.example.com', [pair.addresses['secondary-db.example.com'] ?? '']);
    await expect(switched).resolves.toMatchObject({ to: 'secondary-db.example.com' });
  });

  it('stays where it is for a host whose certificate names another one', async () => {
    const { cluster, pair } = webscaler;
    cluster.hosts.set('third-db.example.com', [pair.addresses['secondary-db.example.com'] ?? '']);
    const pool = webscaler.pool({ ...anyRole, allowedTargets: ['*.example.com'] });
    await pool.query('select 1');
    const refusal = nextRefusal();
    await webscaler.point('third-db.example.com');
    await expect(refusal).resolves.toMatchObject({
      target: 'third-db.example.com',
      error: { code: 'ERR_EXTERNALNAME_TLS_IDENTITY' },
    });
    await expect(pool.query('select 1')).resolves.toBeDefined();
    expect(pool.status().target?.externalName).toBe('primary-db.example.com');
  });
});
