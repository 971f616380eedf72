import { anObjectWith, aText, listOf, optional } from '@externalname/core/internal';
import { isWithin } from '@externalname/core/names';
import type { Feed } from './feeds.ts';
import { Bounds } from './labels.ts';
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
 * Counts what the channels tell, and reads gauges from the pools and followers. What is a state comes from `status()`, so that it is right
 * whenever the observer came, and goes with its pool; what happens comes from channels.
 */
export class Observer implements Collection {
  readonly rows: readonly Metric[] = Object.values(table);
  /** Called once, at the end. */
  readonly stops: (() => void)[] = [];
  readonly #bounds = new Bounds();
  readonly #tallies = new Map<Metric, Tally>();
  readonly #pools = new Set<PoolLike>();
  readonly #followers = new Set<FollowerLike>();
  #statuses:
    | { readonly pools: readonly PoolStatusLike[]; readonly followers: readonly FollowerStatusLike[] }
    | undefined;

  /** @param isOpenTelemetry whether the labels that only OpenTelemetry has are wanted */
  constructor(
    { pools = [], followers = [], clusterDomain = 'cluster.local' }: CollectionOptions,
    isOpenTelemetry: boolean,
  ) {
    for (const pool of pools) this.add(pool);
    for (const follower of followers) this.addFollower(follower);
    const hopOf = (name: string) => (isWithin(name, clusterDomain) ? 'service' : 'target');
    for (const row of this.rows) {
      const { labels, also, buckets = [], feeds } = row;
      const tally = new Tally(isOpenTelemetry ? [...labels, ...also] : labels, buckets, this.#bounds);
      this.#tallies.set(row, tally);
      for (const feed of feeds) this.stops.push(subscribe(row, tally, feed, hopOf));
    }
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
    const tally = this.#tallies.get(row);
    if (tally !== undefined) tally.heard = heard;
  }

  /** Counts from 0 again. */
  clear(row: Metric): void {
    if (row.kind !== 'gauge') this.#tallies.get(row)?.clear();
  }

  /** The values of a row now. What is asked for in one turn is of one look at the pools. */
  read(row: Metric): readonly Cell[] {
    const tally = this.#tallies.get(row);
    if (tally === undefined) return [];
    const { pool, follower, feeds, kind, several = 'sum' } = row;
    const { pools, followers } = this.#look();
    // A state is as it is now, and nothing is left of what it was.
    if (feeds.length === 0) tally.clear();
    const readings = [...(pool ? pools.flatMap(pool) : []), ...(follower ? followers.flatMap(follower) : [])];
    for (const [value, ...labels] of readings) {
      const cell = tally.cell(labels);
      if (kind !== 'gauge') continue;
      cell.sum = cell.count === 0 ? value : together[several](cell.sum, value);
      cell.count += 1;
    }
    if (kind !== 'gauge' || feeds.length === 0 || row.labels[0] !== 'pool') return tally.cells();
    // A pool that is gone has no certificate that anybody must renew for it.
    const names = new Set(pools.map(({ name }) => this.#bounds.admit('pool', name)));
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

  #look() {
    if (this.#statuses === undefined) {
      this.#statuses = {
        pools: [...this.#pools].map((pool) => pool.status()),
        followers: [...this.#followers].map((follower) => follower.status()),
      };
      queueMicrotask(() => {
        this.#statuses = undefined;
      });
    }
    return this.#statuses;
  }
}

function subscribe(row: Metric, tally: Tally, feed: Feed, hopOf: (name: string) => string): () => void {
  const { channel, values, millis, isLike } = feed as unknown as Feed<readonly string[], object>;
  const isGauge = row.kind === 'gauge';
  let last: { readonly event: object; readonly cell: Cell; readonly era: number } | undefined;
  return channel.subscribe((event) => {
    let cell = last?.cell;
    if (cell === undefined || last?.era !== tally.era || !isLike?.(event, last.event)) {
      const labels = values(event, hopOf);
      if (labels === undefined) return;
      cell = tally.cell(labels);
      if (isLike !== undefined) last = { event, cell, era: tally.era };
    }
    const amount = millis === undefined ? 1 : millis(event) / 1_000;
    if (!isGauge) tally.add(cell, amount);
    else cell.sum = amount;
  });
}

const together = {
  sum: (one: number, other: number) => one + other,
  min: Math.min,
  max: Math.max,
} as const;
