import { StaticTargetSource } from '@externalname/core';
import * as pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { Client, Pool, type RetryEvent, retried } from '../src/index.ts';
import {
  commandComplete,
  errorResponse,
  type FakePostgres,
  obliging,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';

let server: FakePostgres | undefined;
let pool: Pool | undefined;

afterEach(async () => {
  await pool?.end();
  await server?.[Symbol.asyncDispose]();
  pool = undefined;
});

interface Asking {
  query(...query: readonly unknown[]): unknown;
}

type Ask = (client: Asking, text: string) => Promise<unknown>;

const byCallback = (ask: (callback: (error: unknown, result: unknown) => void) => unknown): Promise<unknown> =>
  new Promise((resolve, reject) => {
    ask((error, result) => (error ? reject(error) : resolve(result)));
  });

/** Each form in which `pg` takes a query. */
const forms: readonly (readonly [form: string, ask: Ask])[] = [
  ['a promise', (client, text) => client.query(text) as Promise<unknown>],
  ['a config and a promise', (client, text) => client.query({ text }) as Promise<unknown>],
  ['a callback', (client, text) => byCallback((callback) => client.query(text, callback))],
  ['values and a callback', (client, text) => byCallback((callback) => client.query(text, [], callback))],
  ['a callback in the config', (client, text) => byCallback((callback) => client.query({ text, callback }))],
  ['a Query object', (client, text) => byCallback((callback) => client.query(new pg.Query(text, callback as never)))],
  [
    'a Query object and a callback',
    (client, text) => byCallback((callback) => client.query(new pg.Query(text), callback)),
  ],
];

describe.each(forms)('a query asked by %s', (_, ask) => {
  it('before connect() is sent when the client is connected, and so are those behind it', async () => {
    server = await startFakePostgres({
      script: obliging((text) => [commandComplete(`SELECT ${text}`), readyForQuery()]),
    });
    const client = new Client(server.options());
    const asking = client as unknown as Asking;
    const first = ask(asking, '1');
    const second = ask(asking, '2');
    await client.connect();
    expect(await Promise.all([first, second])).toMatchObject([{ rowCount: 1 }, { rowCount: 2 }]);
    await client.end();
  });

  it('before connect() fails with it, and so do those behind it', async () => {
    server = await startFakePostgres({
      script: (session) => {
        session.send(errorResponse('28P01', 'FATAL'));
        session.socket.end();
      },
    });
    const client = new Client(server.options());
    const asking = client as unknown as Asking;
    const queries = Promise.allSettled([ask(asking, '1'), ask(asking, '2')]);
    await expect(client.connect()).rejects.toMatchObject({ code: '28P01' });
    const refused = { status: 'rejected', reason: expect.objectContaining({ code: '28P01' }) };
    expect(await queries).toEqual([refused, refused]);
  });

  it('in a transaction has it repeated after a conflict', async () => {
    let executed = 0;
    server = await startFakePostgres({
      script: obliging((text) => {
        if (text === 'begin' || text === 'BEGIN') return [commandComplete('BEGIN'), readyForQuery('T')];
        if (text !== 'update') return undefined;
        executed += 1;
        return executed === 1
          ? [errorResponse('40001'), readyForQuery('E')]
          : [commandComplete('UPDATE 1'), readyForQuery('T')];
      }),
    });
    pool = new Pool(server.options({ max: 1 }));
    const events: RetryEvent[] = [];
    const stop = retried.subscribe((event) => events.push(event));
    await pool.transaction(async (tx) => await ask(tx as unknown as Asking, 'update'), { commitProof: false });
    stop();
    expect(executed).toBe(2);
    expect(events).toMatchObject([{ attempt: 1, error: { code: '40001' } }]);
  });

  it('in a transaction that is over is refused in that form', async () => {
    server = await startFakePostgres({ script: obliging() });
    pool = new Pool(server.options({ max: 1 }));
    let kept: Asking | undefined;
    await pool.transaction(
      async (tx) => {
        kept = tx as unknown as Asking;
      },
      { commitProof: false },
    );
    await expect(ask(kept as Asking, 'late')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
  });
});

describe('a query that pg throws on', () => {
  it.each([
    ['null', null],
    ['undefined', undefined],
  ])('throws before connect(), too: %s', async (_, asked) => {
    server = await startFakePostgres({ script: obliging() });
    const client = new Client(server.options()) as unknown as Asking & Client;
    expect(() => client.query(asked)).toThrow('null or undefined');
    const held = client.query('select 1');
    await client.connect();
    await held;
    await client.end();
  });
});

describe('a query of the pool that one repeat saves', () => {
  it('is published on externalname:pg:retry, as attempt 1', async () => {
    let executed = 0;
    server = await startFakePostgres({
      script: obliging((text) => {
        if (text !== 'insert') return undefined;
        executed += 1;
        return executed === 1 ? [errorResponse('57P03', 'FATAL'), readyForQuery()] : undefined;
      }),
    });
    pool = new Pool(server.options({ max: 1, source: new StaticTargetSource('primary-db.example.com') }));
    const events: RetryEvent[] = [];
    const stop = retried.subscribe((event) => events.push(event));
    await pool.query('insert');
    stop();
    expect(events).toMatchObject([{ name: expect.any(String), attempt: 1, error: { code: '57P03' } }]);
  });
});
