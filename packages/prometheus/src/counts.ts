import type { EventChannel } from '@externalname/core/events';
import { isWithin } from '@externalname/core/names';
import { Bounds } from './labels.ts';
import { rows } from './metrics.ts';
import type { Call, Ended } from './payloads.ts';
import type { Feed, Metric } from './rows.ts';
import { type Cell, Tally } from './tally.ts';

/**
 * What the channels have told, for all that collect it: each event is counted once. To call one more listener of a channel takes as long
 * as to count what it tells.
 */
export class Counts {
  /** One for all metrics: a pool has its name in all of them, or in none. */
  readonly bounds = new Bounds();
  readonly tallies: ReadonlyMap<Metric, Tally>;
  readonly #stops: readonly (() => void)[];
  readonly #clusterDomain: string;
  #uses = 0;

  private constructor(clusterDomain: string) {
    this.#clusterDomain = clusterDomain;
    const hopOf = (name: string) => (isWithin(name, clusterDomain) ? 'service' : 'target');
    this.tallies = new Map(rows.map((row) => [row, new Tally(row.allLabels, row.buckets ?? [], this.bounds)]));
    const listeners = new Map<EventChannel<never>, Listener>();
    for (const [row, tally] of this.tallies) {
      for (const feed of row.feeds ?? []) {
        const count = (feed.isStatement ? countStatements : countEvents)(tally, feed, hopOf, row);
        const first = listeners.get(feed.channel);
        listeners.set(feed.channel, first === undefined ? count : both(first, count));
      }
    }
    this.#stops = [...listeners].map(([channel, listener]) => channel.subscribe(listener));
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
}

function both(one: Listener, other: Listener): Listener {
  return (event) => {
    one(event);
    other(event);
  };
}

function countEvents(tally: Tally, { read }: Feed, hopOf: HopOf, { kind }: Metric): Listener {
  const scale = kind === 'histogram' ? 1_000 : 1;
  return (event) => {
    const reading = read(event, hopOf);
    if (reading === undefined) return;
    const cell = tally.cell(reading);
    if (kind === 'gauge') [cell.sum] = reading;
    else tally.add(cell, reading[0] / scale);
  };
}

/** Mostly a statement differs from the last one in nothing but how long it took. */
function countStatements(tally: Tally, { read }: Feed, hopOf: HopOf): Listener {
  let last: Statement | undefined;
  let cell: Cell | undefined;
  return (event: Statement) => {
    if (cell === undefined || !isLike(event, last)) {
      cell = tally.cell(read(event as never, hopOf) ?? [0]);
      last = event.error === undefined ? event : undefined;
    }
    tally.add(cell, event.durationMillis / 1_000);
  };
}

function isLike({ name, target, operation, error }: Statement, last: Statement | undefined): boolean {
  return error === undefined && name === last?.name && target === last.target && operation === last.operation;
}

type Statement = Ended & Partial<Call>;
type HopOf = (name: string) => string;
type Listener = (event: never) => void;

const inUse = new Map<string, Counts>();
