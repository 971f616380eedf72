import { EventChannel } from '../events/index.ts';

/** What connects through a Service goes to another target from now on. Channel `externalname:connect:switch`. */
export interface ServiceSwitchEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The host until now. */
  readonly from: string;
  /** The host from now on. */
  readonly to: string;
  /** How it was learned: `dns`, `kubernetes`, `static`. */
  readonly source: string;
}

/** A target is not followed, or not yet. Channel `externalname:connect:target-refused`. */
export interface TargetNotFollowedEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The target that is not followed. */
  readonly target: string;
  /** The target that connections lead to meanwhile. */
  readonly stays: string | undefined;
  /** Why it is not followed. */
  readonly error: unknown;
}

/** Told of each switch of what connects through a Service: sockets, dispatchers, agents. Pools of PostgreSQL have a channel of their own. */
export const serviceSwitched = new EventChannel<ServiceSwitchEvent>('externalname:connect:switch');

/** Told if a target is not followed, or not yet. */
export const targetNotFollowed = new EventChannel<TargetNotFollowedEvent>('externalname:connect:target-refused');
