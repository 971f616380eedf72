import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '@externalname/core';

/** One way to write: a statement of its own, or several rows in a transaction. */
export interface Work {
  readonly name: string;
  /** The rows that one write with this name stores, all or none. */
  rows(write: string): readonly string[];
  write(rows: readonly string[]): Promise<unknown>;
}

/** A row as it is in the database. */
export interface StoredRow {
  readonly id: string;
  readonly count: number;
  /** Where it was written; `null` where the library's own table does not say. */
  readonly server: string | null;
}

/** What became of all writes. */
export interface Account {
  readonly acknowledged: number;
  readonly failed: number;
  /** Acknowledged, and a row of it is not there. */
  readonly lost: number;
  /** A row of it is there more than once. */
  readonly twice: number;
  /** Some of its rows are there and others are not. */
  readonly half: number;
  /** Neither acknowledged nor failed. */
  readonly hung: number;
  /** The library's error said "not executed", and a row is there all the same. */
  readonly toldWrongly: number;
  /** Begun after the switch, acknowledged, and written on another server than the new primary. */
  readonly astray: number;
}

/** Workers that write through a library, one write after another. Nothing is done again by them. */
export class WriteLoad {
  readonly #outcome: (error: unknown) => Outcome | undefined;
  readonly #writes: Write[] = [];
  readonly #workers: Worker[];
  #stopped = false;

  constructor(works: readonly Work[], outcome: (error: unknown) => Outcome | undefined) {
    this.#outcome = outcome;
    this.#workers = works.map((work, index) => ({ label: `${work.name} ${index}`, work }));
    for (const worker of this.#workers) this.#run(worker).catch(() => undefined);
  }

  /** Errors of the writes of one kind. */
  errors(work: string): unknown[] {
    return this.#writes
      .filter(({ worker }) => worker.work.name === work)
      .flatMap(({ settled }) => (settled?.failed ? [settled.error] : []));
  }

  /**
   * Resolves when every worker has had that many writes acknowledged that began after this call.
   *
   * @throws which workers did not, with their last error
   */
  async everyoneWrites(times: number, limitMillis = 40_000): Promise<void> {
    const since = performance.now();
    const behind = () =>
      this.#workers.filter(
        (worker) =>
          this.#writes.filter(
            (write) => write.worker === worker && write.begunAt >= since && write.settled?.failed === false,
          ).length < times,
      );
    while (behind().length > 0) {
      if (performance.now() - since > limitMillis) {
        const names = behind().map(({ label }) => label);
        const cause = this.#writes.flatMap(({ settled }) => (settled?.failed ? [settled.error] : [])).at(-1);
        throw new Error(`no ${times} writes in ${limitMillis} ms of: ${names.join(', ')}`, { cause });
      }
      await sleep(20);
    }
  }

  /** Begins nothing new. Resolves when all is settled, or has hung for 20 s. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const end = performance.now() + hungMillis;
    while (this.#writes.some(({ settled }) => settled === undefined) && performance.now() < end) await sleep(20);
  }

  /** To be asked when it has stopped. */
  account(rows: readonly StoredRow[], switchedAt: number, newPrimary: string): Account {
    const stored = new Map(rows.map((row) => [row.id, row]));
    const counts = (write: Write) => write.rows.map((row) => stored.get(row)?.count ?? 0);
    const howMany = (condition: (write: Write) => boolean) => this.#writes.filter(condition).length;
    const acknowledged = (write: Write) => write.settled?.failed === false;
    return {
      acknowledged: howMany(acknowledged),
      failed: howMany((write) => write.settled?.failed === true),
      lost: howMany((write) => acknowledged(write) && counts(write).includes(0)),
      twice: howMany((write) => counts(write).some((count) => count > 1)),
      half: howMany((write) => new Set(counts(write).map((count) => count > 0)).size > 1),
      hung: howMany((write) => write.settled === undefined),
      toldWrongly: howMany(
        ({ settled, rows }) =>
          settled?.failed === true &&
          this.#outcome(settled.error) === 'not-executed' &&
          rows.some((row) => stored.has(row)),
      ),
      astray: howMany(
        (write) =>
          acknowledged(write) &&
          write.begunAt >= switchedAt &&
          write.rows.some((row) => ![null, newPrimary].includes(stored.get(row)?.server ?? null)),
      ),
    };
  }

  async #run(worker: Worker): Promise<void> {
    for (let number = 0; !this.#stopped; number += 1) {
      const rows = worker.work.rows(`${worker.label} ${number}`);
      const write: Write = { worker, rows, begunAt: performance.now(), settled: undefined };
      this.#writes.push(write);
      try {
        await worker.work.write(rows);
        write.settled = { failed: false };
      } catch (error) {
        write.settled = { failed: true, error };
      }
      await sleep(thinkMillis);
    }
  }
}

interface Worker {
  readonly label: string;
  readonly work: Work;
}

interface Write {
  readonly worker: Worker;
  readonly rows: readonly string[];
  readonly begunAt: number;
  settled: Settled | undefined;
}

type Settled = { readonly failed: false } | { readonly failed: true; readonly error: unknown };

const thinkMillis = 15;
const hungMillis = 20_000;
