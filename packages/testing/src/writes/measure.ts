import {
  aNumber,
  anObjectWith,
  aText,
  checkOptions,
  listOf,
  objectOf,
  optional,
  type Shape,
} from '@externalname/core/internal';
import type { Pause, WriteLedger, WritesBegun } from './ledger.ts';
import type { FailureOutcome } from './write.ts';

/** What is known of a switch when it is over: see {@link measureWrites}. */
export interface WriteFacts {
  /** What the workers were told. */
  ledger: WriteLedger;
  /** How many workers there are. */
  workers: number;
  /** The writes that are measured began from here on. */
  from: number;
  /** They began before this. */
  to: number;
  /** When the Service was patched. */
  patchedAt: number;
  /** Address of the server that the Service was switched to. */
  address: string;
  /** How often each id is on that server: {@link countWrites}. */
  rows: ReadonlyMap<number, number>;
  /** The measures of an earlier switch of the same run, whose losses are not counted again. @defaultValue none */
  earlier?: Pick<WriteMeasures, 'ids'> | undefined;
}

/** What became of the writes of one switch. */
export interface WriteMeasures {
  /** How many there were of each kind. */
  readonly writes: {
    /** Writes that a worker saw succeed. */
    readonly acknowledged: number;
    /** Of these, how many are not on the promoted server. */
    readonly lost: number;
    /** Ids that are on the promoted server more than once. */
    readonly duplicated: number;
    /** Writes that did not settle in time. */
    readonly hung: number;
    /** Writes that a worker saw fail. */
    readonly failed: number;
  };
  /** From the patch to the first acknowledgement of the promoted server; `null` if there was none. */
  readonly patchToFirstWriteMillis: number | null;
  /** From the patch to when each worker had one. */
  readonly patchToAllWorkersMillis: number | null;
  /** From the last acknowledgement before to the first one of the promoted server. */
  readonly outageMillis: number | null;
  /** The longest time without an acknowledgement. */
  readonly longestPause: Pause | undefined;
  /** The failed writes, grouped by code and outcome, the largest group first. */
  readonly failures: readonly FailureCount[];
  /** Which writes were lost, and which are there more than once. */
  readonly ids: { readonly lost: readonly number[]; readonly duplicated: readonly number[] };
}

/** Failed writes that look alike. */
export interface FailureCount {
  /** The error's code; its message if it has none. */
  readonly code: string;
  /** What the error says of the write. */
  readonly outcome: FailureOutcome;
  /** How many failed so. */
  readonly count: number;
  /** How many of them are on the promoted server all the same. */
  readonly stored: number;
}

/**
 * Measures what became of the writes around one switch. Ids of writes before `from` count as lost, too, if they are missing on the
 * promoted server.
 */
export function measureWrites(facts: WriteFacts): WriteMeasures {
  checkOptions(facts, {
    ledger: anObjectWith('begunBetween', 'firstAt'),
    workers: aNumber({ least: 1, whole: true }),
    from: aNumber(),
    to: aNumber(),
    patchedAt: aNumber(),
    address: aText,
    rows: countsById,
    earlier: optional(objectOf({ ids: objectOf({ lost: listOf(aNumber()), duplicated: listOf(aNumber()) }) })),
  });
  const { ledger, rows, address, patchedAt, workers, from, to } = facts;
  const begun = ledger.begunBetween(from, to);
  const ids = { lost: lostIds(facts), duplicated: duplicatedIds(facts) };
  const first = ledger.firstAt(address, patchedAt)?.settledAt;
  const all = ledger.allWorkersAt(address, patchedAt, workers);
  const last = first === undefined ? undefined : ledger.lastBefore(first);
  return {
    writes: {
      acknowledged: begun.acknowledged.length,
      lost: ids.lost.length,
      duplicated: ids.duplicated.length,
      hung: begun.hung.length,
      failed: begun.failed.length,
    },
    patchToFirstWriteMillis: first === undefined ? null : Math.round(first - patchedAt),
    patchToAllWorkersMillis: all === undefined ? null : Math.round(all - patchedAt),
    outageMillis: first === undefined || last === undefined ? null : Math.round(first - last),
    longestPause: ledger.longestPause(from, to),
    failures: countFailures(begun, rows),
    ids,
  };
}

/** As {@link countWrites} gives them. */
const countsById: Shape = (argument, value) => {
  anObjectWith('has', 'entries')(argument, value);
  const entries = [...(value as ReadonlyMap<unknown, unknown>).entries()];
  listOf(listOf(aNumber()))(`${argument}.entries()`, entries);
};

/** Ids whose acknowledgement was heard and that are not on the promoted server, ids of earlier switches included. */
function lostIds({ ledger, to, rows, earlier }: WriteFacts): readonly number[] {
  const known = new Set(earlier?.ids.lost);
  return ledger
    .begunBetween(Number.NEGATIVE_INFINITY, to)
    .acknowledged.map(({ id }) => id)
    .filter((id) => !rows.has(id) && !known.has(id));
}

function duplicatedIds({ rows, earlier }: WriteFacts): readonly number[] {
  const known = new Set(earlier?.ids.duplicated);
  return [...rows.entries()].filter(([id, count]) => count > 1 && !known.has(id)).map(([id]) => id);
}

function countFailures({ failed }: WritesBegun, rows: ReadonlyMap<number, number>): readonly FailureCount[] {
  const counts = new Map<string, { code: string; outcome: FailureOutcome; count: number; stored: number }>();
  for (const { id, failure } of failed) {
    const key = `${failure.code} ${failure.outcome}`;
    const count = counts.get(key) ?? { code: failure.code, outcome: failure.outcome, count: 0, stored: 0 };
    counts.set(key, count);
    count.count += 1;
    if (rows.has(id)) count.stored += 1;
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}
