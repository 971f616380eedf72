import type { Outcome } from '@externalname/core';
import { outcomeOf } from '@externalname/pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Library } from './library.ts';
import { startWebscaler, type Webscaler } from './webscaler.ts';
import { type StoredRow, type Work, WriteLoad } from './write-load.ts';

/** What holds for every library, with servers of its own that are switched and killed. */
export function specify<Opened>(library: Library<Opened>): void {
  const { insert, transaction, stream, repeatsStatements = false, repeatsTransactions = false } = library;

  describe(library.name, () => {
    let webscaler: Webscaler;

    beforeAll(async () => {
      webscaler = await startWebscaler();
      await library.prepare?.(webscaler);
    });

    beforeEach(async () => {
      await webscaler.query('truncate writes');
    });

    afterAll(async () => {
      await webscaler?.[Symbol.asyncDispose]();
    });

    async function open(): Promise<Opened> {
      const opened = await library.open(webscaler);
      let closed = false;
      closers.set(opened, async () => {
        if (!closed) await library.close(opened);
        closed = true;
      });
      onTestFinished(() => close(opened));
      return opened;
    }

    async function stored(...ids: string[]): Promise<readonly Placed[]> {
      return await webscaler.query<Placed>(
        'select id, backend, xmin::text as transaction from writes where id = any($1) order by id',
        [ids],
      );
    }

    it('stores a row on the server that the Service points at', async () => {
      const opened = await open();
      await insert(opened, 'one');
      expect(await rowsOf(library, webscaler)).toMatchObject([{ id: 'one', count: 1 }]);
    });

    it('leaves no socket behind when it is ended', async () => {
      const before = openSockets();
      const opened = await open();
      await Promise.all(Array.from({ length: 10 }, (_, index) => insert(opened, `row ${index}`)));
      expect(openSockets()).not.toEqual(before);
      await close(opened);
      await expect.poll(openSockets, { timeout: 20_000 }).toEqual(before);
      await expect.poll(() => sessions(webscaler), { timeout: 20_000 }).toEqual([]);
    });

    it.runIf(transaction)('commits a transaction, which ran on one connection, alone', async () => {
      const opened = await open();
      await transaction?.(opened, async (inside) => {
        await inside('first');
        // Those need other connections than the one that has the transaction.
        await Promise.all([insert(opened, 'other 1'), insert(opened, 'other 2')]);
        await inside('second');
        expect(await stored('first', 'second')).toEqual([]);
      });
      const [first, second] = await stored('first', 'second');
      expect(first).toBeDefined();
      expect(second).toEqual({ ...first, id: 'second' });
      const others = await stored('other 1', 'other 2');
      expect(others).toHaveLength(2);
      expect(others.map((row) => row.backend)).not.toContain(first?.backend);
    });

    it.runIf(transaction)('rolls a transaction back, which leaves nothing, and goes on', async () => {
      const opened = await open();
      const wrong = new Error('this is wrong');
      let inserted = false;
      const failed = Promise.resolve(
        transaction?.(opened, async (inside) => {
          await inside('first');
          await inside('second');
          inserted = true;
          throw wrong;
        }),
      );
      await expect(failed).rejects.toBe(wrong);
      expect(inserted).toBe(true);
      expect(await stored('first', 'second')).toEqual([]);
      expect((await sessions(webscaler)).filter((state) => state.startsWith('idle in transaction'))).toEqual([]);
      await insert(opened, 'third');
      expect(await stored('third')).toHaveLength(1);
    });

    it.runIf(stream)('streams rows, in order', async () => {
      const opened = await open();
      const numbers: number[] = [];
      for await (const number of stream?.(opened, 5_000) ?? []) numbers.push(number);
      expect(numbers).toEqual(Array.from({ length: 5_000 }, (_, index) => index + 1));
    });

    it.runIf(stream)('ends a stream that is not read to its end, and uses its connection again', async () => {
      const opened = await open();
      // More of them than there are connections, and each longer than anybody could wait for.
      for (let run = 0; run < 6; run += 1) {
        const numbers: number[] = [];
        for await (const number of stream?.(opened, 2_000_000_000) ?? []) {
          if (numbers.push(number) === 3) break;
        }
        expect(numbers).toEqual([1, 2, 3]);
      }
      await Promise.all(Array.from({ length: 8 }, (_, index) => insert(opened, `row ${index}`)));
      await expect.poll(() => sessions(webscaler), { timeout: 20_000 }).not.toContain('active');
    });

    const kinds = transaction === undefined ? ['statement'] : ['statement', 'transaction'];

    function startWriting(opened: Opened): WriteLoad {
      const statement: Work = {
        name: 'statement',
        rows: (write) => [write],
        write: async ([row = '']) => await insert(opened, row),
      };
      const inTransaction: Work = {
        name: 'transaction',
        rows: (write) => [`${write} first`, `${write} second`],
        write: async (rows) => {
          await transaction?.(opened, async (inside) => {
            for (const row of rows) await inside(row);
          });
        },
      };
      const second = transaction === undefined ? statement : inTransaction;
      return new WriteLoad(
        [statement, second, statement, second, statement, second],
        library.outcome ?? outcomeInCauses,
      );
    }

    async function writeThroughout(change: () => Promise<void>): Promise<WriteLoad> {
      const opened = await open();
      const load = startWriting(opened);
      try {
        await load.everyoneWrites(5);
        await change();
        const switchedAt = performance.now();
        await load.everyoneWrites(5);
        await load.stop();
        const { address } = webscaler.pair.primary;
        const account = load.account(await rowsOf(library, webscaler), switchedAt, address);
        expect(account).toMatchObject({ lost: 0, twice: 0, half: 0, hung: 0, toldWrongly: 0, astray: 0 });
        return load;
      } finally {
        await load.stop();
      }
    }

    it(`follows a planned switch with ${kinds.join('s and ')}s under way: nothing is lost, done twice or hung`, async () => {
      const load = await writeThroughout(() => webscaler.switchOver());
      if (repeatsStatements) expect(load.errors('statement')).toEqual([]);
      if (repeatsTransactions) expect(load.errors('transaction')).toEqual([]);
    });

    it(`survives the crash of the primary with ${kinds.join('s and ')}s under way, and works on the secondary`, async () => {
      const load = await writeThroughout(() => webscaler.failOver());
      // What was in flight may have been executed. All the others were repeated.
      const outcomes = (kind: string) => load.errors(kind).map(library.outcome ?? outcomeInCauses);
      if (repeatsStatements) expect(outcomes('statement')).not.toContain('not-executed');
      if (repeatsTransactions) expect(outcomes('transaction')).not.toContain('not-executed');
    });

    const closers = new Map<Opened, () => Promise<void>>();

    async function close(opened: Opened): Promise<void> {
      await closers.get(opened)?.();
    }
  });
}

interface Placed {
  readonly id: string;
  readonly backend: number;
  readonly transaction: string;
}

/** The outcome on the error or on what caused it: libraries wrap the errors of the driver. */
function outcomeInCauses(error: unknown): Outcome | undefined {
  const known = outcomeOf(error);
  if (known !== undefined || !(error instanceof Error)) return known;
  return error.cause === undefined ? undefined : outcomeInCauses(error.cause);
}

async function rowsOf<Opened>(library: Library<Opened>, webscaler: Webscaler): Promise<StoredRow[]> {
  const { stored } = library;
  return stored === undefined
    ? await webscaler.query('select id, count(*)::integer as count, min(server) as server from writes group by id')
    : await webscaler.query(
        `select id, count(*)::integer as count, null as server from (${stored}) as stored group by id`,
      );
}

/** What the application's sessions are doing, as the server sees them. */
async function sessions(webscaler: Webscaler): Promise<readonly string[]> {
  const rows = await webscaler.query<{ state: string }>('select state from pg_stat_activity where usename = $1', [
    webscaler.pair.user,
  ]);
  return rows.map(({ state }) => state);
}

/** Sockets of this process. Those of the cluster are among them, and always the same. */
function openSockets(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /^(TCPSocketWrap|TCPWrap|TLSWrap|UDPWrap)$/.test(name))
    .sort();
}
