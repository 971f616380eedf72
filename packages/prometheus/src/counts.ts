import type { EventChannel } from '@externalname/core/events';
import { isWithin } from '@externalname/core/names';
import type { Feed } from './feeds.ts';
import { Bounds } from './labels.ts';
import { type Metric, table } from './metrics.ts';
import type { Ended, OperationPayload } from './payloads.ts';
import { type Cell, Tally } from './tally.ts';

/**
 * What the channels have told, for all that collect it: each event is counted once. To call one more listener of a channel takes as long
 * as to count what it tells.
 */
export class Counts {
  /** One for all metrics: a pool has its name in all of them, or in none. */
  readonly bounds = new Bounds();
  readonly #tallies = new Map<Metric, Tally>();
  readonly #stops: readonly (() => void)[];
  readonly #clusterDomain: string;
  #uses = 0;

  private constructor(clusterDomain: string) {
    this.#clusterDomain = clusterDomain;
    const hopOf = (name: string) => (isWithin(name, clusterDomain) ? 'service' : 'target');
    const handlers = new Map<EventChannel<never>, ((event: never) => void)[]>();
    for (const row of rows) {
      const tally = new Tally([...row.labels, ...row.also], row.buckets ?? [], this.bounds);
      this.#tallies.set(row, tally);
      for (const feed of row.feeds) {
        const handle = feed.isStatement
          ? ofStatements(tally, feed as unknown as StatementFeed, hopOf)
          : ofEvents(row, tally, feed, hopOf);
        handlers.set(feed.channel, [...(handlers.get(feed.channel) ?? []), handle]);
      }
    }
    this.#stops = [...handlers].map(([channel, [first, second, ...others]]) => {
      if (first === undefined) return () => undefined;
      if (second === undefined) return channel.subscribe(first);
      return channel.subscribe((event) => {
        first(event);
        second(event);
        for (const other of others) other(event);
      });
    });
  }

  /** Those of this process, which begin with their first user and end with the last one. */
  static use(clusterDomain: string): Counts {
    const counts = inUse.get(clusterDomain) ?? new Counts(clusterDomain);
    inUse.set(clusterDomain, counts);
    counts.#uses += 1;
    return counts;
  }

  /** To be called once for each use. */
  leave(): void {
    this.#uses -= 1;
    if (this.#uses > 0) return;
    inUse.delete(this.#clusterDomain);
    for (const stop of this.#stops) stop();
  }

  of(row: Metric): Tally {
    const tally = this.#tallies.get(row);
    if (tally === undefined) throw new TypeError(`no metric ${row.name}`);
    return tally;
  }
}

function ofEvents(row: Metric, tally: Tally, feed: Feed, hopOf: (name: string) => string): (event: never) => void {
  const { values, millis } = feed;
  return (event) => {
    const labels = values(event, hopOf);
    if (labels === undefined) return;
    const amount = millis === undefined ? 1 : millis(event) / 1_000;
    const cell = tally.cell(labels);
    if (row.kind === 'gauge') cell.sum = amount;
    else tally.add(cell, amount);
  };
}

/** Counts what comes with every statement: mostly it differs from the last one in nothing but how long it took. */
function ofStatements(
  tally: Tally,
  { values }: StatementFeed,
  hopOf: (name: string) => string,
): (event: StatementEvent) => void {
  let last: StatementEvent | undefined;
  let cell: Cell | undefined;
  return (event) => {
    if (
      cell === undefined ||
      last === undefined ||
      event.error !== undefined ||
      event.name !== last.name ||
      event.target !== last.target ||
      event.operation !== last.operation
    ) {
      cell = tally.cell(values(event, hopOf) ?? []);
      last = event.error === undefined ? event : undefined;
    }
    tally.add(cell, event.durationMillis / 1_000);
  };
}

type StatementEvent = Ended & Partial<OperationPayload>;
type StatementFeed = Feed<readonly string[], StatementEvent>;

const rows: readonly Metric[] = Object.values(table);
const inUse = new Map<string, Counts>();
