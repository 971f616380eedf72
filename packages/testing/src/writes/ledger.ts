import { aNumber, checkOptions, optional } from '@externalname/core/internal';
import type { AcknowledgedWrite, FailedWrite, SettledWrite, Write, WriteReport } from './write.ts';

/** See {@link WriteLedger}. */
export interface WriteLedgerOptions {
  /** A write that has not settled for longer than this hangs, even if it settles later. Milliseconds. @defaultValue 15000 */
  hungAfterMillis?: number | undefined;
}

/** Everything that a {@link WriteLoad} has reported: what was acknowledged to it, what failed, what hung, and what is under way. */
export class WriteLedger {
  /** Writes that the server acknowledged, in the order of the reports. */
  readonly acknowledged: AcknowledgedWrite[] = [];
  /** Writes that ended with an error. */
  readonly failed: FailedWrite[] = [];
  /** Writes that did not settle in time, by id, even if they settled later. */
  readonly hung = new Map<number, Write>();
  #underWay: readonly Write[] = [];
  readonly #hungAfterMillis: number;

  constructor(options: WriteLedgerOptions = {}) {
    checkOptions(options, { hungAfterMillis: optional(aNumber({ least: 0 })) });
    this.#hungAfterMillis = options.hungAfterMillis ?? 15_000;
  }

  /** Enters a report that was made at `at`. */
  enter(report: WriteReport, at: number): void {
    for (const write of report.settled) {
      if (isAcknowledged(write)) this.acknowledged.push(write);
      else this.failed.push(write);
      if (write.settledAt - write.beganAt > this.#hungAfterMillis) this.hung.set(write.id, write);
    }
    this.#underWay = report.underWay;
    for (const write of report.underWay) if (at - write.beganAt > this.#hungAfterMillis) this.hung.set(write.id, write);
  }

  /** What was under way in the last report. */
  get underWay(): readonly Write[] {
    return this.#underWay;
  }

  /** Stops waiting: what is still under way hangs. */
  close(): void {
    for (const write of this.#underWay) this.hung.set(write.id, write);
    this.#underWay = [];
  }

  /** How many writes each server acknowledged from `from` on, until before `to`, by its address. */
  countByAddress(from: number, to: number): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { address } of settledBetween(this.acknowledged, from, to)) {
      counts.set(address, (counts.get(address) ?? 0) + 1);
    }
    return counts;
  }

  /** The first write that `address` acknowledged after `since`. */
  firstAt(address: string, since: number): AcknowledgedWrite | undefined {
    return earliest(this.acknowledged.filter((write) => write.address === address && write.settledAt >= since));
  }

  /** When the last of `workers` workers had its first write acknowledged by `address` after `since`; `undefined` if one has none. */
  allWorkersAt(address: string, since: number, workers: number): number | undefined {
    const first = new Map<number, number>();
    for (const write of this.acknowledged) {
      if (write.address !== address || write.settledAt < since) continue;
      first.set(write.worker, Math.min(first.get(write.worker) ?? Number.POSITIVE_INFINITY, write.settledAt));
    }
    return first.size < workers ? undefined : Math.max(...first.values());
  }

  /** The last acknowledgement before `at`, from any server. */
  lastBefore(at: number): number | undefined {
    return this.acknowledged.reduce<number | undefined>(
      (last, { settledAt }) => (settledAt < at && settledAt > (last ?? Number.NEGATIVE_INFINITY) ? settledAt : last),
      undefined,
    );
  }

  /**
   * The longest time without an acknowledgement, from any server. Before the first one counts from `from`, and after the last one until
   * `to`, if these are finite.
   */
  longestPause(from: number, to: number): Pause | undefined {
    const moments = this.acknowledged.map(({ settledAt }) => settledAt).filter((at) => at >= from && at < to);
    if (Number.isFinite(from)) moments.push(from);
    if (Number.isFinite(to)) moments.push(to);
    moments.sort((a, b) => a - b);
    let longest: Pause | undefined;
    for (const [index, end] of moments.entries()) {
      const begin = moments[index - 1];
      if (begin === undefined || end - begin <= (longest === undefined ? 0 : longest.to - longest.from)) continue;
      longest = { from: begin, to: end };
    }
    return longest;
  }

  /** The writes that began from `from` on, and before `to`. */
  begunBetween(from: number, to: number): WritesBegun {
    const within = ({ beganAt }: Write) => beganAt >= from && beganAt < to;
    return {
      acknowledged: this.acknowledged.filter(within),
      failed: this.failed.filter(within),
      hung: [...this.hung.values()].filter(within),
    };
  }
}

/** A time without an acknowledgement. */
export interface Pause {
  /** The acknowledgement before it. */
  readonly from: number;
  /** The acknowledgement after it. */
  readonly to: number;
}

/** The writes of a span of time, by what became of them. */
export interface WritesBegun {
  /** The server acknowledged them. */
  readonly acknowledged: readonly AcknowledgedWrite[];
  /** They ended with an error. */
  readonly failed: readonly FailedWrite[];
  /** They did not settle in time. */
  readonly hung: readonly Write[];
}

// Acknowledgements are entered nearly in order, so the newest are searched first.
function settledBetween(writes: readonly AcknowledgedWrite[], from: number, to: number): readonly AcknowledgedWrite[] {
  const found: AcknowledgedWrite[] = [];
  for (let index = writes.length - 1; index >= 0; index--) {
    const write = writes[index];
    if (write === undefined || write.settledAt < from) break;
    if (write.settledAt < to) found.push(write);
  }
  return found;
}

function earliest(writes: readonly AcknowledgedWrite[]): AcknowledgedWrite | undefined {
  return writes.reduce<AcknowledgedWrite | undefined>(
    (first, write) => (first === undefined || write.settledAt < first.settledAt ? write : first),
    undefined,
  );
}

function isAcknowledged(write: SettledWrite): write is AcknowledgedWrite {
  return 'address' in write;
}
