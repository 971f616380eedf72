import { anObjectWith, aText, listOf, optional } from '@externalname/core/internal';
import { Counts } from './counts.ts';
import { type FollowerLike, type FollowerStatusLike, type PoolLike, type PoolStatusLike, poolsOf } from './payloads.ts';
import type { Metric, Reading } from './rows.ts';
import { type Cell, Tally } from './tally.ts';

/** What is collected. */
export interface CollectionOptions {
  /** The pools whose gauges are read. More of them by {@link Collection.add}. @defaultValue none */
  pools?: readonly PoolLike[] | undefined;
  /** The followers whose gauges are read. More of them by {@link Collection.addFollower}. @defaultValue none */
  followers?: readonly FollowerLike[] | undefined;
  /** Names within it are hops of the kind `service`, all others are targets. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
}

/** What a `CollectionOptions` must look like. */
export const collectionShapes = {
  pools: optional(listOf(anObjectWith('status'))),
  followers: optional(listOf(anObjectWith('status'))),
  clusterDomain: optional(aText),
};

/** What collects, until it is closed. */
export interface Collection extends Disposable {
  /**
   * Reads the gauges of another pool from now on. Returns the function that ends it: call it when the pool ends.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what has no `status()`
   */
  add(pool: PoolLike): () => void;
  /**
   * Reads the gauges of another follower from now on. Returns the function that ends it: call it when the follower is closed.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what has no `status()`
   */
  addFollower(follower: FollowerLike): () => void;
  /** Ends all subscriptions and takes the metrics out of the registry. Idempotent. */
  close(): void;
}

/**
 * What one exporter sees: what was counted since it began, and the gauges of its pools and followers. What is a state comes from
 * `status()`, so that it is right whenever the observer came, and goes with its pool; what happens comes from channels.
 */
export class Observer implements Collection {
  /** Called once, at the end. */
  readonly stops: (() => void)[] = [];
  readonly #counts: Counts;
  readonly #wanted: 'labels' | 'allLabels';
  /** All observers share the counts of what channels tell. What a pool has counted itself, an observer counts if it has the pool. */
  readonly #tallies = new Map<Metric, Tally>();
  /** What was counted before, for others. */
  readonly #before = new Map<Cell, Cell>();
  /** What has begun with 0, because there is such a pool. */
  readonly #begun = new Set<Cell>();
  /** How much of what a pool has counted itself is in the tallies already. */
  readonly #seen = new WeakMap<PoolLike, Map<Cell, number>>();
  readonly #pools = new Set<PoolLike>();
  readonly #followers = new Set<FollowerLike>();
  #look: { readonly pools: readonly PoolStatusLike[]; readonly followers: readonly FollowerStatusLike[] } | undefined;

  constructor(
    { pools = [], followers = [], clusterDomain = 'cluster.local' }: CollectionOptions,
    wanted: 'labels' | 'allLabels',
  ) {
    for (const pool of pools) this.add(pool);
    for (const follower of followers) this.addFollower(follower);
    this.#wanted = wanted;
    this.#counts = Counts.use(clusterDomain);
    this.stops.push(() => this.#counts.leave());
    for (const [row, tally] of this.#counts.tallies) {
      this.#tallies.set(row, row.counted === undefined ? tally : new Tally(row.labels, [], this.#counts.bounds));
      this.clear(row);
    }
  }

  add(pool: PoolLike): () => void {
    anObjectWith('status')('pool', pool);
    this.#pools.add(pool);
    return () => {
      // What it has counted since it was last asked.
      if (this.#pools.delete(pool)) this.#ask(pool);
    };
  }

  addFollower(follower: FollowerLike): () => void {
    anObjectWith('status')('follower', follower);
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Calls back for each value of a histogram. */
  hear(row: Metric, heard: (cell: Cell, seconds: number) => void): void {
    const tally = this.#tallyOf(row);
    tally.heard.add(heard);
    this.stops.push(() => void tally.heard.delete(heard));
  }

  /** Counts from 0 again. */
  clear(row: Metric): void {
    for (const cell of this.#tallyOf(row).cells) {
      this.#before.set(cell, { ...cell, buckets: [...cell.buckets] });
      if (row.counted === undefined) this.#begun.delete(cell);
    }
  }

  /** The values of a row now. What is asked for in one turn is of one look at the pools. */
  read(row: Metric): readonly Cell[] {
    const { pool = none, follower = none, kind, feeds } = row;
    const { pools, followers } = this.#lookNow();
    const readings = [...pools.flatMap(pool), ...followers.flatMap(follower)];
    // A state is as it is now, and nothing is left of what it was.
    if (kind === 'gauge' && feeds === undefined) return this.#together(row, readings);
    const tally = this.#tallyOf(row);
    for (const reading of readings) this.#begun.add(tally.cell(reading));
    if (kind !== 'gauge') return this.#since(row, tally.cells);
    // A pool that is gone has no certificate that anybody must renew for it.
    const names = new Set(pools.map(({ name }) => this.#counts.bounds.admit('pool', name)));
    return tally.cells.filter(({ labels: { pool: name } }) => name === undefined || names.has(name));
  }

  close(): void {
    for (const stop of this.stops.splice(0)) stop();
    this.#pools.clear();
    this.#followers.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #tallyOf(row: Metric): Tally {
    const tally = this.#tallies.get(row);
    if (tally === undefined) throw new TypeError(`no metric ${row.name}`);
    return tally;
  }

  #lookNow() {
    if (this.#look !== undefined) return this.#look;
    queueMicrotask(() => {
      this.#look = undefined;
    });
    const pools = [...this.#pools].flatMap((pool) => this.#ask(pool));
    this.#look = { pools, followers: [...this.#followers].map((follower) => follower.status()) };
    return this.#look;
  }

  // Adds what the pool has counted itself since it was last asked. It counts from 0 again for an address that it had forgotten.
  #ask(pool: PoolLike): readonly PoolStatusLike[] {
    const status = pool.status();
    // Beyond a bound, several are one.
    const now = new Map<Cell, number>();
    for (const row of this.#tallies.keys())
      for (const reading of row.counted?.(status) ?? []) {
        const cell = this.#tallyOf(row).cell(reading);
        now.set(cell, (now.get(cell) ?? 0) + reading[0]);
      }
    const seen = this.#seen.get(pool) ?? new Map<Cell, number>();
    this.#seen.set(pool, seen);
    for (const [cell, value] of now) {
      const before = seen.get(cell) ?? 0;
      cell.count += value < before ? value : value - before;
      cell.sum = cell.count;
      seen.set(cell, value);
      this.#begun.add(cell);
    }
    return poolsOf(status);
  }

  #together({ labels, several = 'sum' }: Metric, readings: readonly Reading[]): readonly Cell[] {
    const tally = new Tally(labels, [], this.#counts.bounds);
    for (const reading of readings) {
      const [value] = reading;
      const cell = tally.cell(reading);
      cell.sum = cell.count === 0 ? value : together[several](cell.sum, value);
      cell.count += 1;
    }
    return tally.cells;
  }

  // Without what was there before; and by the labels that are wanted, which makes one cell of several.
  #since(row: Metric, cells: readonly Cell[]): readonly Cell[] {
    const tally = new Tally(row[this.#wanted], row.buckets ?? [], this.#counts.bounds);
    for (const cell of cells) {
      const before = this.#before.get(cell) ?? { count: 0, sum: 0, buckets: [] };
      if (cell.count === before.count && !this.#begun.has(cell)) continue;
      const since = tally.cell([0, ...row[this.#wanted].map((label) => cell.labels[label] ?? '')]);
      since.count += cell.count - before.count;
      since.sum += cell.sum - before.sum;
      for (const [index, count] of cell.buckets.entries())
        since.buckets[index] = (since.buckets[index] ?? 0) + count - (before.buckets[index] ?? 0);
    }
    return tally.cells;
  }
}

const none = () => [];
const together = { sum: (one: number, other: number) => one + other, min: Math.min, max: Math.max };
