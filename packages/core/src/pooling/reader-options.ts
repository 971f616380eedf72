import { checkNumber, ownOptions } from '../input.ts';
import { aBoolean, aNumber, anObjectWith, aText, either, listOf, oneOf, optional, optionsOf } from '../shape.ts';
import type { Balancing, TargetSource } from '../targets/index.ts';

/** Where and how the reader of a pool reads. */
export interface ReaderOptions {
  /** The Service whose target has the standbys: `webscaler-db-ro`. @defaultValue that of the pool: the standbys among the addresses of its target */
  service?: string | undefined;
  /** The source that tells where that Service points. @defaultValue DNS; without `service`, the source of the pool */
  source?: TargetSource | undefined;
  /** The hosts that the Service may point to. @defaultValue those of the pool */
  allowedTargets?: readonly string[] | 'any' | undefined;
  /** The maximum number of connections. @defaultValue `max` of the pool */
  max?: number | undefined;
  /** How reads are spread over the standbys, as the option `balancing` of a pool. @defaultValue 'least-connections' for a Service */
  balancing?: Balancing | undefined;
  /** Whether the primary serves reads for which there is no standby: none serves, all lag, or none has replayed a token in time. @defaultValue true */
  fallback?: boolean | undefined;
  /** How far a standby may lag behind the primary and still get reads. Bytes of the write-ahead log. @defaultValue no limit */
  maxLagBytes?: number | undefined;
  /** How old the data of a standby may be. Measured in steps of `lagCheckMillis`. Milliseconds, at least `lagCheckMillis`. @defaultValue no limit */
  maxLagMillis?: number | undefined;
  /** How often a connection is checked, before it is handed out: the lag of its server, and its role. Milliseconds, above 0. @defaultValue 1000 */
  lagCheckMillis?: number | undefined;
  /** How long a read with a token waits for a standby to replay it, before the primary is asked. Milliseconds. @defaultValue 100 */
  catchUpMillis?: number | undefined;
}

/** Checked and complete. @internal */
export interface ReaderSettings {
  readonly fallback: boolean;
  readonly maxLagBytes: number;
  readonly maxLagMillis: number;
  readonly lagCheckMillis: number;
  readonly catchUpMillis: number;
}

/**
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the option
 * @internal
 */
export function readerSettings(given: ReaderOptions = {}): ReaderSettings {
  aReaderOption('reader', given);
  const options = ownOptions(given);
  const { fallback = true, lagCheckMillis = 1_000, catchUpMillis = 100 } = options;
  const { maxLagBytes = Number.POSITIVE_INFINITY, maxLagMillis = Number.POSITIVE_INFINITY } = options;
  checkNumber('reader.maxLagMillis', maxLagMillis, { least: lagCheckMillis, unit: 'milliseconds' });
  return { fallback, maxLagBytes, maxLagMillis, lagCheckMillis, catchUpMillis };
}

const wholeTimer = { most: 2 ** 31 - 1, unit: 'milliseconds' };
const aReaderOption = optionsOf<ReaderOptions>({
  service: optional(aText),
  source: optional(anObjectWith('current', 'subscribe')),
  allowedTargets: optional(either(oneOf('any'), listOf(aText))),
  balancing: optional(oneOf('ordered', 'random', 'round-robin', 'least-connections')),
  max: optional(aNumber({ least: 1, whole: true })),
  fallback: optional(aBoolean),
  maxLagBytes: optional(aNumber({ least: 0 })),
  maxLagMillis: optional(aNumber({ above: 0 })),
  lagCheckMillis: optional(aNumber({ ...wholeTimer, above: 0 })),
  catchUpMillis: optional(aNumber({ ...wholeTimer, least: 0 })),
});
