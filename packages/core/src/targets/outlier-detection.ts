import { InvalidArgumentError } from '../errors.ts';
import { ownOptions } from '../input.ts';
import { aNumber, optional, optionsOf } from '../shape.ts';

/**
 * When an endpoint that answers badly gets no requests for a while (gRPC A50, Envoy's outlier detection).
 *
 * After each interval, an endpoint is an outlier if too many of its requests failed, or if its answers take several times as long as
 * those of the others. It is then ejected: the first time for `baseEjectionMillis`, and longer each time that it happens again.
 */
export interface OutlierDetectionOptions {
  /** The time over which requests are counted before they are judged. Milliseconds. @defaultValue 10000 */
  intervalMillis?: number | undefined;
  /** How long the first ejection lasts; the n-th in a row lasts n times as long. Milliseconds. @defaultValue 30000 */
  baseEjectionMillis?: number | undefined;
  /** The longest ejection. Milliseconds. @defaultValue 300000, or `baseEjectionMillis` if that is more */
  longestEjectionMillis?: number | undefined;
  /**
   * How many of the endpoints may be ejected at a time, in percent; of two or more, one always may. At least one that works is never
   * ejected, whatever this says. 0 to 100. @defaultValue 50
   */
  maxEjectionPercent?: number | undefined;
  /** An endpoint is an outlier if at least this share of its requests failed. Percent, above 0. @defaultValue 50 */
  failurePercent?: number | undefined;
  /** How many requests an endpoint must have had in an interval to be judged. @defaultValue 20 */
  minimumRequests?: number | undefined;
  /**
   * An endpoint is an outlier if its answers take more than this many times as long, on average, as the median of the others.
   * Above 1; `Infinity` does not judge by latency. @defaultValue 4
   */
  latencyFactor?: number | undefined;
  /** Answers that take less than this on average are never too slow. Milliseconds. @defaultValue 100 */
  leastLatencyMillis?: number | undefined;
}

/** Why an endpoint gets no requests: it could not be used, its requests failed, or it was slow. */
export type EjectionReason = 'unreachable' | 'errors' | 'latency';

type Settings = { readonly [K in keyof OutlierDetectionOptions]-?: number };

/** What is counted of one endpoint. */
export class Vitals {
  /** Requests of this interval that were answered, and that failed. */
  answered = 0;
  failed = 0;
  /** How long the answered ones took together, in milliseconds. */
  millis = 0;
  /** How often it was ejected in a row; each quiet interval takes one back. */
  ejections = 0;
  ejectedAt: number | undefined;
  ejectedUntil = Number.NEGATIVE_INFINITY;
  reason: EjectionReason = 'errors';

  isEjected(now: number): boolean {
    return now < this.ejectedUntil;
  }
}

/** A newly ejected endpoint. */
export interface Ejection<Member> {
  readonly member: Member;
  readonly reason: EjectionReason;
  readonly millis: number;
}

/** Judges endpoints by what was counted. Pure: it is told the time. */
export class OutlierDetection {
  readonly #settings: Settings;
  #nextAt: number | undefined;

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
  constructor(options: OutlierDetectionOptions) {
    this.#settings = outlierSettings(options);
  }

  /**
   * If an interval is over, judges it and begins the next one.
   *
   * @param members the endpoints that there are now
   * @param isUsable whether nothing else speaks against one: at least one of these is never ejected
   */
  sweep<Member extends { readonly vitals: Vitals }>(
    now: number,
    members: () => readonly Member[],
    isUsable: (member: Member) => boolean,
  ): readonly Ejection<Member>[] {
    this.#nextAt ??= now + this.#settings.intervalMillis;
    if (now < this.#nextAt) return [];
    this.#nextAt = now + this.#settings.intervalMillis;
    const all = members();
    const ejected = this.#eject(all, isUsable, now);
    const isNew = new Set(ejected.map(({ member }) => member));
    for (const member of all) {
      const { vitals } = member;
      if (!isNew.has(member) && !vitals.isEjected(now)) vitals.ejections = Math.max(0, vitals.ejections - 1);
      vitals.answered = 0;
      vitals.failed = 0;
      vitals.millis = 0;
    }
    return ejected;
  }

  #eject<Member extends { readonly vitals: Vitals }>(
    all: readonly Member[],
    isUsable: (member: Member) => boolean,
    now: number,
  ): readonly Ejection<Member>[] {
    const { baseEjectionMillis, longestEjectionMillis, maxEjectionPercent } = this.#settings;
    let out = all.filter(({ vitals }) => vitals.isEjected(now)).length;
    let usable = all.filter((member) => isUsable(member) && !member.vitals.isEjected(now)).length;
    const most = maxEjectionPercent === 0 ? 0 : Math.max(1, Math.floor((all.length * maxEjectionPercent) / 100));
    const ejections: Ejection<Member>[] = [];
    for (const { member, reason } of this.#outliers(all, now)) {
      const isLast = usable <= (isUsable(member) ? 1 : 0);
      if (out >= most || isLast) continue;
      const { vitals } = member;
      vitals.ejections += 1;
      const millis = Math.min(baseEjectionMillis * vitals.ejections, longestEjectionMillis);
      Object.assign(vitals, { ejectedAt: now, ejectedUntil: now + millis, reason });
      out += 1;
      if (isUsable(member)) usable -= 1;
      ejections.push({ member, reason, millis });
    }
    return ejections;
  }

  // The worst first.
  #outliers<Member extends { readonly vitals: Vitals }>(all: readonly Member[], now: number) {
    const { minimumRequests, failurePercent, latencyFactor, leastLatencyMillis } = this.#settings;
    const judged = all.filter(
      ({ vitals }) => !vitals.isEjected(now) && vitals.answered + vitals.failed >= minimumRequests,
    );
    const failing = judged
      .map((member) => ({ member, reason: 'errors' as const, by: failureShare(member.vitals) }))
      .filter(({ by }) => by * 100 >= failurePercent);
    const answering = judged.filter(({ vitals }) => vitals.answered > 0);
    const slow = answering
      .map((member) => {
        const others = answering.filter((other) => other !== member).map(({ vitals }) => meanMillis(vitals));
        return { member, reason: 'latency' as const, by: meanMillis(member.vitals) / median(others) };
      })
      .filter(({ member, by }) => by > latencyFactor && meanMillis(member.vitals) >= leastLatencyMillis)
      .filter(({ member }) => !failing.some((each) => each.member === member));
    const worstFirst = (one: { readonly by: number }, other: { readonly by: number }) => other.by - one.by;
    return [...failing.sort(worstFirst), ...slow.sort(worstFirst)];
  }
}

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
function outlierSettings(given: OutlierDetectionOptions): Settings {
  anOutlierDetection('outlierDetection', given);
  const options = ownOptions(given);
  const { baseEjectionMillis = 30_000, longestEjectionMillis = Math.max(300_000, baseEjectionMillis) } = options;
  if (longestEjectionMillis < baseEjectionMillis) {
    throw new InvalidArgumentError(
      'outlierDetection.longestEjectionMillis',
      `must be at least baseEjectionMillis (${baseEjectionMillis}), got ${longestEjectionMillis}`,
    );
  }
  return {
    intervalMillis: options.intervalMillis ?? 10_000,
    baseEjectionMillis,
    longestEjectionMillis,
    maxEjectionPercent: options.maxEjectionPercent ?? 50,
    failurePercent: options.failurePercent ?? 50,
    minimumRequests: options.minimumRequests ?? 20,
    latencyFactor: options.latencyFactor ?? 4,
    leastLatencyMillis: options.leastLatencyMillis ?? 100,
  };
}

const aTime = optional(aNumber({ above: 0, unit: 'milliseconds' }));
const anOutlierDetection = optionsOf<OutlierDetectionOptions>({
  intervalMillis: aTime,
  baseEjectionMillis: aTime,
  longestEjectionMillis: aTime,
  maxEjectionPercent: optional(aNumber({ least: 0, most: 100 })),
  failurePercent: optional(aNumber({ above: 0, most: 100 })),
  minimumRequests: optional(aNumber({ least: 1 })),
  latencyFactor: optional(aNumber({ above: 1 })),
  leastLatencyMillis: optional(aNumber({ least: 0, unit: 'milliseconds' })),
});

function failureShare({ answered, failed }: Vitals): number {
  return failed / (answered + failed);
}

function meanMillis({ answered, millis }: Vitals): number {
  return millis / answered;
}

// NaN if there are none: nothing is slower than that.
function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.ceil((sorted.length - 1) / 2)],
  ];
  return (low + high) / 2;
}
