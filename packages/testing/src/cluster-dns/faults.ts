import {
  aNumber,
  anything,
  aText,
  listOf,
  optional,
  optionsOf,
  type Shape,
  type Shapes,
} from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';
import { checkFault, type StartedFault, StartedFaults } from '../faults.ts';
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

type FaultOf<Kind extends DnsFault['kind']> = DnsFault & { readonly kind: Kind };

const scopeShapes: Shapes<DnsFaultScope> & { readonly kind: Shape } = {
  // checkFault() has checked it.
  kind: anything,
  name: optional(aText),
  type: optional(aText),
  times: optional(aNumber({ least: 0 })),
};
const delayMillis = aNumber({ least: 0, unit: 'milliseconds' });
const withoutOptions = optionsOf<FaultOf<'silent'>>(scopeShapes);
const faultShapes: { readonly [Kind in DnsFault['kind']]: Shape } = {
  slow: optionsOf<FaultOf<'slow'>>({ ...scopeShapes, delayMillis }),
  silent: withoutOptions,
  servfail: withoutOptions,
  nxdomain: withoutOptions,
  refused: withoutOptions,
  truncated: withoutOptions,
  stale: optionsOf<FaultOf<'stale'>>({ ...scopeShapes, delayMillis: optional(delayMillis) }),
  wrong: optionsOf<FaultOf<'wrong'>>({ ...scopeShapes, records: listOf(aRecord) }),
};

/** The faults of the DNS that are on. */
export class DnsFaults {
  readonly #started = new StartedFaults<DnsFault>();

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
  start(fault: DnsFault, onEnd: () => void = () => {}): StartedFault {
    checkFault(fault, faultShapes);
    const name = fault.name === undefined ? undefined : canonicalName(fault.name);
    return this.#started.start({ ...fault, name }, fault.times, onEnd);
  }

  /** The newest fault for this question, counted as used. `stale` is not about questions, so it is left out. */
  take(question: DnsQuestion): Exclude<DnsFault, { kind: 'stale' }> | undefined {
    const name = canonicalName(question.name);
    const matches = (fault: DnsFault): fault is Exclude<DnsFault, { kind: 'stale' }> =>
      fault.kind !== 'stale' &&
      (fault.name === undefined || fault.name === name) &&
      (fault.type === undefined || fault.type.toUpperCase() === question.type);
    return this.#started.use(matches);
  }

  /** How late the DNS learns of a change of the Service behind `name`, in milliseconds. */
  staleness(name: string): number {
    const canonical = canonicalName(name);
    const delays = this.#started
      .newestFirst()
      .filter((fault) => fault.kind === 'stale' && (fault.name === undefined || fault.name === canonical))
      .map((fault) => ('delayMillis' in fault ? fault.delayMillis : undefined) ?? Number.POSITIVE_INFINITY);
    return Math.max(0, ...delays);
  }

  endAll(): void {
    this.#started.endAll();
  }
}
