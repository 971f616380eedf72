import type { ConfirmationProblem } from '../confirm/confirmation.ts';
import type { UnknownReason } from '../engine/engine.ts';

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
