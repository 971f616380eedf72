import { isExternalNameError } from '@externalname/core';
import { printable } from '@externalname/core/internal';
import type { ConfirmationProblem } from '../confirm/confirmation.ts';
import type { EngineState, UnknownReason } from '../engine/engine.ts';

/** Why a follower does not switch. */
export type HoldReason =
  | UnknownReason
  | ConfirmationProblem
  /** A planned switch has begun; the next leader is awaited. */
  | 'releasing'
  /** Another replica holds the Lease. */
  | 'standby'
  /** The leader has no name in `targets`. */
  | 'member-not-allowed'
  /** The Service cannot be read, or is not of type ExternalName. */
  | 'service-unknown'
  /** The Service points to a name that is not in `targets`: somebody else decides. */
  | 'service-elsewhere'
  /** `switchTarget()` refused, as the old target still takes writes for instance. */
  | 'switch-refused'
  /** A step of the switch failed. */
  | 'switch-failed';

/** What keeps a follower from switching. */
export interface Hold {
  /** Why. */
  readonly reason: HoldReason;
  /** The reason in words. */
  readonly detail: string;
}

/** What the engine tells, in the words of a hold. */
export function describe(state: EngineState): string {
  if (state.state === 'leader') return `the engine names ${state.member}`;
  if (state.state === 'unknown') return `the engine does not know (${state.reason}): ${state.detail}`;
  return `${state.member ?? 'the leader'} steps down${state.to === undefined ? '' : ` for ${state.to}`}`;
}

/** What failed, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printable(isExternalNameError(error) ? `${text} (${error.code})` : text, 1_000);
}
