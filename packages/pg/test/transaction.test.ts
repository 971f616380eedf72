import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, type Pool, retried, type Transaction } from '../src/index.ts';
import { nextSwitch, startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
  const pool = webscaler.pool();
  await pool.query('create table accounts (id int primary key, balance int not null)');
  await pool.query('create table parents (id int primary key)');
  await pool.query(
    'create table children (id int primary key, parent int references parents deferrable initially deferred)',
  );
  await pool.end();
});

afterEach(async () => {
  await webscaler.endPools();
  await webscaler.point('primary-db.example.com');
  await withPool((pool) => pool.query('truncate accounts, parents, children'));
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

const insert = (tx: Pick<Transaction, 'query'>, id: number) =>
  tx.query('insert into accounts (id, balance) values ($1, 0)', [id]);

async function ids(): Promise<number[]> {
  const { rows } = await withPool((pool) => pool.query<{ id: number }>('select id from accounts order by id'));
  return rows.map(({ id }) => id);
}

async function withPool<T>(use: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = webscaler.pool();
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}

describe('a transaction', () => {
  it('is committed when the work resolves, and the promise resolves with what it returned', async () => {
    const pool = webscaler.pool();
    await expect(
      pool.transaction(async (tx) => {
        await insert(tx, 1);
        await insert(tx, 2);
        return 'done';
      }),
    ).resolves.toBe('done');
    expect(await ids()).toEqual([1, 2]);
  });

  it('is rolled back when the work rejects, with the same error, and the client is used again', async () => {
    const pool = webscaler.pool({ max: 1 });
    const wrong = new Error('no');
    const work = pool.transaction(async (tx) => {
      await insert(tx, 1);
      throw wrong;
    });
    await expect(work).rejects.toBe(wrong);
    const before = pool.status();
    expect(before).toMatchObject({ total: 1, idle: 1 });
    expect(await ids()).toEqual([]);
  });

  it('runs with the given isolation level and access mode', async () => {
    const pool = webscaler.pool();
    const modes = await pool.transaction(
      async (tx) => {
        const { rows } = await tx.query(
          "select current_setting('transaction_isolation') as isolation, current_setting('transaction_read_only') as readonly, current_setting('transaction_deferrable') as deferrable",
        );
        return rows[0];
      },
      { isolationLevel: 'serializable', readOnly: true, deferrable: true },
    );
    expect(modes).toEqual({ isolation: 'serializable', readonly: 'on', deferrable: 'on' });
  });

  it('takes queries in every form of pg', async () => {
    const pool = webscaler.pool();
    const results = await pool.transaction(async (tx) => {
      const text = await tx.query('select 1 as n');
      const config = await tx.query({ name: 'two', text: 'select $1::int as n', values: [2] });
      const array = await tx.query({ text: 'select 3 as n', rowMode: 'array' });
      const callback = await new Promise<number>((resolve, reject) => {
        tx.query('select $1::int as n', [4], (error, result) => (error ? reject(error) : resolve(result.rows[0].n)));
      });
      return [text.rows[0].n, config.rows[0].n, array.rows[0]?.[0], callback];
    });
    expect(results).toEqual([1, 2, 3, 4]);
  });

  it('takes no statement any more when it is over', async () => {
    const pool = webscaler.pool();
    const kept = await pool.transaction(async (tx) => tx);
    await expect(kept.query('select 1')).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await expect(kept.transaction(async () => undefined)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
  });

  it('is not reported as committed when a statement failed and the work went on regardless', async () => {
    const pool = webscaler.pool();
    const work = pool.transaction(async (tx) => {
      await insert(tx, 1);
      await insert(tx, 1).catch(() => undefined);
      return 'done';
    });
    await expect(work).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK',
      outcome: 'not-executed',
      cause: { code: '23505' },
    });
    const unproven = pool.transaction(
      async (tx) => {
        await insert(tx, 1);
        await insert(tx, 1).catch(() => undefined);
      },
      { commitProof: false },
    );
    await expect(unproven).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK' });
    expect(await ids()).toEqual([]);
    expect(pool.status()).toMatchObject({ total: 1, idle: 1 });
  });

  it('lets the application use its own savepoints', async () => {
    const pool = webscaler.pool();
    await pool.transaction(async (tx) => {
      await insert(tx, 1);
      await tx.query('savepoint mine');
      await insert(tx, 1).catch(() => undefined);
      await tx.query('rollback to savepoint mine');
      await insert(tx, 2);
    });
    expect(await ids()).toEqual([1, 2]);
  });

  it('rejects with the error of a constraint that is checked at COMMIT', async () => {
    const pool = webscaler.pool();
    const work = pool.transaction((tx) => tx.query('insert into children values (1, 99)'));
    await expect(work).rejects.toMatchObject({ code: '23503', outcome: 'not-executed' });
    expect(pool.status()).toMatchObject({ total: 1, idle: 1 });
  });

  it('says so when the work ends it with its own statement', async () => {
    const pool = webscaler.pool();
    const work = pool.transaction(async (tx) => {
      await tx.query('commit');
    });
    await expect(work).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ENDED_EARLY' });
  });
});

describe('a nested transaction', () => {
  it('is undone alone when it fails', async () => {
    const pool = webscaler.pool();
    await pool.transaction(async (tx) => {
      await insert(tx, 1);
      const part = tx.transaction(async (inner) => {
        await insert(inner, 2);
        await insert(inner, 1);
      });
      await expect(part).rejects.toMatchObject({ code: '23505' });
      await tx.transaction(async (inner) => {
        await insert(inner, 3);
        await inner.transaction((innermost) => insert(innermost, 4));
      });
    });
    expect(await ids()).toEqual([1, 3, 4]);
  });

  it('fails when one of its statements did, even if the work hides it', async () => {
    const pool = webscaler.pool();
    await pool.transaction(async (tx) => {
      await insert(tx, 1);
      const part = tx.transaction((inner) => insert(inner, 1).catch(() => undefined));
      await expect(part).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK' });
    });
    expect(await ids()).toEqual([1]);
  });

  it('takes the statements while it is open, and the outer one does not', async () => {
    const pool = webscaler.pool();
    await pool.transaction(async (tx) => {
      await tx.transaction(async (inner) => {
        await expect(insert(tx, 1)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT' });
        await insert(inner, 2);
      });
    });
    expect(await ids()).toEqual([2]);
  });
});

describe('when transactions conflict', () => {
  it('the one that the server rolled back is retried as a whole (40001)', async () => {
    const pool = webscaler.pool();
    await insert(pool, 1);
    let runs = 0;
    const add = (wait: Promise<void>, read: () => void) =>
      pool.transaction(
        async (tx) => {
          runs += 1;
          const { rows } = await tx.query('select balance from accounts where id = 1');
          read();
          await wait;
          await tx.query('update accounts set balance = $1 where id = 1', [rows[0].balance + 1]);
        },
        { isolationLevel: 'repeatable read' },
      );
    const both = deferred();
    let readers = 0;
    const read = () => {
      readers += 1;
      if (readers === 2) both.resolve();
    };
    await Promise.all([add(both.promise, read), add(both.promise, read)]);
    expect(runs).toBe(3);
    const { rows } = await pool.query('select balance from accounts');
    expect(rows).toEqual([{ balance: 2 }]);
  });

  it('a deadlock is resolved by doing one of them again (40P01)', async () => {
    const pool = webscaler.pool();
    await insert(pool, 1);
    await insert(pool, 2);
    const both = deferred();
    let locked = 0;
    const swap = (first: number, second: number) =>
      pool.transaction(async (tx) => {
        await tx.query('update accounts set balance = balance + 1 where id = $1', [first]);
        locked += 1;
        if (locked === 2) both.resolve();
        await both.promise;
        await tx.query('update accounts set balance = balance + 1 where id = $1', [second]);
      });
    await Promise.all([swap(1, 2), swap(2, 1)]);
    const { rows } = await pool.query('select balance from accounts order by id');
    expect(rows).toEqual([{ balance: 2 }, { balance: 2 }]);
  });

  it('is given up after the retries that were allowed, with the conflict as its error', async () => {
    const pool = webscaler.pool();
    let runs = 0;
    const work = pool.transaction(
      async (tx) => {
        runs += 1;
        await tx.query("do $$ begin raise exception 'again' using errcode = '40001'; end $$");
      },
      { retries: 2 },
    );
    await expect(work).rejects.toMatchObject({ code: '40001', outcome: 'not-executed' });
    expect(runs).toBe(3);
    expect(pool.status()).toMatchObject({ total: 1, idle: 1 });
  });
});

describe('when the connection is lost before COMMIT was sent', () => {
  it('the transaction is retried', async () => {
    const pool = webscaler.pool();
    let runs = 0;
    await pool.transaction(async (tx) => {
      runs += 1;
      await insert(tx, runs);
      const { rows } = await tx.query('select pg_backend_pid() as pid');
      if (runs === 1) {
        await webscaler.pair.primary.query('select pg_terminate_backend($1)', [rows[0].pid]);
        await insert(tx, 100);
      }
    });
    expect(runs).toBe(2);
    expect(await ids()).toEqual([2]);
  });

  it('even if the work does not notice', async () => {
    const pool = webscaler.pool();
    let runs = 0;
    await pool.transaction(async (tx) => {
      runs += 1;
      await insert(tx, runs);
      const { rows } = await tx.query('select pg_backend_pid() as pid');
      if (runs === 1) {
        await webscaler.pair.primary.query('select pg_terminate_backend($1)', [rows[0].pid]);
        await expect.poll(() => pool.totalCount).toBe(0);
      }
    });
    expect(await ids()).toEqual([2]);
  });

  it('but not when no retries were allowed; then it is reported as not executed', async () => {
    const pool = webscaler.pool();
    const work = pool.transaction(
      async (tx) => {
        await insert(tx, 1);
        await tx.query('select pg_terminate_backend(pg_backend_pid())');
      },
      { retries: 0 },
    );
    const error = await work.catch((reason: unknown) => reason);
    expect(outcomeOf(error)).toBe('not-executed');
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK', cause: { code: '57P01' } });
    expect(await ids()).toEqual([]);
  });
});

describe('a read-only answer (25006)', () => {
  it("is the caller's where the transaction was asked to be READ ONLY, and costs no connection", async () => {
    const pool = webscaler.pool();
    let runs = 0;
    for (const readOnly of [true, false]) {
      const work = pool.transaction(
        async (tx) => {
          runs += 1;
          if (!readOnly) await tx.query('set transaction read only');
          await insert(tx, 1);
        },
        { readOnly },
      );
      await expect(work).rejects.toMatchObject({ code: '25006' });
    }
    expect(runs).toBe(2);
    expect(pool.totalCount).toBe(1);
  });

  it('of a demoted server is waited out, and the transaction is retried', async () => {
    const { primary } = webscaler.pair;
    const pool = webscaler.pool();
    await pool.query('select 1');
    await primary.fence();
    let runs = 0;
    const again = new Promise<void>((resolve) => {
      const stop = retried.subscribe(() => {
        stop();
        resolve();
      });
    });
    const work = pool.transaction(async (tx) => {
      runs += 1;
      if (runs === 1) await tx.query('set transaction read only');
      await insert(tx, runs);
    });
    await again;
    await primary.unfence();
    await work;
    expect(await ids()).toHaveLength(1);
  });
});

describe('an AbortSignal', () => {
  it('rolls back, also while a statement runs, and leaves no client behind', async () => {
    const pool = webscaler.pool({ max: 1 });
    const controller = new AbortController();
    const reason = new Error('enough');
    const work = pool.transaction(
      async (tx) => {
        await insert(tx, 1);
        const slow = tx.query('select pg_sleep(2)');
        controller.abort(reason);
        await slow;
      },
      { signal: controller.signal },
    );
    await expect(work).rejects.toBe(reason);
    await expect(pool.query('select 1')).resolves.toBeDefined();
    await expect.poll(() => pool.status()).toMatchObject({ total: 1, idle: 1, waiting: 0 });
    expect(await ids()).toEqual([]);
  });

  it('ends the wait for a connection', async () => {
    const pool = webscaler.pool({ max: 1 });
    const held = await pool.connect();
    const controller = new AbortController();
    const work = pool.transaction((tx) => insert(tx, 1), { signal: controller.signal });
    await expect.poll(() => pool.waitingCount).toBe(1);
    controller.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
    expect(pool.waitingCount).toBe(0);
    held.release();
    expect(await ids()).toEqual([]);
  });
});

describe('when the Service points elsewhere meanwhile', () => {
  const anyRole = { targetSessionAttrs: 'any' } as const;

  it('a transaction that ends within drainTimeoutMillis is committed where it began', async () => {
    const pool = webscaler.pool({ ...anyRole, drainTimeoutMillis: 10_000 });
    let runs = 0;
    await pool.transaction(async (tx) => {
      runs += 1;
      await insert(tx, 1);
      const switched = nextSwitch();
      await webscaler.point('secondary-db.example.com');
      await expect(switched).resolves.toMatchObject({ draining: 1 });
      await insert(tx, 2);
    });
    expect(runs).toBe(1);
    await pool.drained();
    await webscaler.point('primary-db.example.com');
    expect(await ids()).toEqual([1, 2]);
  });

  it('one that takes longer is closed, and retried as a whole on the new server', async () => {
    const pool = webscaler.pool({ ...anyRole, drainTimeoutMillis: 20 });
    const addresses: string[] = [];
    await pool.transaction(async (tx) => {
      const { rows } = await tx.query('select host(inet_server_addr()) as address');
      addresses.push(rows[0].address);
      if (addresses.length > 1) return;
      await webscaler.point('secondary-db.example.com');
      await tx.query('select pg_sleep(20)');
    });
    const known = webscaler.pair.addresses;
    expect(addresses).toEqual([known['primary-db.example.com'], known['secondary-db.example.com']]);
  });
});

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
