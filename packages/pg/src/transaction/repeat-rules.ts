import type { FailureKind } from '../failures/classify.ts';
import { believesReadOnly } from '../failures/retry.ts';

/** Why a transaction that was rolled back is worth doing again; `undefined` where it is not. */
export type RepeatReason = 'conflict' | 'server' | undefined;

/**
 * Says whether a transaction that was surely rolled back is worth doing again, by what its first failed statement met.
 *
 * A read-only answer is the server's doing only where the server itself says so (`demoted`): else the application asked
 * for READ ONLY in its own words.
 */
export function repeatReason(
  kind: FailureKind,
  circumstances: { readonly readOnly: boolean; readonly demoted: boolean; readonly forgotten?: boolean },
): RepeatReason {
  switch (kind) {
    case 'conflict':
      return 'conflict';
    case 'session-state':
      // A prepared statement that its session had lost, which is known now.
      return circumstances.forgotten === true ? 'conflict' : undefined;
    case 'read-only':
      return circumstances.demoted && !circumstances.readOnly ? 'server' : undefined;
    case 'server-lost':
    case 'not-accepting':
    case 'not-queryable':
    case 'unreachable':
    case 'overloaded':
    case 'wrong-role':
      return 'server';
    default:
      // Among them the time-outs that the server was told to keep (25P03): done again, the work would be as slow.
      return undefined;
  }
}

/** What was spent when a transaction asks to be done again. */
export interface RepeatBudget {
  readonly retries: number | undefined;
  /** How often it was done again so far, and how often of these after a conflict. */
  readonly repeats: number;
  readonly conflicts: number;
  /** How often a server answered that it takes no writes. */
  readonly readOnlyAnswers: number;
  readonly elapsedMillis: number;
  readonly failoverTimeoutMillis: number;
}

/** Whether there is anything left to do the work again with. */
export function mayRepeat(reason: 'conflict' | 'server', budget: RepeatBudget): boolean {
  const { retries, repeats, conflicts, readOnlyAnswers, elapsedMillis, failoverTimeoutMillis } = budget;
  if (retries !== undefined && repeats >= retries) return false;
  if (!believesReadOnly(readOnlyAnswers)) return false;
  const inTime = elapsedMillis < failoverTimeoutMillis;
  if (reason === 'server') return inTime;
  // With the failover time-out off there is no limit in time: conflicts are none of its business.
  if (failoverTimeoutMillis > 0 && !inTime) return false;
  return retries !== undefined || conflicts < defaultConflictRetries;
}

const defaultConflictRetries = 5;
