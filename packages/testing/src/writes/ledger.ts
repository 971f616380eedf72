import type { AcknowledgedWrite, FailedWrite, Report, SettledWrite, Write } from './writer-messages.ts';

/** A write that has not settled for longer than this hangs. */
export const hungAfterMillis = 15_000;

/** Everything that a process of writers has reported: what was acknowledged to it, what failed, and what is under way. */
export class Ledger {
  readonly acknowledged: AcknowledgedWrite[] = [];
  readonly failed: FailedWrite[] = [];
  /** Writes that did not settle in time, by id, even if they settled later. */
  readonly hung = new Map<number, Write>();
  #underWay: readonly Write[] = [];
  readonly #listeners = new Set<() => void>();

  /** Enters a report that was made at `at`. */
  enter(report: Omit<Report, 'at'>, at: number): void {
    for (const write of report.settled) {
      if (isAcknowledged(write)) this.acknowledged.push(write);
      else this.failed.push(write);
      if (write.settledAt - write.beganAt > hungAfterMillis) this.hung.set(write.id, write);
    }
    this.#underWay = report.underWay;
    for (const write of report.underWay) if (at - write.beganAt > hungAfterMillis) this.hung.set(write.id, write);
    for (const listener of [...this.#listeners]) listener();
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

  /** Calls back after each report, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
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

  /** When the last of `workers` workers had its first write acknowledged by `address` after `since`; `undefined` while one of them has none. */
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

export interface WritesBegun {
  readonly acknowledged: readonly AcknowledgedWrite[];
  readonly failed: readonly FailedWrite[];
  readonly hung: readonly Write[];
}

/** Acknowledgements are entered nearly in order, so the newest are searched first. */
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
