import type { WriteLedger } from '@externalname/testing';
import type { DrillServer } from '../places/place.ts';

/** How the workers do at the moment. */
export interface DrillStatus {
  /** Seconds since the drill began. */
  readonly at: number;
  /** How many writes have failed. */
  readonly failed: number;
  /** How many writes take longer than a quarter of a second. */
  readonly waiting: number;
  /** Writes acknowledged in the last second, by server; the ones without are left out. */
  readonly rates: readonly { readonly host: string; readonly perSecond: number }[];
}

/** The status at a moment of the drill's clock. */
export function statusOf(
  ledger: WriteLedger,
  servers: readonly DrillServer[],
  seconds: number,
  at: number,
): DrillStatus {
  const counts = ledger.countByAddress(at - 1_000, at);
  return {
    at: seconds,
    failed: ledger.failed.length,
    waiting: ledger.underWay.filter(({ beganAt }) => at - beganAt > waitingMillis).length,
    rates: servers
      .map(({ host, address }) => ({ host, perSecond: counts.get(address) ?? 0 }))
      .filter(({ perSecond }) => perSecond > 0),
  };
}

/** A write that takes longer than this is told to wait: usually one takes a few milliseconds. */
const waitingMillis = 250;
