import type { EventEmitter } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Pool } from '../src/index.ts';
import { obliging } from './support/fake-postgres.ts';
import { ended, never, start, startRefusing, startServer } from './support/pool-on-fake.ts';
import { collectWarnings } from './support/process-warnings.ts';

describe('end()', () => {
  it('of a plain host does not wait for a statement whose client was released, as in pg', async () => {
    const server = await startServer(obliging((text) => (text === 'slow' ? never() : undefined)));
    const pool = ended(new Pool({ host: '127.0.0.1', port: server.port, user: 'app', ssl: false }));
    const client = await pool.connect();
    client.query('slow').catch(() => undefined);
    client.release();
    await pool.end();
  });

  it('resolves drained() of a caller who waits for a target that the pool cannot reach', async () => {
    const { pool, refuse, pointTo } = await startRefusing();
    await pool.query('select 1');
    refuse();
    await pointTo('secondary-db.example.com');
    expect(pool.status().candidate?.externalName).toBe('secondary-db.example.com');
    const drained = pool.drained();
    await pool.end();
    await drained;
  });

  it('does not throw if an idle connection has ended in the same moment', async () => {
    const { pool } = await start({ max: 3 });
    await Promise.all(Array.from({ length: 3 }, () => pool.query('select 1')));
    const clients = (pool as unknown as { _clients: { connection: EventEmitter; _ended: boolean }[] })._clients;
    // As `pg` leaves them between the end of a connection and what follows from it.
    for (const client of clients) client._ended = true;
    await pool.end();
  });
});

describe('end() that waits for a client that was not released', () => {
  it.each([
    ['a plain host', false],
    ['a Service', true],
  ])('says so after two seconds, in a process warning: %s', async (_, isService) => {
    using collected = collectWarnings();
    const { pool } = isService
      ? await start({ max: 3, endTimeoutMillis: 30_000 })
      : {
          pool: ended(
            new Pool({ host: '127.0.0.1', port: (await startServer(obliging(never))).port, user: 'app', ssl: false }),
          ),
        };
    const client = await pool.connect();
    const over = pool.end();
    await new Promise((resolve) => setTimeout(resolve, 2_300));
    client.release();
    await over;
    const ours = collected.warnings.filter(({ code }) => code === 'EXTERNALNAME_CLIENT_NOT_RELEASED');
    expect(ours).toHaveLength(1);
    expect(ours[0]?.message).toMatch(
      /^(127\.0\.0\.1|localhost): end\(\) waits for a client that was not released \(server process \S+\): call release\(\) in a finally block\./,
    );
    expect(ours[0]?.message.includes('is still out after 30000 ms is closed')).toBe(isService);
    expect(ours[0]?.detail).toBe('NODE_DEBUG=externalname shows where it was acquired.');
  });

  it('names the line of the application that acquired it first, in debug mode', async () => {
    vi.stubEnv('DEBUG', 'externalname:pg:checkout');
    vi.resetModules();
    const { Pool: PoolInDebugMode } = await import('../src/index.ts');
    using collected = collectWarnings();
    const { port } = await startServer(obliging(never));
    const pool = ended(new PoolInDebugMode({ host: '127.0.0.1', port, user: 'app', ssl: false }));
    const client = await pool.connect();
    const over = pool.end();
    await new Promise((resolve) => setTimeout(resolve, 2_300));
    client.release();
    await over;
    const ours = collected.warnings.find(({ code }) => code === 'EXTERNALNAME_CLIENT_NOT_RELEASED');
    expect(ours?.detail).toMatch(/^Acquired here:\n\s+at .*end\.test\.ts/);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
  });
});

describe('drained()', () => {
  it('resolves when the Service points back before the pool has moved', async () => {
    const { pool, source, refuse, pointTo } = await startRefusing();
    await pool.query('select 1');
    refuse();
    await pointTo('secondary-db.example.com');
    expect(pool.status().candidate?.externalName).toBe('secondary-db.example.com');
    const drained = pool.drained();
    source.set('primary-db.example.com');
    await drained;
  });
});
