import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { inspect } from 'node:util';
import * as genericPool from 'generic-pool';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { outcomeOf, Pool, type PoolOptions } from '../src/index.ts';
import {
  authenticationOk,
  commandComplete,
  errorResponse,
  type FakeOptions,
  type FakePostgres,
  obliging,
  parameter,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';

vi.setConfig({ testTimeout: 8_000 });

let server: FakePostgres;
const pools: Pool[] = [];

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  await Promise.all(
    pools.splice(0).map((pool) => (pool.ending ? undefined : Promise.race([pool.end(), after(2_000)]))),
  );
});

async function start(overrides: PoolOptions = {}, script: FakeOptions['script'] = obliging()) {
  server = await startFakePostgres({ script });
  const options = server.options({ endTimeoutMillis: 500, ...overrides });
  const pool = new Pool(options);
  pools.push(pool);
  return { pool, source: options.source };
}

/** A server that lets nobody in any more when it is told so. */
async function startRefusing() {
  let refusing = false;
  const started = await start({}, async (session) => {
    if (!refusing) return obliging()(session);
    session.send(errorResponse('28P01', 'FATAL'));
    session.socket.end();
  });
  return {
    ...started,
    refuse: () => {
      refusing = true;
    },
  };
}

const after = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis));
const never = () => new Promise<never>(() => undefined);

async function over(work: Promise<unknown>, millis: number): Promise<'over' | 'still going on'> {
  const settled = work.then(
    () => 'over' as const,
    () => 'over' as const,
  );
  return await Promise.race([settled, after(millis).then(() => 'still going on' as const)]);
}

describe('end()', () => {
  it('is over although a connect hook never is', async () => {
    const { pool } = await start({ onConnect: never, endTimeoutMillis: 300 } as PoolOptions);
    const query = pool.query('select 1').catch((error: unknown) => error);
    await after(100);
    expect(await over(pool.end(), 3_000)).toBe('over');
    expect(outcomeOf(await query)).toBe('not-executed');
  });

  it('of a plain host does not wait for a statement whose client was given back, as in pg', async () => {
    server = await startFakePostgres({ script: obliging((text) => (text === 'slow' ? never() : undefined)) });
    const pool = new Pool({ host: '127.0.0.1', port: server.port, user: 'app', ssl: false });
    pools.push(pool);
    const client = await pool.connect();
    client.query('slow').catch(() => undefined);
    client.release();
    expect(await over(pool.end(), 1_500)).toBe('over');
  });

  it('answers whoever waits for the pool to have moved to a target that it cannot reach', async () => {
    const { pool, source, refuse } = await startRefusing();
    await pool.query('select 1');
    refuse();
    source.set('secondary-db.example.com');
    await expect.poll(() => pool.status().candidate?.externalName).toBe('secondary-db.example.com');
    const drained = pool.drained();
    await pool.end();
    expect(await over(drained, 1_000)).toBe('over');
  });

  it('does not throw where an idle connection has ended in the same moment', async () => {
    const { pool } = await start({ max: 3 });
    await Promise.all(Array.from({ length: 3 }, () => pool.query('select 1')));
    const clients = (pool as unknown as { _clients: { connection: NodeJS.EventEmitter; _ended: boolean }[] })._clients;
    // As `pg` leaves them between the end of a connection and what follows from it.
    for (const client of clients) client._ended = true;
    expect(await over(pool.end(), 1_000)).toBe('over');
  });
});

describe('drained()', () => {
  it('resolves when the Service points back before the pool has moved', async () => {
    const { pool, source, refuse } = await startRefusing();
    await pool.query('select 1');
    refuse();
    source.set('secondary-db.example.com');
    await expect.poll(() => pool.status().candidate?.externalName).toBe('secondary-db.example.com');
    const drained = pool.drained();
    source.set('primary-db.example.com');
    expect(await over(drained, 1_000)).toBe('over');
  });
});

describe('a place in the pool', () => {
  it('is free again after a verify hook that took longer than its caller waited', async () => {
    let slow = true;
    const { pool } = await start({
      max: 1,
      connectionTimeoutMillis: 150,
      verify: (_client: unknown, done: () => void) => void (slow ? setTimeout(done, 400) : done()),
    } as PoolOptions);
    await expect(pool.connect()).rejects.toThrow();
    slow = false;
    await after(500);
    await pool.query('select 1');
  });

  it('is free again after a statement that pg throws on', async () => {
    const { pool } = await start({ max: 1, connectionTimeoutMillis: 500 });
    await expect(pool.query({ text: 'select 1', name: 5 as unknown as string })).rejects.toThrow();
    await pool.query('select 1');
  });

  it('counts once while its connection is prepared', async () => {
    const counts: number[] = [];
    const { pool } = await start({ max: 1, onConnect: () => void counts.push(pool.totalCount) } as PoolOptions);
    await pool.query('select 1');
    expect(counts).toEqual([1]);
    expect(pool.totalCount).toBe(1);
  });

  it('is not exceeded by the connection that a switch began with', async () => {
    let hooks = 0;
    let most = 0;
    const { pool, source } = await start({
      max: 1,
      idleTimeoutMillis: 0,
      reconnectSpreadMillis: 0,
      onConnect: async () => {
        hooks += 1;
        if (hooks > 1) await after(200);
      },
    } as PoolOptions);
    const client = await pool.connect();
    client.on('error', () => undefined);
    const waiting = pool.query('select 1').then(() => pool.query('select 1'));
    const watch = setInterval(() => {
      most = Math.max(most, server.sessions.filter(({ socket }) => !socket.destroyed).length);
    }, 5);
    source.set('secondary-db.example.com');
    await waiting;
    client.release();
    await after(300);
    clearInterval(watch);
    expect(pool.totalCount).toBe(1);
  });
});

describe('a verify hook', () => {
  it('that says no to a connection of pool.query() costs that connection, whatever its error looks like', async () => {
    let asked = 0;
    const { pool } = await start({
      max: 1,
      verify: (_client: unknown, done: (error?: Error) => void) => {
        asked += 1;
        done(asked === 1 ? new Error('not this one') : undefined);
      },
    } as PoolOptions);
    await expect(pool.query('select 1')).rejects.toThrow('not this one');
    await pool.query('select 1');
    expect(asked).toBe(2);
  });

  it('is asked about the connection that a switch began with', async () => {
    const verified: unknown[] = [];
    const { pool, source } = await start({
      verify: (client: unknown, done: () => void) => {
        verified.push(client);
        done();
      },
    } as PoolOptions);
    await pool.query('select 1');
    source.set('secondary-db.example.com');
    await expect.poll(() => pool.status().epoch).toBe(1);
    const client = await pool.connect();
    expect(verified).toContain(client);
    client.release();
  });
});

describe('callers who gave up waiting for a place', () => {
  it('leave nothing behind, and the place goes to the first of those who still wait', async () => {
    const { pool } = await start({ max: 1, connectionTimeoutMillis: 400 });
    await pool.query('select 1');
    const client = await pool.connect();
    const { asked, stop } = countRequests();
    const givenUp = await Promise.allSettled(Array.from({ length: 200 }, () => pool.query('select 1')));
    expect(givenUp.every(({ status }) => status === 'rejected')).toBe(true);
    await Promise.allSettled(Array.from({ length: 200 }, () => pool.query('select 1')));
    // Once for the place that there is, however many wait for it.
    expect(asked()).toBeLessThanOrEqual(1);
    stop();
    const order: number[] = [];
    const later = [1, 2, 3].map((n) => pool.query('select 1').then(() => order.push(n)));
    client.release();
    await Promise.all(later);
    expect(order).toEqual([1, 2, 3]);
  });
});

/** Counts how often a place is asked for while the pool is full. */
function countRequests() {
  const original = genericPool.Pool.prototype.acquire;
  let count = 0;
  genericPool.Pool.prototype.acquire = function (this: genericPool.Pool<unknown>, priority?: number) {
    count += 1;
    return original.call(this, priority);
  };
  return {
    asked: () => count,
    stop: () => {
      genericPool.Pool.prototype.acquire = original;
    },
  };
}

describe('maxWaiting', () => {
  it('0 serves whoever need not wait', async () => {
    const { pool } = await start({ max: 1, maxWaiting: 0 });
    await pool.query('select 1');
    const client = await pool.connect();
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TOO_MANY_WAITING' });
    client.release();
  });
});

describe('pool.query(null)', () => {
  it('is refused as in pg, and the death of the server later is no uncaught exception', async () => {
    const { pool } = await start({ max: 1 });
    await expect(pool.query(null as unknown as string)).rejects.toThrow('null or undefined');
    await pool.query('select 1');
    for (const { socket } of server.sessions) socket.destroy();
    await after(200);
  });
});

describe('an error of the application while an answer is read', () => {
  it.each([
    ['of no kind', {}],
    ['that looks like a lack of descriptors', { code: 'EMFILE' }],
    ['that looks like a name that does not resolve', { code: 'ENOTFOUND' }],
  ])(
    '%s: the statement was executed, so it is not done again, and its outcome is not called not-executed',
    async (_, like) => {
      let executed = 0;
      const { pool } = await start(
        { max: 1 },
        obliging((text) => {
          if (!text.startsWith('insert')) return undefined;
          executed += 1;
          return [rowDescription('id'), dataRow('1'), commandComplete('INSERT 0 1'), readyForQuery()];
        }),
      );
      const types = {
        getTypeParser: () => () => {
          throw Object.assign(new Error('cannot read this'), like);
        },
      };
      const error: unknown = await pool
        .query({ text: 'insert into t default values returning id', types: types as never })
        .then(
          () => undefined,
          (reason: unknown) => reason,
        );
      expect(executed).toBe(1);
      expect(outcomeOf(error)).toBe('unknown');
    },
  );
});

function rowDescription(name: string): Buffer {
  const body = Buffer.alloc(2 + name.length + 1 + 18);
  body.writeInt16BE(1, 0);
  body.write(name, 2);
  body.writeInt32BE(25, 2 + name.length + 1 + 6);
  body.writeInt16BE(-1, 2 + name.length + 1 + 10);
  body.writeInt32BE(-1, 2 + name.length + 1 + 12);
  const head = Buffer.alloc(5);
  head.write('T');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function dataRow(value: string): Buffer {
  const body = Buffer.alloc(2 + 4 + value.length);
  body.writeInt16BE(1, 0);
  body.writeInt32BE(value.length, 2);
  body.write(value, 6);
  const head = Buffer.alloc(5);
  head.write('D');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

describe('a statement that commits in its middle', () => {
  it.each([
    'begin; insert into t values (1); commit; insert into t values (2)',
    'call batch_job()',
    '/* nightly */ do $$ begin commit; end $$',
  ])('is not done again when the server turns read-only behind that: %s', async (text) => {
    let executed = 0;
    const { pool } = await start(
      { max: 1 },
      obliging((asked) => {
        if (asked !== text) return undefined;
        executed += 1;
        return [errorResponse('25006'), readyForQuery()];
      }),
    );
    const error: unknown = await pool.query(text).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(executed).toBe(1);
    expect(outcomeOf(error)).toBe('unknown');
  });

  it('while a plain one is', async () => {
    let executed = 0;
    const { pool } = await start(
      { max: 1 },
      obliging((asked) => {
        if (!asked.startsWith('insert')) return undefined;
        executed += 1;
        return executed === 1 ? [errorResponse('25006'), readyForQuery()] : undefined;
      }),
    );
    await pool.query("insert into t values ('end')");
    expect(executed).toBe(2);
  });
});

describe('a server of another role that says a last word while it is left', () => {
  it('does not end the process', async () => {
    const { pool } = await start({ failoverTimeoutMillis: 300 }, async (session) => {
      session.send(
        authenticationOk,
        parameter('in_hot_standby', 'on'),
        parameter('default_transaction_read_only', 'off'),
        readyForQuery(),
      );
      session.send(errorResponse('57P01', 'FATAL'));
      await session.receive();
    });
    await expect(pool.query('select 1')).rejects.toThrow();
    await after(100);
  });

  it('does not end the process while its role is asked for', async () => {
    const { pool } = await start({ failoverTimeoutMillis: 300 }, async (session) => {
      session.send(authenticationOk, readyForQuery());
      await session.receive();
      session.socket.destroy();
    });
    await expect(pool.query('select 1')).rejects.toThrow();
    await after(100);
  });
});

describe('a drain without limit', () => {
  it('lets a transaction go on', async () => {
    const { pool, source } = await start(
      { drainTimeoutMillis: Number.POSITIVE_INFINITY },
      obliging((text) => (text === 'begin' ? [commandComplete('BEGIN'), readyForQuery('T')] : undefined)),
    );
    const client = await pool.connect();
    client.on('error', () => undefined);
    await client.query('begin');
    source.set('secondary-db.example.com');
    await expect.poll(() => pool.status().epoch).toBe(1);
    await after(100);
    await client.query('select 1');
    client.release(true);
  });

  it('and a failover time-out beyond what timers take is no time-out at once', async () => {
    const { pool } = await start({ failoverTimeoutMillis: 2 ** 40, onConnect: () => after(50) } as PoolOptions);
    await pool.query('select 1');
  });
});

describe('a callback-style application on a client whose target is retired', () => {
  it('does not get a next statement through to the old server', async () => {
    const seen: string[] = [];
    let finish: () => void = () => undefined;
    const first = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { pool, source } = await start(
      {},
      obliging(async (text) => {
        seen.push(text);
        if (text === 'first') await first;
        return undefined;
      }),
    );
    const client = await pool.connect();
    client.on('error', () => undefined);
    const second = new Promise<unknown>((resolve) => {
      // biome-ignore lint/nursery/noFloatingPromises: the form with a callback returns nothing
      client.query('first', () => client.query('second', (error: unknown) => resolve(error)));
    });
    await after(50);
    source.set('secondary-db.example.com');
    await expect.poll(() => pool.status().epoch).toBe(1);
    finish();
    const error = await second;
    await after(100);
    expect(seen).not.toContain('second');
    expect(error).toBeInstanceOf(Error);
    expect(outcomeOf(error)).toBe('not-executed');
    client.release();
  });
});

describe('a pool whose Service flaps under load', () => {
  it('answers everybody, keeps to max, and leaves no connection, listener or warning behind', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const { pool, source } = await start(
      { max: 12, drainTimeoutMillis: 20, reconnectSpreadMillis: 5 },
      obliging(async (text) => {
        if (text !== '') await after(Math.random() * 10);
        return undefined;
      }),
    );
    let most = 0;
    let stopping = false;
    const failed: unknown[] = [];
    let answered = 0;
    const worker = async (n: number) => {
      while (!stopping) {
        try {
          if (n % 3 > 0) await pool.query('select 1');
          else {
            const client = await pool.connect();
            most = Math.max(most, pool.totalCount);
            await client.query('select 2').finally(() => client.release());
          }
          answered += 1;
        } catch (error) {
          failed.push(error);
        }
      }
    };
    const workers = Array.from({ length: 40 }, (_, n) => worker(n));
    for (let flap = 0; flap < 40; flap++) {
      source.set(flap % 2 === 0 ? 'secondary-db.example.com' : 'primary-db.example.com');
      await after(25);
    }
    stopping = true;
    expect(await over(Promise.all(workers), 3_000)).toBe('over');
    await pool.drained();
    await expect.poll(() => server.sessions.filter(({ socket }) => !socket.destroyed).length).toBeLessThanOrEqual(12);
    process.off('warning', onWarning);
    expect(pool.status()).toMatchObject({ draining: 0, waiting: 0 });
    expect(pool.status().epoch).toBeGreaterThan(5);
    expect(most).toBeLessThanOrEqual(12);
    expect(pool.totalCount).toBe(pool.idleCount);
    expect(answered).toBeGreaterThan(100);
    expect(warnings).toEqual([]);
    for (const client of (pool as unknown as { _clients: NodeJS.EventEmitter[] })._clients) {
      expect(client.listenerCount('error')).toBeLessThanOrEqual(3);
    }
    // Every place is still there.
    const all = await Promise.all(Array.from({ length: 12 }, () => pool.connect()));
    for (const client of all) client.release();
  });
});

describe('a client that is given back late', () => {
  it.each([
    ['after it was cut by a switch', 'cut'],
    ['after its connection ended', 'ended'],
  ])('%s: costs no place, and is nobody else’s', async (_, how) => {
    const { pool, source } = await start({ max: 1, drainTimeoutMillis: 10 });
    const client = await pool.connect();
    client.on('error', () => undefined);
    if (how === 'cut') {
      client.query('begin').catch(() => undefined);
      source.set('secondary-db.example.com');
      await expect.poll(() => pool.status().epoch).toBe(1);
      await after(50);
    } else {
      for (const { socket } of server.sessions) socket.destroy();
      await after(50);
    }
    const next = await pool.connect();
    expect(next).not.toBe(client);
    client.release();
    expect(() => client.release()).toThrow('already been released');
    expect(pool.totalCount).toBe(1);
    next.release();
    await Promise.all([pool.query('select 1'), pool.query('select 1')]);
    expect(pool.totalCount).toBe(1);
  });

  it.each(['before', 'after'])(
    'is not waited for by end() where its connection broke %s that was called',
    async (when) => {
      const { pool } = await start({ max: 2, endTimeoutMillis: 60_000 });
      const removed: unknown[] = [];
      pool.on('remove', (client) => removed.push(client));
      const client = await pool.connect();
      client.on('error', () => undefined);
      const breakIt = async () => {
        for (const { socket } of server.sessions) socket.destroy();
        await expect.poll(() => pool.totalCount).toBe(0);
      };
      if (when === 'before') await breakIt();
      const ended = pool.end();
      if (when === 'after') await breakIt();
      expect(await over(ended, 1_000)).toBe('over');
      expect(removed).toEqual([client]);
      client.release();
      expect(removed).toHaveLength(1);
    },
  );

  it('after the end of the pool: does nothing any more', async () => {
    const { pool } = await start({ max: 1, endTimeoutMillis: 50 });
    const client = await pool.connect();
    client.on('error', () => undefined);
    await pool.end();
    client.release();
    await after(20);
  });
});

describe('a server that dies while a connect hook is under way', () => {
  it('is an outage like any other: the caller waits for the next connection', async () => {
    let sessions = 0;
    const { pool } = await start(
      { onConnect: (client: { query(text: string): Promise<unknown> }) => client.query('set a = b') } as PoolOptions,
      async (session) => {
        sessions += 1;
        if (sessions > 2) return obliging()(session);
        await obliging(() => {
          session.socket.destroy();
          return [];
        })(session);
      },
    );
    await pool.query('select 1');
    expect(sessions).toBe(3);
  });
});

describe('secrets', () => {
  it('do not show when a pool is printed', async () => {
    const pool = new Pool({
      connectionString: 'postgres://app:hunter22@127.0.0.1:1/app',
      ssl: { key: 'PRIVATE', passphrase: 'hunter33' },
    } as PoolOptions);
    pools.push(pool);
    for (const printed of [
      inspect(pool, { depth: 9, showHidden: false }),
      inspect(pool.options, { depth: 9 }),
      inspect({ pool }, { depth: 9 }),
    ]) {
      expect(printed).not.toMatch(/hunter|PRIVATE/);
    }
  });
});

describe('the constructor', () => {
  it('does not call a stream factory', async () => {
    let made = 0;
    const stream = () => {
      made += 1;
      return new Socket();
    };
    const pool = new Pool({ host: '127.0.0.1', port: 1, stream } as PoolOptions);
    pools.push(pool);
    expect(made).toBe(0);
  });

  it('takes sslnegotiation: direct for a Service without an ssl option, as TLS is on', () => {
    const pool = new Pool({
      service: 'webscaler-db',
      allowedTargets: ['*.example.com'],
      sslnegotiation: 'direct',
    } as PoolOptions);
    pools.push(pool);
  });
});

describe('a stream of the application', () => {
  it('is refused for a Service, which the pool dials itself', () => {
    const options = { service: 'webscaler-db', allowedTargets: ['*.example.com'], stream: () => new Socket() };
    expect(() => new Pool(options as PoolOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'stream' }),
    );
  });
});

describe('the options of another pool', () => {
  it('keep their hidden password', async () => {
    const { pool } = await start({ password: 'hunter22', requireAuth: 'none' });
    const copy = new Pool({ ...server.options(), ...pool.options, password: pool.options.password } as PoolOptions);
    pools.push(copy);
    const again = new Pool(Object.create(null, Object.getOwnPropertyDescriptors(pool.options)));
    pools.push(again);
    expect(again.options.password).toBe('hunter22');
    expect(Object.keys(again.options)).not.toContain('password');
  });
});

describe('idleTimeoutMillis', () => {
  it('begins again each time that a client comes to be idle', async () => {
    const { pool } = await start({ idleTimeoutMillis: 300 });
    const client = await pool.connect();
    await after(400);
    client.release();
    await after(150);
    await pool.query('select 1');
    await after(200);
    expect(pool.totalCount).toBe(1);
    expect(server.sessions).toHaveLength(1);
    await vi.waitUntil(() => pool.totalCount === 0, { timeout: 2_000 });
  });

  it('does not run while a client goes from hand to hand', async () => {
    const { pool } = await start(
      { max: 1, idleTimeoutMillis: 100 },
      obliging(async () => {
        await after(60);
        return undefined;
      }),
    );
    await Promise.all(Array.from({ length: 6 }, () => pool.query('select 1')));
    expect(server.sessions).toHaveLength(1);
    await vi.waitUntil(() => pool.totalCount === 0, { timeout: 2_000 });
  });
});

describe('allowExitOnIdle', () => {
  it('does not let the process end while a statement is under way', async () => {
    server = await startFakePostgres({
      script: obliging(async (text) => {
        if (text === 'slow') await after(500);
        return undefined;
      }),
    });
    const program = `
      import { Pool } from '${new URL('../src/index.ts', import.meta.url).pathname}';
      const pool = new Pool({ host: '127.0.0.1', port: ${server.port}, user: 'app', ssl: false, allowExitOnIdle: true });
      await pool.query('select 1');
      await new Promise((resolve) => setTimeout(resolve, 50));
      await pool.query('slow');
      console.log('answered');
    `;
    expect(program).toContain('slow');
    const child = spawn(
      process.execPath,
      ['--conditions=@externalname/source', '--import', 'tsx', '--input-type=module', '-e', program],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await once(child, 'close');
    expect(output).toContain('answered');
  });
});
