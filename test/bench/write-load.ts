import { setTimeout as sleep } from 'node:timers/promises';
import { outcomeOf, Pool } from '@externalname/pg';
import type pg from 'pg';

/** How each worker writes. */
export type Work =
  /** One INSERT by `pool.query()`. */
  | 'statement'
  /** The same, and the server takes 200 ms for it. */
  | 'slow statement'
  /** BEGIN, INSERT, COMMIT on one client: by `transaction()` where the pool has it, else by `connect()` and `release()`. */
  | 'transaction';

/** What was seen of one client of the matrix. */
export interface Account {
  readonly acknowledged: number;
  /** Acknowledged, and not on the server that is the primary in the end. */
  readonly lost: number;
  /** Stored more than once. */
  readonly twice: number;
  /** Not settled after 15 s. */
  readonly hung: number;
  readonly failed: number;
  /** For failed writes: what the error said. Plain pg says nothing. */
  readonly outcomes: { readonly notExecuted: number; readonly unknown: number; readonly untold: number };
  /** Failed with "not executed", and stored all the same. */
  readonly toldWrongly: number;
  /** From the moment the row names: the first write, and the write of the last worker. Seconds; undefined is never. */
  readonly firstWrite: number | undefined;
  readonly allWriting: number | undefined;
}

/** Workers that write one after another through one pool, and what happened to each write. */
export class WriteLoad {
  readonly name: string;
  readonly #pool: pg.Pool;
  readonly #work: Work;
  readonly #writes: Write[] = [];
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(name: string, pool: pg.Pool, work: Work) {
    this.name = name;
    this.#pool = pool;
    this.#work = work;
  }

  get ours(): boolean {
    return this.#pool instanceof Pool;
  }

  start(): void {
    this.#running = Promise.all(Array.from({ length: workers }, (_, worker) => this.#loop(worker)));
  }

  /** Whether every worker has written to that server since then. */
  hasRecovered(since: number, address: string): boolean {
    return this.#recoveries(since, address).every((at) => at !== undefined);
  }

  /** Begins nothing new, and waits until all is settled or has hung. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const unsettled = () => this.#writes.some((write) => write.settledAt === undefined && !isHung(write));
    while (unsettled()) await sleep(20);
  }

  /** Ends the pool, by force where it hangs. */
  async end(): Promise<void> {
    const clients = (this.#pool as unknown as { _clients: { connection?: { stream: { destroy(): void } } }[] })
      ._clients;
    const ended = this.#pool.end();
    const cut = setTimeout(() => {
      for (const { connection } of [...clients]) connection?.stream.destroy();
    }, 500);
    await Promise.race([Promise.all([ended, this.#running]), sleep(3_000)]);
    clearTimeout(cut);
  }

  account(stored: ReadonlyMap<string, number>, since: number, address: string): Account {
    const acknowledged = this.#writes.filter((write) => write.server !== undefined);
    const failed = this.#writes.filter((write) => write.failed);
    const said = (outcome: string | undefined) => failed.filter((write) => write.outcome === outcome);
    const recoveries = this.#recoveries(since, address);
    const known = recoveries.filter((at) => at !== undefined);
    const seconds = (at: number) => Math.round((at - since) / 10) / 100;
    return {
      acknowledged: acknowledged.length,
      lost: acknowledged.filter((write) => !stored.has(write.id)).length,
      twice: this.#writes.filter((write) => (stored.get(write.id) ?? 0) > 1).length,
      hung: this.#writes.filter(isHung).length,
      failed: failed.length,
      outcomes: {
        notExecuted: said('not-executed').length,
        unknown: said('unknown').length,
        untold: said(undefined).length,
      },
      toldWrongly: said('not-executed').filter((write) => stored.has(write.id)).length,
      firstWrite: known.length === 0 ? undefined : seconds(Math.min(...known)),
      allWriting: known.length < workers ? undefined : seconds(Math.max(...known)),
    };
  }

  // The first write of each worker that was acknowledged by the right server since then.
  #recoveries(since: number, address: string): (number | undefined)[] {
    return Array.from(
      { length: workers },
      (_, worker) =>
        this.#writes.find(
          (write) => write.worker === worker && write.server === address && (write.settledAt ?? 0) >= since,
        )?.settledAt,
    );
  }

  async #loop(worker: number): Promise<void> {
    while (!this.#stopped) {
      const write: Write = {
        id: `${this.name} ${worker} ${this.#writes.length}`,
        worker,
        startedAt: performance.now(),
        settledAt: undefined,
        server: undefined,
        failed: false,
        outcome: undefined,
      };
      this.#writes.push(write);
      try {
        write.server = await this.#write(write.id);
      } catch (error) {
        if (this.#stopped && isHung(write)) return;
        write.failed = true;
        write.outcome = outcomeOf(error);
      }
      write.settledAt = performance.now();
      await sleep(thinkMillis);
    }
  }

  async #write(id: string): Promise<string> {
    if (this.#work !== 'transaction') return serverOf(await this.#pool.query(insert[this.#work], [id]));
    if (this.#pool instanceof Pool) {
      return await this.#pool.transaction(async (tx) => serverOf(await tx.query<ServerRow>(insert.statement, [id])));
    }
    const client = await this.#pool.connect();
    const ignore = () => undefined;
    client.on('error', ignore);
    let failure: Error | undefined;
    try {
      await client.query('begin');
      const server = serverOf(await client.query<ServerRow>(insert.statement, [id]));
      await client.query('commit');
      return server;
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      client.removeListener('error', ignore);
      client.release(failure);
    }
  }
}

interface Write {
  readonly id: string;
  readonly worker: number;
  readonly startedAt: number;
  settledAt: number | undefined;
  /** The address that acknowledged it. */
  server: string | undefined;
  failed: boolean;
  outcome: string | undefined;
}

interface ServerRow {
  server: string;
}

function serverOf(result: pg.QueryResult<ServerRow>): string {
  return result.rows[0]?.server ?? '';
}

function isHung(write: Write): boolean {
  return (write.settledAt ?? performance.now()) - write.startedAt >= hungMillis;
}

const returning = 'returning host(inet_server_addr()) as server';
const insert = {
  statement: `insert into writes values ($1) ${returning}`,
  'slow statement': `insert into writes select $1::text from (select pg_sleep(0.2)) as slow ${returning}`,
};

/** More than a pool has connections, so that some wait. */
const workers = 8;
const thinkMillis = 15;
const hungMillis = 15_000;
