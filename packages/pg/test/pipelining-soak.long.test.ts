/**
 * Queries of many callers on few connections, while tables change, sessions forget what they know, processes are killed and the Service is
 * pointed elsewhere. No caller may get the answer to another one's question, or the answer of another text; no write may be done twice.
 *
 * `PIPELINING_SOAK=1000000` makes a long run of it (20,000 queries by default), `PIPELINING_SOAK_SECONDS` bounds its time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outcomeOf, Pool } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

const queries = Number(process.env['PIPELINING_SOAK'] ?? 20_000);
const seconds = Number(process.env['PIPELINING_SOAK_SECONDS'] ?? 90);
const callers = 64;

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler();
  await using pool = new Pool(webscaler.options({ max: 1 }));
  await pool.query('create table writes (id int not null)');
  await pool.query('create table shapes (id int primary key)');
  await pool.query('insert into shapes select n from generate_series(0, 99) n');
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

const anyOf = (count: number) => Math.floor(Math.random() * count);

/** What went wrong, and what was done. */
class Ledger {
  asked = 0;
  readonly wrong: string[] = [];
  readonly failures = new Map<string, number>();
  /** What is known about each write. */
  readonly writes: ('acknowledged' | 'not-executed' | 'unknown')[] = [];

  failed(error: unknown): void {
    const { code, message } = error as Error & { code?: string };
    const kind = `${code ?? message} ${outcomeOf(error)}`;
    this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
  }
}

async function read(pool: Pool, ledger: Ledger): Promise<void> {
  const text = anyOf(60);
  const number = anyOf(1_000_000);
  const { rows, fields } = await pool.query<Record<string, number>>(`select ${text} as k${text}, $1::int as n`, [
    number,
  ]);
  const [row] = rows;
  if (rows.length !== 1 || fields.length !== 2 || row?.[`k${text}`] !== text || row['n'] !== number) {
    ledger.wrong.push(`text ${text} with ${number} answered ${JSON.stringify(rows)}`);
  }
}

async function readShape(pool: Pool, ledger: Ledger): Promise<void> {
  const id = anyOf(100);
  const { rows } = await pool.query<Record<string, number>>('select * from shapes where id = $1', [id]);
  const [row = {}] = rows;
  // Each column but the first has the number that it is called by.
  const isRight = Object.entries(row).every(
    ([name, value]) => Number(value) === (name === 'id' ? id : Number(name.slice(1))),
  );
  if (rows.length !== 1 || !isRight) ledger.wrong.push(`shape ${id} answered ${JSON.stringify(rows)}`);
}

async function fail(pool: Pool, ledger: Ledger): Promise<void> {
  const number = 1 + anyOf(1_000);
  const answer = await pool.query('select 1 / ($1::int - $1::int)', [number]).then(
    ({ rows }) => JSON.stringify(rows),
    (error) => error,
  );
  if (answer instanceof Error && (answer as { code?: string }).code === '22012') return;
  if (answer instanceof Error) throw answer;
  ledger.wrong.push(`a division by zero answered ${answer}`);
}

async function write(pool: Pool, ledger: Ledger): Promise<void> {
  const id = ledger.writes.push('unknown') - 1;
  try {
    const { rows } = await pool.query<{ id: number }>('insert into writes values ($1) returning id', [id]);
    if (rows[0]?.id !== id) ledger.wrong.push(`write ${id} answered ${JSON.stringify(rows)}`);
    ledger.writes[id] = 'acknowledged';
  } catch (error) {
    ledger.writes[id] = outcomeOf(error) ?? 'unknown';
    throw error;
  }
}

async function ask(pool: Pool, ledger: Ledger): Promise<void> {
  const dice = Math.random();
  const kind = dice < 0.6 ? read : dice < 0.75 ? readShape : dice < 0.9 ? write : fail;
  await kind(pool, ledger).catch((error: unknown) => ledger.failed(error));
}

/** What happens to the table, to sessions and to servers meanwhile. */
function disturbances(pool: Pool): readonly (() => Promise<unknown>)[] {
  let columns: number[] = [];
  let lastColumn = 0;
  const server = () => webscaler.pair.primary;
  const database = webscaler.pair.database;
  const { user } = webscaler.pair;
  const change = (text: string) => server().query(text, [], { database });
  const addColumn = () => {
    lastColumn += 1;
    columns.push(lastColumn);
    return change(`alter table shapes add column c${lastColumn} int default ${lastColumn}`);
  };
  const dropColumn = () => {
    const [first, ...others] = columns;
    columns = others;
    return first === undefined ? addColumn() : change(`alter table shapes drop column c${first}`);
  };
  const changeType = () => change(`alter table shapes alter id type ${anyOf(2) === 0 ? 'int' : 'bigint'}`);
  const one = 'select pid from pg_stat_activity where usename = $1 order by random() limit 1';
  const terminate = () => server().query(`select pg_terminate_backend(pid) from (${one}) any_of`, [user]);
  const cancel = () => server().query(`select pg_cancel_backend(pid) from (${one}) any_of`, [user]);
  const forget = async () => {
    const client = await pool.connect();
    await client.query(anyOf(2) === 0 ? 'discard all' : 'deallocate all').finally(() => client.release());
  };
  return [addColumn, dropColumn, changeType, terminate, cancel, forget];
}

describe('many callers on few connections', () => {
  it(
    `keep their own answers in ${queries} queries, and write nothing twice`,
    async () => {
      const pool = webscaler.pool({ max: 6, pipelining: 16, statementCache: 25 });
      const ledger = new Ledger();
      const until = performance.now() + seconds * 1_000;
      const isOver = () => ledger.asked >= queries || performance.now() > until;
      const asking = Array.from({ length: callers }, async () => {
        while (!isOver()) {
          ledger.asked += 1;
          await ask(pool, ledger);
        }
      });
      const disturb = disturbances(pool);
      const disturbing = (async () => {
        while (!isOver()) {
          await disturb[anyOf(disturb.length)]?.().catch((error: unknown) => ledger.failed(error));
          await sleep(20 + anyOf(60));
        }
      })();
      // At least one kill and one switch in each run; in a long one, one of them every ten seconds.
      const failing = (async () => {
        for (let round = 0; !isOver() || round < 2; round += 1) {
          await sleep(round < 2 ? 500 : 10_000);
          if (round % 2 === 0) {
            await webscaler.pair.primary.kill();
            await webscaler.pair.primary.start({ timeoutMillis: 300_000 });
          } else {
            await webscaler.pair.switchover({ timeoutMillis: 300_000 });
            await webscaler.point(webscaler.pair.primary.hostName);
          }
        }
      })();
      await Promise.all([...asking, disturbing, failing]);
      const { sharing } = pool.status();
      console.log(`asked ${ledger.asked}`, sharing, Object.fromEntries(ledger.failures));
      expect(ledger.wrong).toEqual([]);
      expect(sharing?.shared).toBeGreaterThan(ledger.asked / 20);
      expect(sharing?.named).toBeGreaterThan(ledger.asked / 20);
      const { rows } = await pool.query<{ id: number; count: number }>(
        'select id, count(*)::int as count from writes group by id',
      );
      const stored = new Map(rows.map(({ id, count }) => [id, count]));
      const twice = rows.filter(({ count }) => count > 1);
      expect(twice).toEqual([]);
      const of = (known: string) => ledger.writes.flatMap((each, id) => (each === known ? [id] : []));
      expect(of('acknowledged').filter((id) => !stored.has(id))).toEqual([]);
      expect(of('not-executed').filter((id) => stored.has(id))).toEqual([]);
      expect(of('acknowledged').length).toBeGreaterThan(0);
    },
    (seconds + 240) * 1_000,
  );
});
