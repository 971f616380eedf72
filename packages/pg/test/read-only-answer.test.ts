import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, Pool, type PoolOptions, type RetryEvent, retried } from '../src/index.ts';
import {
  commandComplete,
  errorResponse,
  type FakePostgres,
  message,
  obliging,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';
import { rejectionOf } from './support/rejection.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

const retries: RetryEvent[] = [];
const stop = retried.subscribe((event) => retries.push(event));
afterEach(() => void retries.splice(0));
afterAll(() => stop());

describe('a read-only answer (25006)', () => {
  let webscaler: Webscaler;

  beforeAll(async () => {
    webscaler = await startSharedWebscaler();
    const pool = webscaler.pool();
    await pool.query('create table items (id integer)');
    await pool.query(
      `create function add_read_only() returns void language plpgsql as
       $$ begin perform set_config('transaction_read_only', 'on', true); insert into items values (1); end $$`,
    );
  });
  afterEach(() => webscaler.endPools());
  afterAll(() => webscaler?.[Symbol.asyncDispose]());

  const pidOf = async (pool: Pool) =>
    (await pool.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;

  it.each([
    ['a READ ONLY transaction among several statements', 'begin read only; insert into items values (1); commit'],
    ['one that is left open', 'begin read only; insert into items values (1)'],
    ['SET TRANSACTION READ ONLY', 'set transaction read only; insert into items values (1)'],
    ['a function that makes its transaction READ ONLY', 'select add_read_only()'],
  ])("is the caller's after %s: it is handed on at once, and costs no connection", async (_, text) => {
    const pool = webscaler.pool({ max: 1 });
    const pid = await pidOf(pool);
    const error = await rejectionOf(pool.query(text));
    expect(error).toMatchObject({ code: '25006' });
    expect(outcomeOf(error)).toBe(text.includes('commit') ? 'unknown' : 'not-executed');
    expect(retries).toEqual([]);
    expect(await pidOf(pool)).toBe(pid);
    expect(pool.status().serving).toBe(true);
    const { rows } = await pool.query('show transaction_read_only');
    expect(rows).toEqual([{ transaction_read_only: 'off' }]);
  });

  it("is the caller's by every way in which a query is asked", async () => {
    const pool = webscaler.pool({ max: 1 });
    const byCallback = await new Promise<Error>((resolve) =>
      pool.query('set transaction read only; insert into items values (1)', [], (error) => resolve(error)),
    );
    const byConfig = await rejectionOf(pool.query({ text: 'select add_read_only()', idempotent: true }));
    expect([byCallback, byConfig]).toEqual([
      expect.objectContaining({ code: '25006' }),
      expect.objectContaining({ code: '25006' }),
    ]);
    expect(retries).toEqual([]);
  });

  it('of a server that was fenced is waited out, and the statement done when it takes writes again', async () => {
    const { primary } = webscaler.pair;
    const pool = webscaler.pool({ max: 1 });
    const before = await pidOf(pool);
    await primary.fence();
    const adding = pool.query('insert into items values (2)');
    await expect.poll(() => pool.status().serving, { timeout: 5_000 }).toBe(false);
    await primary.unfence();
    await adding;
    expect(await pidOf(pool)).not.toBe(before);
  });

  it("is the caller's if the pool did not ask for a server that takes writes", async () => {
    const { primary } = webscaler.pair;
    const pool = webscaler.pool({ max: 1, targetSessionAttrs: 'any' });
    await primary.fence();
    try {
      const pid = await pidOf(pool);
      expect(await rejectionOf(pool.query('insert into items values (3)'))).toMatchObject({ code: '25006' });
      expect(retries).toEqual([]);
      expect(await pidOf(pool)).toBe(pid);
    } finally {
      await primary.unfence();
    }
  });
});

describe('a read-only answer of a server that reports no change of its role', () => {
  let server: FakePostgres | undefined;
  let pool: Pool | undefined;

  afterEach(async () => {
    await pool?.end();
    await server?.[Symbol.asyncDispose]();
  });

  /** As behind a pooler, whose clients learn the role of the server that they were first given. */
  async function start(role: 'read-only' | 'read-write' | 'silent', options: PoolOptions = {}) {
    let executed = 0;
    server = await startFakePostgres({
      script: obliging((text) => {
        if (text.includes('pg_is_in_recovery')) {
          if (role === 'silent') return new Promise<never>(() => undefined);
          return [...row({ recovery: 'f', readonly: role === 'read-only' ? 'on' : 'off' }), readyForQuery()];
        }
        if (!text.startsWith('insert')) return undefined;
        executed += 1;
        if (executed === 1) return [errorResponse('25006'), readyForQuery()];
        return [commandComplete('INSERT 0 1'), readyForQuery()];
      }),
    });
    pool = new Pool(server.options({ max: 1, ...options }));
    return { pool, executed: () => executed };
  }

  it("is the server's if it says that it takes no writes, and retried", async () => {
    const { pool, executed } = await start('read-only');
    await pool.query('insert into items values (1)');
    expect(executed()).toBe(2);
    expect(server?.sessions).toHaveLength(2);
  });

  it("is the caller's if it says that it takes writes", async () => {
    const { pool, executed } = await start('read-write');
    expect(await rejectionOf(pool.query('insert into items values (1)'))).toMatchObject({ code: '25006' });
    expect(executed()).toBe(1);
    await pool.query('select 1');
    expect(server?.sessions).toHaveLength(1);
  });

  it("is the server's where it does not say", async () => {
    const { pool, executed } = await start('silent', { liveness: false, failoverTimeoutMillis: 10_000 });
    await pool.query('insert into items values (1)');
    expect(executed()).toBe(2);
  });
});

/** One row of text columns. */
function row(values: Record<string, string>): Buffer[] {
  const int16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
  const int32 = (value: number) => Buffer.concat([int16(value >> 16), int16(value & 0xffff)]);
  const names = Object.keys(values);
  const bool = 16;
  const text = 25;
  return [
    message(
      'T',
      int16(names.length),
      ...names.flatMap((name) => [
        name,
        Buffer.concat([int32(0), int16(0), int32(name === 'recovery' ? bool : text), int16(-1), int32(-1), int16(0)]),
      ]),
    ),
    message(
      'D',
      int16(names.length),
      ...Object.values(values).map((value) => Buffer.concat([int32(value.length), Buffer.from(value)])),
    ),
    commandComplete('SELECT 1'),
  ];
}
