import { aNumber, aText, listOf, optional, optionsOf } from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import type { StartedFault } from '../faults.ts';
import type { DnsQuestion } from './message.ts';
import { aRecord, type HostRecord } from './outside-names.ts';

/**
 * Something that goes wrong with the cluster's DNS on purpose, for one name or for all.
 *
 * - `slow`: the answer comes late;
 * - `silent`: no answer comes at all;
 * - `servfail`, `nxdomain`, `refused`: an answer without records and with that code;
 * - `truncated`: over UDP the answer is empty and says TC; over TCP it is whole;
 * - `stale`: a change of a Service reaches the DNS late, or not before the fault ends;
 * - `wrong`: the answer holds the given records instead of the right ones.
 *
 * A fault for a name outside the cluster also affects the cluster's DNS, on its way to that name.
 */
export type DnsFault = DnsFaultScope &
  (
    | {
        readonly kind: 'slow';
        /** Milliseconds. */
        readonly delayMillis: number;
      }
    | { readonly kind: 'silent' | 'servfail' | 'nxdomain' | 'refused' | 'truncated' }
    | {
        readonly kind: 'stale';
        /** Milliseconds from a change of the object until the DNS knows. @defaultValue `Infinity`, until the fault ends */
        readonly delayMillis?: number | undefined;
      }
    | {
        readonly kind: 'wrong';
        /** The records of the answer. Their owner is the name of the question, unless a record names another. */
        readonly records: readonly HostRecord[];
      }
  );

/** Which questions a {@link DnsFault} affects. */
export interface DnsFaultScope {
  /** The full name, in any case, with or without the trailing dot. @defaultValue all names */
  readonly name?: string | undefined;
  /** Type of the question: `A`, `AAAA`, `CNAME`. @defaultValue all types */
  readonly type?: string | undefined;
  /** After this many questions the fault ends by itself. @defaultValue `Infinity` */
  readonly times?: number | undefined;
}

type FaultOption = DnsFault extends infer Fault ? (Fault extends unknown ? keyof Fault : never) : never;

const aFault = optionsOf<Record<FaultOption, unknown>>({
  kind: aText,
  name: optional(aText),
  type: optional(aText),
  times: optional(aNumber({ least: 0 })),
  delayMillis: optional(aNumber({ least: 0, unit: 'milliseconds' })),
  records: optional(listOf(aRecord)),
});

/** The faults that are on, newest first. */
export class DnsFaults {
  readonly #started = new Set<{ fault: DnsFault; name: string | undefined; left: number; onEnd: () => void }>();

  start(fault: DnsFault, onEnd: () => void = () => {}): StartedFault {
    aFault('fault', fault);
    const started = {
      fault,
      name: fault.name === undefined ? undefined : canonicalName(fault.name),
      left: fault.times ?? Number.POSITIVE_INFINITY,
      onEnd,
    };
    this.#started.add(started);
    const end = () => {
      if (this.#started.delete(started)) started.onEnd();
    };
    return { end, [Symbol.dispose]: end };
  }

  /** The newest fault for this question, counted as used. `stale` is not about questions, so it is left out. */
  take(question: DnsQuestion): Exclude<DnsFault, { kind: 'stale' }> | undefined {
    const name = canonicalName(question.name);
    for (const started of [...this.#started].reverse()) {
      const { fault } = started;
      if (fault.kind === 'stale') continue;
      if (started.name !== undefined && started.name !== name) continue;
      if (fault.type !== undefined && fault.type.toUpperCase() !== question.type) continue;
      started.left -= 1;
      if (started.left <= 0) this.#started.delete(started);
      return fault;
    }
    return undefined;
  }

  /** How late the DNS learns of a change of the Service behind `name`, in milliseconds. */
  staleness(name: string): number {
    const canonical = canonicalName(name);
    let delay = 0;
    for (const { fault, name: faulty } of this.#started) {
      if (fault.kind !== 'stale' || (faulty !== undefined && faulty !== canonical)) continue;
      delay = Math.max(delay, fault.delayMillis ?? Number.POSITIVE_INFINITY);
    }
    return delay;
  }

  endAll(): void {
    for (const started of [...this.#started]) {
      this.#started.delete(started);
      started.onEnd();
    }
  }
}
