import { FaultProxy, type ProxiedConnection } from '@externalname/testing';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outcomeOf, type Pool, type PoolOptions, type TransactionOptions } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
let proxy: FaultProxy;

const table = 'commit_markers';
const withMarker: TransactionOptions = { commitMarker: { table } };

// Every connection to the primary leads through the proxy; the standby is reached directly.
beforeEach(async () => {
  webscaler = await startWebscaler();
  const { pair, cluster } = webscaler;
  proxy = await FaultProxy.start({ target: { host: pair.primary.address, port: pair.port }, port: pair.port });
  cluster.hosts.set('primary-db.example.com', [proxy.address]);
  const pool = webscaler.pool();
  await pool.query('create table writes (id uuid not null, run int not null)');
  await pool.query(`create table ${table} (id uuid primary key, written_at timestamptz not null default now())`);
  await pool.end();
});

afterEach(async () => {
  await webscaler?.endPools();
  await proxy?.close();
  await webscaler?.[Symbol.asyncDispose]();
});

type AtCommit = (connection: ProxiedConnection, send: () => void) => void;

/** A pool whose first COMMIT meets a fault, exactly then. */
function poolWithFaultAtCommit(fault: AtCommit, options: PoolOptions = {}): Pool {
  const pool = webscaler.pool(options);
  let done = false;
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const faulty = (...args: unknown[]) => {
      const connection = connectionOf(client);
      if (args[0] !== 'COMMIT' || done || connection === undefined) return query(...args);
      done = true;
      let result: unknown;
      fault(connection, () => {
        result = query(...args);
      });
      return result;
    };
    Object.assign(client, { query: faulty });
  });
  return pool;
}

function connectionOf(client: pg.PoolClient): ProxiedConnection | undefined {
  const { localPort } = (client as unknown as { connection: { stream: { localPort: number } } }).connection.stream;
  return proxy.connections.find(({ clientPort }) => clientPort === localPort);
}

/** The server executes COMMIT, and its answer does not come through. Then `next`. */
function afterExecution(next: (connection: ProxiedConnection) => void | Promise<void>): AtCommit {
  return (connection, send) => {
    connection.blackHole('to-client');
    send();
    const executed = async () => {
      await expect.poll(() => stored(), { timeout: 10_000, interval: 20 }).toBeGreaterThan(0);
      await next(connection);
    };
    executed().catch(() => connection.reset());
  };
}

/** COMMIT is sent and does not reach the server. Then `next`. */
function beforeExecution(next: (connection: ProxiedConnection) => void | Promise<void>): AtCommit {
  return (connection, send) => {
    connection.blackHole('to-server');
    send();
    const held = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await next(connection);
    };
    held().catch(() => connection.reset());
  };
}

async function stored(): Promise<number> {
  const { pair } = webscaler;
  const { primary, database } = pair;
  const [row] = await primary.query<{ n: number }>('select count(*)::int as n from writes', [], { database });
  return row?.n ?? -1;
}

/** A transaction that writes one row, and how often its work was run. */
function write(pool: Pool, options?: TransactionOptions) {
  const state = { runs: 0 };
  const id = crypto.randomUUID();
  const done = pool.transaction(async (tx) => {
    state.runs += 1;
    await tx.query('insert into writes (id, run) values ($1, $2)', [id, state.runs]);
    return `run ${state.runs}`;
  }, options);
  return { state, done, id };
}

async function rows(pool: Pool): Promise<{ run: number }[]> {
  return (await pool.query<{ run: number }>('select run from writes')).rows;
}

const failOver = async () => {
  const [primary, standby] = webscaler.pair.servers;
  await primary.kill();
  proxy.reset();
  await standby.promote();
  await webscaler.point('secondary-db.example.com');
};

describe('when the connection is lost at COMMIT, and the server lives on', () => {
  it('a COMMIT that was executed is proven so, and not retried', async () => {
    const pool = poolWithFaultAtCommit(afterExecution((connection) => connection.reset()));
    const { done, state } = write(pool);
    await expect(done).resolves.toBe('run 1');
    expect(state.runs).toBe(1);
    expect(await rows(pool)).toEqual([{ run: 1 }]);
    expect(pool.status()).toMatchObject({ waiting: 0, draining: 0 });
    expect(pool.idleCount).toBe(pool.totalCount);
  });

  it('one that was not executed is proven so, and the transaction is retried', async () => {
    const pool = poolWithFaultAtCommit(beforeExecution((connection) => connection.reset()));
    const { done, state } = write(pool);
    await expect(done).resolves.toBe('run 2');
    expect(state.runs).toBe(2);
    expect(await rows(pool)).toEqual([{ run: 2 }]);
  });

  it('even if the server does not notice that its client is gone and would wait for it, with its locks', async () => {
    const pool = poolWithFaultAtCommit(beforeExecution((connection) => connection.halfOpen('client')));
    const { done } = write(pool);
    await expect(done).resolves.toBe('run 2');
    expect(await rows(pool)).toEqual([{ run: 2 }]);
  });

  it('one that waits for a synchronous standby which is gone is not called committed', async () => {
    await webscaler.pair.standby.kill();
    const waiting: AtCommit = (connection, send) => {
      send();
      setTimeout(() => connection.reset(), 300);
    };
    const pool = poolWithFaultAtCommit(waiting, { failoverTimeoutMillis: 2_000 });
    const { done, state } = write(pool);
    await expect(done).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN' });
    expect(state.runs).toBe(1);
    // It is there, on this server alone: a failover would lose it.
    expect(await stored()).toBe(1);
  });

  it('with commitProof: false it is reported as unknown', async () => {
    const pool = poolWithFaultAtCommit(afterExecution((connection) => connection.reset()));
    const { done, state } = write(pool, { commitProof: false });
    const error = await done.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN', outcome: 'unknown' });
    expect((error as Error).cause).toBeInstanceOf(Error);
    expect(state.runs).toBe(1);
    expect(await rows(pool)).toEqual([{ run: 1 }]);
  });

  it('with commitProof: false, a marker still proves it', async () => {
    const pool = poolWithFaultAtCommit(afterExecution((connection) => connection.reset()));
    const { done, state } = write(pool, { ...withMarker, commitProof: false });
    await expect(done).resolves.toBe('run 1');
    expect(state.runs).toBe(1);
  });

  it.each([
    ['READ ONLY', { readOnly: true }],
    ['without a write', {}],
  ])('a transaction %s did nothing, and is retried', async (_, options: TransactionOptions) => {
    const pool = poolWithFaultAtCommit(beforeExecution((connection) => connection.reset()));
    let runs = 0;
    const read = pool.transaction(async (tx) => {
      runs += 1;
      return (await tx.query('select 1 as one')).rows;
    }, options);
    await expect(read).resolves.toEqual([{ one: 1 }]);
    expect(runs).toBe(2);
  });

  it('a signal that fires while COMMIT is unanswered leaves it unknown, and nothing hangs', async () => {
    const controller = new AbortController();
    const pool = poolWithFaultAtCommit(beforeExecution(() => controller.abort(new Error('enough'))));
    const { done } = write(pool, { signal: controller.signal });
    await expect(done).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN',
      cause: { message: 'enough' },
    });
    await expect.poll(() => pool.totalCount).toBe(0);
  });
});

describe('when the server crashes at COMMIT and recovers', () => {
  const crash = async () => {
    const { primary } = webscaler.pair;
    await primary.kill();
    proxy.reset();
    await primary.start();
  };

  it('its word that the transaction is committed is not taken, as the number may have been given again', async () => {
    const pool = poolWithFaultAtCommit(afterExecution(crash));
    const { done, state } = write(pool);
    await expect(done).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN' });
    expect(state.runs).toBe(1);
  });

  it('a marker proves that it is', async () => {
    const pool = poolWithFaultAtCommit(afterExecution(crash));
    const { done, state } = write(pool, withMarker);
    await expect(done).resolves.toBe('run 1');
    expect(state.runs).toBe(1);
  });

  it('a transaction that did not survive is retried, even without a marker', async () => {
    const pool = poolWithFaultAtCommit(beforeExecution(crash));
    const { done } = write(pool);
    await expect(done).resolves.toBe('run 2');
    expect(await rows(pool)).toEqual([{ run: 2 }]);
  });
});

describe('when the primary is killed at COMMIT and the standby promoted', () => {
  it('a COMMIT that was executed is found by its marker on the new primary, and not retried', async () => {
    const pool = poolWithFaultAtCommit(afterExecution(failOver));
    const { done, state } = write(pool, withMarker);
    await expect(done).resolves.toBe('run 1');
    expect(state.runs).toBe(1);
    expect(await rows(pool)).toEqual([{ run: 1 }]);
  });

  it('one that was not executed is retried there, because its marker is missing', async () => {
    const pool = poolWithFaultAtCommit(beforeExecution(failOver));
    const { done } = write(pool, withMarker);
    await expect(done).resolves.toBe('run 2');
    expect(await rows(pool)).toEqual([{ run: 2 }]);
  });

  it.each([
    ['was', afterExecution, 1],
    ['was not', beforeExecution, 0],
  ])('without a marker, one that %s executed is reported as unknown and not repeated', async (_, at, count) => {
    const pool = poolWithFaultAtCommit(at(failOver));
    const { done, state } = write(pool);
    await expect(done).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN',
      outcome: 'unknown',
      transactionId: expect.stringMatching(/^\d+$/),
    });
    expect(state.runs).toBe(1);
    expect(await rows(pool)).toHaveLength(count);
  });

  it.each([
    ['with markers none fails', withMarker],
    ['without markers those at COMMIT are unknown', {}],
  ])('of transactions in flight, none is lost and none happens twice; %s', async (_, options) => {
    const pool = webscaler.pool({ max: 8 });
    const acknowledged: string[] = [];
    const failed: { id: string; error: unknown }[] = [];
    let stopping = false;
    const writer = async () => {
      while (!stopping) {
        const { done, id } = write(pool, options);
        await done.then(
          () => acknowledged.push(id),
          (error) => failed.push({ id, error }),
        );
      }
    };
    const writers = Array.from({ length: 8 }, writer);
    await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(50);
    await failOver();
    const goal = acknowledged.length + 50;
    await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(goal);
    stopping = true;
    await Promise.all(writers);

    const { rows: found } = await pool.query<{ id: string; n: number }>(
      'select id, count(*)::int as n from writes group by id',
    );
    const times = new Map(found.map(({ id, n }) => [id, n]));
    expect(acknowledged.filter((id) => !times.has(id))).toEqual([]);
    expect([...times.values()].filter((n) => n > 1)).toEqual([]);
    expect(failed.filter(({ id, error }) => outcomeOf(error) !== 'unknown' && times.has(id))).toEqual([]);
    if (options === withMarker) expect(failed).toEqual([]);
    for (const { error } of failed) expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN' });
  });
});
