import net, { type AddressInfo } from 'node:net';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Client, outcomeOf, Pool, type PoolOptions } from '../src/index.ts';
import {
  authenticationOk,
  commandComplete,
  primaryParameters,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';
import { rejectionOf } from './support/rejection.ts';
import { nextSwitch, startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
  await webscaler.inDatabase('create table items (id int not null)');
});

beforeEach(async () => {
  await webscaler.inDatabase('truncate items');
});

afterEach(async () => {
  await Promise.all(webscaler.pair.servers.map((server) => server.thaw()));
  await webscaler.endPools();
  await webscaler.point('primary-db.example.com');
  vi.restoreAllMocks();
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

/** A statement that never ends by itself, and how to ask a server which sessions run it or ran it last. */
function endless() {
  marks += 1;
  const mark = `endless_${marks}`;
  return {
    text: `select pg_sleep(600) as ${mark}`,
    sessions: (server = webscaler.pair.primary) =>
      server.query(
        "select pid, state from pg_stat_activity where query like '%' || $1 || '%' and backend_type = 'client backend' and pid <> pg_backend_pid()",
        [mark],
      ),
  };
}
let marks = 0;

const pidOf = async (client: pg.ClientBase | pg.Pool): Promise<number> =>
  (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0;

/** For what takes milliseconds on an idle machine. */
const soon = { timeout: 10_000 };

const passed = { message: 'Query read timeout', outcome: 'unknown' };
const notSent = { message: 'Query read timeout', outcome: 'not-executed' };

describe('when query_timeout passes for a statement that runs', () => {
  it.each<[string, PoolOptions]>([
    ['over TLS', {}],
    ['over TLS without SSLRequest', { sslnegotiation: 'direct' } as PoolOptions],
  ])('%s, it ends on the server with its session, and the pool goes on at once', async (_, options) => {
    const { text, sessions } = endless();
    const pool = webscaler.pool({ max: 1, query_timeout: 1_500, ...options });
    const failure = rejectionOf(pool.query(text));
    await expect.poll(() => sessions(), soon).toMatchObject([{ state: 'active' }]);
    expect(await failure).toMatchObject(passed);
    await expect(pool.query('select 2 as two')).resolves.toMatchObject({ rows: [{ two: 2 }] });
    await expect.poll(() => sessions(), soon).toEqual([]);
    expect(pool.totalCount).toBe(1);
  });

  it.each<[string, (client: pg.ClientBase, text: string) => Promise<unknown>]>([
    ['in the config', (client, text) => client.query({ text, query_timeout: 200 } as pg.QueryConfig)],
    [
      'in the config, with a callback',
      (client, text) =>
        new Promise((resolve, reject) =>
          client.query({ text, query_timeout: 200 } as pg.QueryConfig, (error, result) =>
            error ? reject(error) : resolve(result),
          ),
        ),
    ],
    [
      'in the config, with the callback in it too',
      (client, text) =>
        new Promise((resolve, reject) => {
          const callback = (error: unknown, result: unknown) => (error ? reject(error) : resolve(result));
          (client.query as (config: unknown) => unknown)({ text, query_timeout: 200, callback });
        }),
    ],
  ])('given %s, a client that is out is given up, and its place is free before it comes back', async (_, run) => {
    const { text, sessions } = endless();
    const pool = webscaler.pool({ max: 1 });
    const client = await pool.connect();
    const failure = rejectionOf(run(client, text));
    const behind = rejectionOf(client.query('select 1'));
    expect(await failure).toMatchObject(passed);
    expect(pool.totalCount).toBe(0);
    // What waited behind it was not sent, and says so.
    expect(outcomeOf(await behind) ?? (await behind)).toMatchObject({
      message: expect.stringContaining('not queryable'),
    });
    await expect(pool.query('select 2 as two')).resolves.toMatchObject({ rows: [{ two: 2 }] });
    await expect(client.query('select 1')).rejects.toThrow('not queryable');
    client.release();
    await expect.poll(() => sessions(), soon).toEqual([]);
    expect(pool.totalCount).toBe(1);
  });

  it('the server is asked at the address of the connection, not where the Service points by then', async () => {
    const { text, sessions } = endless();
    const [first] = webscaler.pair.servers;
    const pool = webscaler.pool({ max: 1, targetSessionAttrs: 'any', drainTimeoutMillis: 20_000 });
    const client = await pool.connect();
    const failure = rejectionOf(client.query({ text, query_timeout: 3_000 } as pg.QueryConfig));
    await expect.poll(() => sessions(first), soon).toMatchObject([{ state: 'active' }]);
    const switched = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    await expect(switched).resolves.toMatchObject({ draining: 1 });
    expect(await failure).toMatchObject(passed);
    await expect.poll(() => sessions(first), soon).toEqual([]);
    await expect(pool.drained()).resolves.toBeUndefined();
    client.release();
  });

  it('the key is never sent in the clear', async () => {
    const { pair, cluster } = webscaler;
    await using relay = await startRelay({ host: pair.primary.address, port: pair.port });
    cluster.hosts.set('primary-db.example.com', ['127.0.0.1']);
    const { text, sessions } = endless();
    const pool = webscaler.pool({ max: 1, query_timeout: 300, port: relay.port, liveness: false });
    try {
      expect(await rejectionOf(pool.query(text))).toMatchObject(passed);
      await expect.poll(() => sessions(), soon).toEqual([]);
    } finally {
      cluster.hosts.set('primary-db.example.com', [pair.primary.address]);
    }
    // One connection for the statement and one for the request; each begins with SSLRequest and goes on in TLS records.
    expect(relay.heard()).toHaveLength(2);
    for (const bytes of relay.heard()) {
      expect(bytes.subarray(0, 8).toString('hex')).toBe('0000000804d2162f');
      expect(bytes[8]).toBe(0x16);
      expect(bytes.includes(Buffer.from('04d2162e', 'hex'))).toBe(false);
    }
  });

  it('the key is not given to a server whose certificate is for another name', async () => {
    const { pair, cluster } = webscaler;
    await using relay = await startRelay({ host: pair.primary.address, port: pair.port });
    const { certificate, privateKey } = await pair.authority.issue({ hostNames: ['stranger.example.com'] });
    const tls = { certificate, privateKey, ca: pair.ca };
    await using stranger = await startFakePostgres({ tls, script: () => undefined });
    cluster.hosts.set('primary-db.example.com', ['127.0.0.1']);
    const { text, sessions } = endless();
    const pool = webscaler.pool({ max: 1, query_timeout: 1_500, port: relay.port, liveness: false });
    try {
      const failure = rejectionOf(pool.query(text));
      await expect.poll(() => sessions(), soon).toHaveLength(1);
      relay.lead({ host: '127.0.0.1', port: stranger.port });
      expect(await failure).toMatchObject(passed);
      await pool.end();
      expect(relay.heard()).toHaveLength(2);
      expect(stranger.received()).toBe('');
      // The statement goes on, because the server could not be told to end it; the connection is gone nevertheless.
      expect(await sessions()).toMatchObject([{ state: 'active' }]);
    } finally {
      cluster.hosts.set('primary-db.example.com', [pair.primary.address]);
      for (const { pid } of await sessions()) await pair.primary.query('select pg_terminate_backend($1)', [pid]);
    }
  });

  it('a server that gave no key is left alone, and its connection is gone', async () => {
    await using server = await startFakePostgres({
      script: async (session) => {
        session.send(authenticationOk, ...primaryParameters, readyForQuery());
        for (let asked = await session.receive(); asked?.type === 'Q'; asked = await session.receive()) {
          if (!asked.body.includes('endless')) session.send(commandComplete('SELECT 0'), readyForQuery());
        }
        session.socket.end();
      },
    });
    const pool = new Pool(server.options({ max: 1, query_timeout: 200 }));
    expect(await rejectionOf(pool.query('endless'))).toMatchObject(passed);
    await expect(pool.query('select 1')).resolves.toBeDefined();
    await pool.end();
    expect(server.sessions).toHaveLength(2);
    expect(server.sessions.every(({ socket }) => socket.destroyed)).toBe(true);
  });

  it('nothing hangs if the server is stopped, and the statement ends once it continues', async () => {
    const { text, sessions } = endless();
    const { primary } = webscaler.pair;
    const pool = webscaler.pool({ max: 1, query_timeout: 1_500, failoverTimeoutMillis: 1_000, liveness: false });
    const client = await pool.connect();
    const failure = rejectionOf(client.query(text));
    await expect.poll(() => sessions(), soon).toHaveLength(1);
    await primary.freeze();
    expect(await failure).toMatchObject(passed);
    expect(pool.totalCount).toBe(0);
    client.release();
    await pool.end();
    await primary.thaw();
    await primary.query('select pg_cancel_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()');
    await expect.poll(() => sessions(), soon).toEqual([]);
  });

  it('a server that does not take the request is suspect: idle connections are checked', async () => {
    const { text, sessions } = endless();
    const { primary } = webscaler.pair;
    const pool = webscaler.pool({ max: 2, query_timeout: 1_500, failoverTimeoutMillis: 10_000, liveness: false });
    const other = await pool.connect();
    const failure = rejectionOf(pool.query(text));
    await expect.poll(() => sessions(), soon).toHaveLength(1);
    other.release();
    expect(pool.idleCount).toBe(1);
    expect(pool.status().serving).toBe(true);
    await primary.freeze();
    expect(await failure).toMatchObject(passed);
    await expect.poll(() => pool.status().serving, soon).toBe(false);
    await primary.thaw();
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });

  it('end() comes back within endTimeoutMillis', async () => {
    const { text, sessions } = endless();
    const pool = webscaler.pool({ max: 1, query_timeout: 1_500, endTimeoutMillis: 100, liveness: false });
    const client = await pool.connect();
    const failure = rejectionOf(client.query(text));
    await expect.poll(() => sessions(), soon).toHaveLength(1);
    await webscaler.pair.primary.freeze();
    expect(await failure).toMatchObject(passed);
    await expect(pool.end()).resolves.toBeUndefined();
  });
});

describe('when query_timeout passes for a statement that waits in this process', () => {
  it('it was not executed, and the connection goes on', async () => {
    const pool = webscaler.pool({ max: 1 });
    const client = await pool.connect();
    const pid = await pidOf(client);
    const running = client.query('select pg_sleep(0.5), 1 as one');
    const waiting = { text: 'insert into items values (1)', query_timeout: 100 } as pg.QueryConfig;
    expect(await rejectionOf(client.query(waiting))).toMatchObject(notSent);
    await expect(running).resolves.toMatchObject({ rows: [{ one: 1 }] });
    expect(await pidOf(client)).toBe(pid);
    const { rows } = await client.query('select * from items');
    expect(rows).toEqual([]);
    client.release();
    expect(pool.idleCount).toBe(1);
  });
});

describe('a cursor, whose timeout pg does not clear with it', () => {
  it('costs no connection once it is read to its end', async () => {
    const pool = webscaler.pool({ max: 1, query_timeout: 1_000 });
    const client = await pool.connect();
    const pid = await pidOf(client);
    const cursor = client.query(new Cursor('select 1 as one'));
    await expect(cursor.read(10)).resolves.toEqual([{ one: 1 }]);
    await cursor.close();
    client.release();
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect(await pidOf(pool)).toBe(pid);
  });

  it('is ended if it is still being read', async () => {
    const { text, sessions } = endless();
    const pool = webscaler.pool({ max: 1, query_timeout: 300 });
    const client = await pool.connect();
    const cursor = client.query(new Cursor(text));
    expect(await rejectionOf(cursor.read(1))).toMatchObject(passed);
    expect(pool.totalCount).toBe(0);
    await expect.poll(() => sessions(), soon).toEqual([]);
    client.release();
  });
});

describe('when query_timeout passes in transaction()', () => {
  const count = async () => {
    const [row] = await webscaler.inDatabase('select count(*)::int as count from items');
    return row?.['count'];
  };

  it('all of it is rolled back at once, and it is not retried', async () => {
    const { text, sessions } = endless();
    const pool = webscaler.pool({ max: 1, query_timeout: 1_000 });
    let runs = 0;
    const failure = await rejectionOf(
      pool.transaction(async (tx) => {
        runs += 1;
        await tx.query('insert into items values (1)');
        await tx.query(text);
      }),
    );
    expect(failure).toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK', outcome: 'not-executed' });
    expect((failure as Error).cause).toMatchObject(passed);
    await expect.poll(() => sessions(), soon).toEqual([]);
    expect([runs, await count()]).toEqual([1, 0]);
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });

  it.each([[{}], [{ commitProof: false }]])(
    'even if the work continues as if nothing had happened: %j',
    async (options) => {
      const { text } = endless();
      const pool = webscaler.pool({ max: 1, query_timeout: 1_000 });
      let runs = 0;
      const failure = await rejectionOf(
        pool.transaction(async (tx) => {
          runs += 1;
          await tx.query('insert into items values (1)');
          await tx.query(text).catch(() => undefined);
          await tx.query('insert into items values (2)').catch(() => undefined);
        }, options),
      );
      expect(failure).toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK', cause: passed });
      expect([runs, await count()]).toEqual([1, 0]);
    },
  );

  it('a COMMIT that takes too long, and that the server gave up, is reported as rolled back', async () => {
    const { primary } = webscaler.pair;
    await webscaler.inDatabase(
      "create function pause() returns trigger language plpgsql as 'begin perform pg_sleep(600); return null; end'",
    );
    await webscaler.inDatabase(
      'create constraint trigger pause after insert on items deferrable initially deferred for each row execute function pause()',
    );
    try {
      const pool = webscaler.pool({ max: 1, query_timeout: 1_000 });
      let runs = 0;
      const failure = await rejectionOf(
        pool.transaction(async (tx) => {
          runs += 1;
          await tx.query('insert into items values (1)');
        }),
      );
      expect(failure).toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK', cause: passed });
      expect([runs, await count()]).toEqual([1, 0]);
      const busy = "select pid from pg_stat_activity where state = 'active' and query = 'COMMIT'";
      await expect.poll(() => primary.query(busy), soon).toEqual([]);
    } finally {
      await webscaler.inDatabase('drop function pause cascade');
    }
  });

  it('a COMMIT that waits for a standby is reported as unknown, and its session is gone', async () => {
    const { primary, standby } = webscaler.pair;
    const pool = webscaler.pool({ max: 1, query_timeout: 1_000 });
    let runs = 0;
    const failure = await rejectionOf(
      pool.transaction(async (tx) => {
        runs += 1;
        await tx.query('insert into items values (1)');
        await standby.freeze();
      }),
    );
    expect(failure).toMatchObject({ code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN', outcome: 'unknown' });
    expect(runs).toBe(1);
    await expect
      .poll(
        () => primary.query("select pid from pg_stat_activity where wait_event = 'SyncRep' and query = 'COMMIT'"),
        soon,
      )
      .toEqual([]);
  });
});

describe('an AbortSignal of transaction()', () => {
  const abortDuring = async (pool: Pool) => {
    const { text, sessions } = endless();
    const controller = new AbortController();
    const reason = new Error('enough');
    let inside: Promise<unknown> | undefined;
    const work = pool.transaction(
      async (tx) => {
        await tx.query('insert into items values (1)');
        inside = rejectionOf(tx.query(text));
        await inside;
      },
      { signal: controller.signal },
    );
    const failure = rejectionOf(work);
    await expect.poll(() => sessions(), soon).toMatchObject([{ state: 'active' }]);
    controller.abort(reason);
    expect(await failure).toBe(reason);
    expect(await inside).toBe(reason);
    await expect.poll(() => sessions(), soon).toEqual([]);
    const { rows } = await pool.query('select * from items');
    expect(rows).toEqual([]);
    await expect.poll(() => pool.status(), soon).toMatchObject({ total: 1, idle: 1, waiting: 0 });
  };

  it('ends the statement that runs on the server', async () => {
    await abortDuring(webscaler.pool({ max: 1 }));
  });

  it('does so for a plain host, too', async () => {
    const { pair } = webscaler;
    const { user, password, database, port } = pair;
    const ssl = { ca: pair.ca, servername: 'primary-db.example.com' };
    await using pool = new Pool({ host: pair.primary.address, port, user, password, database, ssl, max: 1 });
    await abortDuring(pool);
  });

  it('ends a COMMIT that waits for a standby, whose outcome is unknown', async () => {
    const { primary, standby } = webscaler.pair;
    const pool = webscaler.pool({ max: 1 });
    const controller = new AbortController();
    const failure = rejectionOf(
      pool.transaction(
        async (tx) => {
          await tx.query('insert into items values (1)');
          await standby.freeze();
        },
        { signal: controller.signal },
      ),
    );
    const waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep' and query = 'COMMIT'";
    await expect.poll(() => primary.query(waiting), soon).toHaveLength(1);
    controller.abort(new Error('enough'));
    expect(await failure).toMatchObject({ code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN' });
    await expect.poll(() => primary.query(waiting), soon).toEqual([]);
  });
});

describe("a Client of one's own", () => {
  it('is given up in the same way, and ends', async () => {
    const { text, sessions } = endless();
    const client = new Client(webscaler.options({ query_timeout: 300 }));
    await client.connect();
    const ended = new Promise((resolve) => client.once('end', () => resolve('ended')));
    expect(await rejectionOf(client.query(text))).toMatchObject(passed);
    await expect(client.query('select 1')).rejects.toThrow('not queryable');
    await expect(ended).resolves.toBe('ended');
    await expect.poll(() => sessions(), soon).toEqual([]);
    await client.end();
  });

  it('lets the request out before end() closes it', async () => {
    const { text, sessions } = endless();
    const client = new Client(webscaler.options({ query_timeout: 300 }));
    const connected = client.connect();
    // Asked before there is a connection.
    const failure = rejectionOf(client.query(text));
    await connected;
    expect(await failure).toMatchObject(passed);
    await client.end();
    await expect.poll(() => sessions(), soon).toEqual([]);
  });
});

describe('tracers that patch query() on the class', () => {
  it('see each statement as the application asked it', async () => {
    const pool = webscaler.pool({ max: 1, query_timeout: 5_000 });
    await pool.query('select 1');
    const seen = vi.spyOn(pg.Client.prototype, 'query');
    const client = await pool.connect();
    await client.query('select 2');
    await client.query('select $1::int', [3]);
    client.release();
    expect(seen.mock.calls).toEqual([['select 2'], ['select $1::int', [3]]]);
  });
});

/** Relays bytes to a server and keeps what clients sent. */
async function startRelay(target: { host: string; port: number }) {
  let current = target;
  const heard: Buffer[][] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    const bytes: Buffer[] = [];
    heard.push(bytes);
    const onward = net.connect(current);
    for (const each of [socket, onward]) {
      sockets.add(each);
      each.on('error', () => undefined);
    }
    socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    heard: () => heard.map((bytes) => Buffer.concat(bytes)),
    lead: (target: { host: string; port: number }) => {
      current = target;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
