import type { FailureKind } from '../failures/classify.ts';
import { believesReadOnly } from '../failures/retry.ts';

/** Why a transaction that was rolled back is worth a retry; `undefined` if it is not. */
export type RepeatReason = 'conflict' | 'server' | undefined;

/**
 * Decides whether a transaction that was certainly rolled back is worth a retry, by what its first failed statement met.
 *
 * A read-only answer counts as the server's only if the server itself says so (`demoted`): otherwise the application asked
 * for READ ONLY.
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
      // This includes timeouts that the server was told to enforce (25P03): a retry would be as slow.
      return undefined;
  }
}

/** What was spent when a transaction asks for a retry. */
export interface RepeatBudget {
  readonly retries: number | undefined;
  /** How often it was retried so far, and how often of these after a conflict. */
  readonly repeats: number;
  readonly conflicts: number;
  /** How often a server answered that it takes no writes. */
  readonly readOnlyAnswers: number;
  readonly elapsedMillis: number;
  readonly failoverTimeoutMillis: number;
}

/** Whether there is budget left for a retry. */
export function mayRepeat(reason: 'conflict' | 'server', budget: RepeatBudget): boolean {
  const { retries, repeats, conflicts, readOnlyAnswers, elapsedMillis, failoverTimeoutMillis } = budget;
  if (retries !== undefined && repeats >= retries) return false;
  if (!believesReadOnly(readOnlyAnswers)) return false;
  const inTime = elapsedMillis < failoverTimeoutMillis;
  if (reason === 'server') return inTime;
  // Without a failover timeout there is no limit in time: it does not concern conflicts.
  if (failoverTimeoutMillis > 0 && !inTime) return false;
  return retries !== undefined || conflicts < defaultConflictRetries;
}

const defaultConflictRetries = 5;
