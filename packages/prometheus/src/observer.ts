import { anObjectWith, aText, listOf, optional } from '@externalname/core/internal';
import { Counts } from './counts.ts';
import type { Readings } from './feeds.ts';
import { type Metric, table } from './metrics.ts';
import type { FollowerLike, FollowerStatusLike, PoolLike, PoolStatusLike } from './payloads.ts';
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
  readonly rows: readonly Metric[] = Object.values(table);
  /** Called once, at the end. */
  readonly stops: (() => void)[] = [];
  readonly #counts: Counts;
  readonly #isOpenTelemetry: boolean;
  /** What was counted before, for others. */
  readonly #before = new Map<Cell, Cell>();
  /** What has begun with 0, because there is such a pool. */
  readonly #begun = new Set<Cell>();
  readonly #pools = new Set<PoolLike>();
  readonly #followers = new Set<FollowerLike>();
  #look: { readonly pools: readonly PoolStatusLike[]; readonly followers: readonly FollowerStatusLike[] } | undefined;

  /** @param isOpenTelemetry whether the labels that only OpenTelemetry has are wanted */
  constructor(
    { pools = [], followers = [], clusterDomain = 'cluster.local' }: CollectionOptions,
    isOpenTelemetry: boolean,
  ) {
    for (const pool of pools) this.add(pool);
    for (const follower of followers) this.addFollower(follower);
    this.#isOpenTelemetry = isOpenTelemetry;
    this.#counts = Counts.use(clusterDomain);
    this.stops.push(() => this.#counts.leave());
    for (const row of this.rows) this.clear(row);
  }

  add(pool: PoolLike): () => void {
    anObjectWith('status')('pool', pool);
    this.#pools.add(pool);
    return () => void this.#pools.delete(pool);
  }

  addFollower(follower: FollowerLike): () => void {
    anObjectWith('status')('follower', follower);
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Calls back for each value of a histogram. */
  hear(row: Metric, heard: (cell: Cell, seconds: number) => void): void {
    const tally = this.#counts.of(row);
    tally.heard = [...tally.heard, heard];
    this.stops.push(() => {
      tally.heard = tally.heard.filter((each) => each !== heard);
    });
  }

  /** Counts from 0 again. */
  clear(row: Metric): void {
    for (const cell of this.#counts.of(row).cells()) {
      this.#before.set(cell, { ...cell, buckets: [...cell.buckets] });
      this.#begun.delete(cell);
    }
  }

  /** The values of a row now. What is asked for in one turn is of one look at the pools. */
  read(row: Metric): readonly Cell[] {
    const { pool, follower, feeds, kind } = row;
    const { pools, followers } = this.#lookNow();
    const readings = [...(pool ? pools.flatMap(pool) : []), ...(follower ? followers.flatMap(follower) : [])];
    // A state is as it is now, and nothing is left of what it was.
    if (feeds.length === 0) return this.#together(row, readings);
    const tally = this.#counts.of(row);
    for (const [, ...labels] of readings) this.#begun.add(tally.cell(labels));
    if (kind !== 'gauge') return this.#since(row, tally.cells());
    if (row.labels[0] !== 'pool') return tally.cells();
    // A pool that is gone has no certificate that anybody must renew for it.
    const names = new Set(pools.map(({ name }) => this.#counts.bounds.admit('pool', name)));
    return tally.cells().filter(({ labels }) => names.has(labels['pool'] ?? ''));
  }

  close(): void {
    for (const stop of this.stops.splice(0)) stop();
    this.#pools.clear();
    this.#followers.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #together({ labels, several = 'sum' }: Metric, readings: Readings): readonly Cell[] {
    const tally = new Tally(labels, [], this.#counts.bounds);
    for (const [value, ...values] of readings) {
      const cell = tally.cell(values);
      cell.sum = cell.count === 0 ? value : together[several](cell.sum, value);
      cell.count += 1;
    }
    return tally.cells();
  }

  // Without what was there before; and without the labels that are not wanted, which makes some cells one.
  #since({ labels, also, buckets }: Metric, cells: readonly Cell[]): readonly Cell[] {
    const tally =
      also.length === 0 || this.#isOpenTelemetry ? undefined : new Tally(labels, buckets ?? [], this.#counts.bounds);
    const since: Cell[] = [];
    for (const cell of cells) {
      const before = this.#before.get(cell);
      if (before !== undefined && before.count === cell.count && !this.#begun.has(cell)) continue;
      const to = tally?.cell(labels.map((label) => cell.labels[label] ?? '')) ?? emptyCell(cell);
      if (tally === undefined) since.push(to);
      to.count += cell.count - (before?.count ?? 0);
      to.sum += cell.sum - (before?.sum ?? 0);
      for (const [index, count] of cell.buckets.entries())
        to.buckets[index] = (to.buckets[index] ?? 0) + count - (before?.buckets[index] ?? 0);
    }
    return tally?.cells() ?? since;
  }

  #lookNow() {
    if (this.#look === undefined) {
      this.#look = {
        pools: [...this.#pools].map((pool) => pool.status()),
        followers: [...this.#followers].map((follower) => follower.status()),
      };
      queueMicrotask(() => {
        this.#look = undefined;
      });
    }
    return this.#look;
  }
}

function emptyCell({ labels }: Cell): Cell {
  return { labels, count: 0, sum: 0, buckets: [] };
}

const together = {
  sum: (one: number, other: number) => one + other,
  min: Math.min,
  max: Math.max,
} as const;
