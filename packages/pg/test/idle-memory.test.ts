import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

// `pnpm bench:memory` measures what an idle connection takes. These are the reasons for which it takes no more than one of `pg`.

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});
afterAll(() => webscaler?.[Symbol.asyncDispose]());

interface Listened {
  readonly client: NodeJS.EventEmitter;
  readonly connection: NodeJS.EventEmitter;
}

/** Looks at two idle clients of a pool, each of which has answered a query. */
async function whileIdle(options: PoolOptions, look: (one: Listened, other: Listened) => void): Promise<void> {
  const pool = new Pool(options);
  try {
    const [one, other] = await Promise.all([pool.connect(), pool.connect()]);
    await Promise.all([one.query('select 1'), other.query('select 1')]);
    one.release();
    other.release();
    look({ client: one, connection: one.connection }, { client: other, connection: other.connection });
  } finally {
    await pool.end();
  }
}

/** The events to which more than so many listeners listen that the other does not share. */
function heardByOwn(one: NodeJS.EventEmitter, other: NodeJS.EventEmitter, mostOwn: number): readonly unknown[] {
  return one.eventNames().filter((name) => {
    const shared = new Set(other.rawListeners(name));
    return one.rawListeners(name).filter((listener) => !shared.has(listener)).length > mostOwn;
  });
}

describe.each([
  ['a Service', (options: PoolOptions) => webscaler.options(options)],
  ['a plain host', (options: PoolOptions) => webscaler.plainOptions(options)],
  [
    'a plain host, with pipelining and a statement cache',
    (options: PoolOptions) => webscaler.plainOptions({ pipelining: 16, statementCache: 100, ...options }),
  ],
])('an idle connection to %s', (_, optionsWith) => {
  it('listens to nothing that only comes before it is connected', () =>
    whileIdle(optionsWith({}), ({ connection }) => {
      const early = /^(connect|sslconnect|authentication.*|backendKeyData)$/;
      expect(connection.eventNames()).toContain('readyForQuery');
      expect(connection.eventNames().filter((name) => early.test(String(name)))).toEqual([]);
    }));

  it('shares what listens to it with all others, but for the one listener of pg', () =>
    whileIdle(optionsWith({}), (one, other) => {
      expect(one.connection.listenerCount('errorMessage')).toBeGreaterThan(1);
      expect(heardByOwn(one.connection, other.connection, 1)).toEqual([]);
      expect(heardByOwn(one.client, other.client, 0)).toEqual([]);
    }));

  it('shares the functions that stand in for those of pg', () =>
    whileIdle(optionsWith({}), ({ client: one }, { client: other }) => {
      const own = Reflect.ownKeys(one).filter((name) => {
        const method: unknown = Reflect.get(one, name);
        return typeof method === 'function' && method !== Reflect.get(other, name);
      });
      // As in pg-pool, it knows the checkout.
      expect(own).toEqual(['release']);
    }));
});
