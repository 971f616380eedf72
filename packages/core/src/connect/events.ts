import { EventChannel } from '../events/index.ts';

/** Connections through a Service go to another target from now on. Channel `externalname:connect:switch`. */
export interface ServiceSwitchEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The previous host. */
  readonly from: string;
  /** The new host. */
  readonly to: string;
  /** The kind of source that reported it: `dns`, `kubernetes`, `static`. */
  readonly source: string;
}

/** A target is not followed, or not yet. Channel `externalname:connect:target-refused`. */
export interface TargetNotFollowedEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The target that is not followed. */
  readonly target: string;
  /** The target that connections go to in the meantime. */
  readonly stays: string | undefined;
  /** Why it is not followed. */
  readonly error: unknown;
}

/** Publishes each switch of sockets, dispatchers and agents that connect through a Service. PostgreSQL pools have their own channel. */
export const serviceSwitched = new EventChannel<ServiceSwitchEvent>('externalname:connect:switch');

/** Publishes each target that is not followed, or not yet. */
export const targetNotFollowed = new EventChannel<TargetNotFollowedEvent>('externalname:connect:target-refused');
