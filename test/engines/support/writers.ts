import { Pool, type PoolOptions } from '@externalname/pg';

/** One write that was acknowledged. */
export interface Write {
  readonly id: number;
  readonly at: number;
  readonly address: string;
}

/** Workers that write without a pause through one pool, and what they were told. */
export class Writers {
  readonly pool: Pool;
  readonly acknowledged: Write[] = [];
  readonly failed: unknown[] = [];
  readonly #running: Promise<void>[] = [];
  readonly #pending = new Map<number, number>();
  #next = 0;
  #isStopped = false;
  #onWrite: ((write: Write) => void) | undefined;

  constructor(options: PoolOptions) {
    this.pool = new Pool(options);
  }

  async start(workers: number): Promise<void> {
    await this.pool.query('create table if not exists writes (id integer not null, at timestamptz default now())');
    for (let count = 0; count < workers; count += 1) this.#running.push(this.#work());
  }

  /** The first acknowledged write at that address that began after this call. */
  first(address: string, limitMillis: number): Promise<Write> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no write at ${address} within ${limitMillis} ms`, { cause: this.failed.at(-1) })),
        limitMillis,
      );
      const before = this.#onWrite;
      this.#onWrite = (write) => {
        before?.(write);
        if (write.address !== address) return;
        this.#onWrite = before;
        clearTimeout(timer);
        resolve(write);
      };
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  /**
   * What of the writes that are acknowledged by now is not there, and what is there twice. Hung are those that are under way now and not over within
   * five seconds.
   */
  async judge(): Promise<{ acknowledged: number; failed: number; lost: number; twice: number; hung: number }> {
    const acknowledged = [...this.acknowledged];
    const underWay = [...this.#pending.keys()];
    const { rows } = await this.pool.query<{ id: number; times: number }>(
      'select id, count(*)::int as times from writes group by id',
    );
    const times = new Map(rows.map((row) => [row.id, row.times]));
    const stillThere = () => underWay.filter((id) => this.#pending.has(id)).length;
    for (let waits = 0; waits < 50 && stillThere() > 0; waits += 1)
      await new Promise((resolve) => setTimeout(resolve, 100));
    return {
      acknowledged: acknowledged.length,
      failed: this.failed.length,
      hung: stillThere(),
      lost: acknowledged.filter(({ id }) => !times.has(id)).length,
      twice: [...times.values()].filter((count) => count > 1).length,
    };
  }

  async #work(): Promise<void> {
    while (!this.#isStopped) {
      this.#next += 1;
      const id = this.#next;
      this.#pending.set(id, performance.now());
      try {
        const { rows } = await this.pool.query<{ address: string }>(
          'insert into writes (id) values ($1) returning host(inet_server_addr()) as address',
          [id],
        );
        const write = { id, at: performance.now(), address: rows[0]?.address ?? '' };
        this.acknowledged.push(write);
        this.#onWrite?.(write);
      } catch (error) {
        this.failed.push(error);
      } finally {
        this.#pending.delete(id);
      }
      // Writes without a pause would leave the servers no time on a small machine.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
