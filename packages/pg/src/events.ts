import { EventChannel } from '@externalname/core/events';

/** A pool moved to another target. Channel `externalname:pg:switch`. */
export interface SwitchEvent {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** The host until now. */
  readonly from: string;
  /** The host from now on. */
  readonly to: string;
  /** How the pool learned of it: `dns`, `kubernetes`, `static`. */
  readonly source: string;
  /** The number of the epoch that begins. */
  readonly epoch: number;
  /** Idle connections that were closed at once. */
  readonly idle: number;
  /** Connections in use that drain. */
  readonly draining: number;
}

/** Nothing is left on earlier targets. Channel `externalname:pg:drained`. */
export interface DrainedEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The host that all connections lead to. */
  readonly to: string;
  /** Number of the epoch that stays. */
  readonly epoch: number;
  /** From the switch to the last connection closed, in milliseconds. */
  readonly durationMillis: number;
}

/** Addresses that connections led to have left the target's name. Channel `externalname:pg:addresses-left`. */
export interface AddressesLeftEvent {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** The name that has left them. */
  readonly target: string;
  /** The addresses that have left, as far as connections led there. */
  readonly addresses: readonly string[];
  /** Idle connections that were closed at once. */
  readonly idle: number;
  /** Connections in use, which are closed when they are given back, or drain. */
  readonly inUse: number;
}

/** A target is not followed, or not yet. Channel `externalname:pg:target-refused`. */
export interface TargetRefusedEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The target that is not followed. */
  readonly target: string;
  /** The target that the pool stays on. */
  readonly stays: string | undefined;
  /** Why it is not followed. */
  readonly error: unknown;
}

/** A connection was made or could not be made. Channel `externalname:pg:connect`. */
export interface ConnectEvent {
  /** The Service, or the host, as it was given. */
  readonly name: string;
  /** The host that the Service leads to. */
  readonly target: string;
  /** `address:port`; left out where no connection came about. */
  readonly address?: string;
  /** How long it took, in milliseconds. */
  readonly durationMillis: number;
  /** Why there is no connection, where there is none. */
  readonly error?: unknown;
}

/** Work that was not executed is retried: a query, a transaction, a LISTEN. Channel `externalname:pg:retry`. */
export interface RetryEvent {
  /** The Service, or the host, as it was given. */
  readonly name: string;
  /** Number of the attempt that failed, from 1. */
  readonly attempt: number;
  /** Why it is done again. */
  readonly error: unknown;
}

/**
 * A plain host is an ExternalName Service that leads out of the cluster, and the pool does not follow it. Channel
 * `externalname:pg:service-not-followed`.
 */
export interface ServiceNotFollowedEvent {
  /** The host that the pool was made for. */
  readonly name: string;
  /** Where the Service leads. */
  readonly target: string;
}

/** A pool moved to another target. See {@link SwitchEvent}. */
export const switched = new EventChannel<SwitchEvent>('externalname:pg:switch');
/** Nothing is left on earlier targets. See {@link DrainedEvent}. */
export const drained = new EventChannel<DrainedEvent>('externalname:pg:drained');
/** Addresses that connections led to have left the target's name. See {@link AddressesLeftEvent}. */
export const addressesLeft = new EventChannel<AddressesLeftEvent>('externalname:pg:addresses-left');
/** A target is not followed, or not yet. See {@link TargetRefusedEvent}. */
export const targetNotFollowed = new EventChannel<TargetRefusedEvent>('externalname:pg:target-refused');
/** A connection was made or could not be made. See {@link ConnectEvent}. */
export const connected = new EventChannel<ConnectEvent>('externalname:pg:connect');
/** Work that was not executed is done again. See {@link RetryEvent}. */
export const retried = new EventChannel<RetryEvent>('externalname:pg:retry');
/** A plain host is a Service, and its pool does not follow it. See {@link ServiceNotFollowedEvent}. */
export const serviceNotFollowed = new EventChannel<ServiceNotFollowedEvent>('externalname:pg:service-not-followed');
