import type { EventChannel } from '@externalname/core/events';
import { isWithin } from '@externalname/core/names';
import { Bounds } from './labels.ts';
import { rows } from './metrics.ts';
import { type Call, type Ended, statementChannels } from './payloads.ts';
import type { Metric, Reading } from './rows.ts';
import { type Cell, Tally } from './tally.ts';

/**
 * What the channels have told, for all that collect it. One listener of each channel counts each event once, because to call another one
 * takes as long as to count.
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
    const counters = new Map<EventChannel<never>, Counter[]>();
    for (const [{ kind, feeds = [] }, tally] of this.tallies) {
      for (const { channel, read } of feeds) {
        const counter = { tally, kind, read: (event: never) => read(event, hopOf) };
        counters.set(channel, [...(counters.get(channel) ?? []), counter]);
      }
    }
    this.#stops = [...counters].map(([channel, those]) =>
      channel.subscribe(statementChannels.has(channel) ? countStatements(those) : (event) => countEach(those, event)),
    );
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

/** One metric of what a channel tells. */
interface Counter {
  readonly tally: Tally;
  readonly kind: Metric['kind'];
  read(event: never): Reading | undefined;
}

type Counted = Pick<Counter, 'tally' | 'kind'> & { readonly cell: Cell };

/** Counts an event. Returns where. */
function countEach(counters: readonly Counter[], event: never): readonly Counted[] {
  return counters.flatMap(({ tally, kind, read }) => {
    const reading = read(event);
    if (reading === undefined) return [];
    const cell = tally.cell(reading);
    if (kind === 'gauge') [cell.sum] = reading;
    else tally.add(cell, kind === 'histogram' ? reading[0] / 1_000 : reading[0]);
    return [{ tally, kind, cell }];
  });
}

/** Mostly a statement differs from the last one in nothing but how long it took. */
function countStatements(counters: readonly Counter[]): (event: never) => void {
  let last: Statement | undefined;
  let counted: readonly Counted[] = [];
  return (event: Statement) => {
    if (isLike(event, last)) {
      for (const { tally, kind, cell } of counted)
        tally.add(cell, kind === 'histogram' ? event.durationMillis / 1_000 : 1);
      return;
    }
    counted = countEach(counters, event as never);
    last = event.error === undefined ? event : undefined;
  };
}

function isLike({ name, target, operation, attempts, error }: Statement, last: Statement | undefined): boolean {
  return (
    error === undefined &&
    name === last?.name &&
    target === last.target &&
    operation === last.operation &&
    attempts === last.attempts
  );
}

type Statement = Ended & Partial<Call>;

const inUse = new Map<string, Counts>();
