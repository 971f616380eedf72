import type { Outcome } from '@externalname/core';
import { EventChannel } from '@externalname/core/events';
import type { FailureKind } from './failure-kind.ts';

/** A pool moved to another target. Channel `externalname:pg:switch`. */
export interface SwitchEvent {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** The previous host. */
  readonly from: string;
  /** The new host. */
  readonly to: string;
  /** How the pool learned of the switch: `dns`, `kubernetes`, `static`. */
  readonly source: string;
  /** The number of the epoch that begins. */
  readonly epoch: number;
  /** Idle connections that were closed at once. */
  readonly idle: number;
  /** Busy connections that drain. */
  readonly draining: number;
  /** From the moment when the source named the target to the move, in milliseconds. */
  readonly decisionMillis: number;
}

/** No connection to an earlier target is left. Channel `externalname:pg:drained`. */
export interface DrainedEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** The host that all connections lead to. */
  readonly to: string;
  /** The number of the current epoch. */
  readonly epoch: number;
  /** From the switch until the last connection was closed, in milliseconds. */
  readonly durationMillis: number;
}

/** Connections led to addresses that have left the target's name. Channel `externalname:pg:addresses-left`. */
export interface AddressesLeftEvent {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** The name that the addresses have left. */
  readonly target: string;
  /** The addresses that have left, as far as connections led there. */
  readonly addresses: readonly string[];
  /** Idle connections that were closed at once. */
  readonly idle: number;
  /** Busy connections, which are closed when they are released, or drain. */
  readonly inUse: number;
}

/** An address of a balanced pool gets no work any more, or gets it again. Channel `externalname:pg:address-ejected`. */
export interface AddressEjectedEvent {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** The name that has the address. */
  readonly target: string;
  /** `address:port` */
  readonly address: string;
  /** Why it gets no work: it could not be used, its queries failed, or it was slow. `undefined` if it gets work again. */
  readonly ejected: 'unreachable' | 'errors' | 'latency' | undefined;
  /** For how long at most, in milliseconds; `undefined` for `unreachable`, which ends when a connection succeeds. */
  readonly forMillis: number | undefined;
}

/** A Service of a balanced pool gets no work any more, or gets it again. Channel `externalname:pg:service-ejected`. */
export interface ServiceEjectedEvent {
  /** The balanced pool, as it is called. */
  readonly name: string;
  /** The Service, as it is called in the pool. */
  readonly service: string;
  /** Why it gets no work: it could not be used, its queries failed, or it was slow. `undefined` if it gets work again. */
  readonly ejected: 'unreachable' | 'errors' | 'latency' | undefined;
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
  /** What kind of failure that is. */
  readonly kind: FailureKind;
}

/** A connection was made or could not be made. Channel `externalname:pg:connect`. */
export interface ConnectEvent {
  /** The Service, or the host, as it was given. */
  readonly name: string;
  /** The host that the Service leads to. */
  readonly target: string;
  /** `address:port`; left out if there is no connection. */
  readonly address?: string;
  /** How long it took, in milliseconds. */
  readonly durationMillis: number;
  /** Why there is no connection, if there is none. */
  readonly error?: unknown;
  /** What kind of failure that is. */
  readonly kind?: FailureKind;
  /** When the certificate of the server ends; left out without TLS. */
  readonly certificateExpiresAt?: Date;
}

/** Work that did not run is retried: a query, a transaction, a LISTEN. Channel `externalname:pg:retry`. */
export interface RetryEvent {
  /** The Service, or the host, as it was given. */
  readonly name: string;
  /** The number of the attempt that failed, from 1. */
  readonly attempt: number;
  /** Why it is retried. */
  readonly error: unknown;
  /** What kind of failure that is. */
  readonly kind: FailureKind;
  /** What is known about the attempt that failed. */
  readonly outcome: Outcome;
}

/** A call of `pool.query()` or `pool.transaction()` is over. Channel `externalname:pg:operation`. */
export interface OperationEvent {
  /** The Service, or the host, as it was given. */
  readonly name: string;
  /** Which call it was. */
  readonly operation: 'query' | 'transaction';
  /** From the call to its answer, in milliseconds, including waits for a connection and retries. */
  readonly durationMillis: number;
  /** How often it was tried, from 1. */
  readonly attempts: number;
  /** From the end of the first attempt to the end of the last, in milliseconds; left out if there was only one. */
  readonly retriedMillis?: number;
  /** The target of the pool at the end. */
  readonly target?: string;
  /** Why it failed; left out if it succeeded. */
  readonly error?: unknown;
  /** What kind of failure that is. */
  readonly kind?: FailureKind;
}

/** A caller that had to wait for a connection has got one, or gave up. Channel `externalname:pg:wait`. */
export interface WaitEvent {
  /** The Service, or the host, as it was given. */
  readonly name: string;
  /** How long the caller waited, in milliseconds, including the time to open a connection; 0 if `maxWaiting` refused the call. */
  readonly durationMillis: number;
  /** Why there was no connection; left out if there was one. */
  readonly error?: unknown;
  /** What kind of failure that is; `deadline` if the time was up. */
  readonly kind?: FailureKind;
}

/** Callers are held from now on. Channel `externalname:pg:pause`. */
export interface PauseEvent {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** Why: `pool.pause()`, or a switch that the source of the target has announced. */
  readonly cause: 'application' | 'planned-switch';
}

/** Callers are not held any more for that cause. Channel `externalname:pg:resume`. */
export interface ResumeEvent extends PauseEvent {
  /**
   * `resumed`: by `pool.resume()`; `moved`: the pool has moved to another target; `given-up`: the source took the plan back; `expired`:
   * after `plannedHoldMillis`; `failed`: work in progress did not finish in time; `ended`: by `pool.end()`.
   */
  readonly why: 'resumed' | 'moved' | 'given-up' | 'expired' | 'failed' | 'ended';
  /** Since callers were first held, in milliseconds. */
  readonly durationMillis: number;
  /** Callers that were waiting for a connection. */
  readonly waiting: number;
}

/** A standby lags more than a reader allows, or does not any more. Channel `externalname:pg:replica`. */
export interface ReplicaEvent {
  /** The Service or host that the reader was made for. */
  readonly name: string;
  /** The name that has the address. */
  readonly target: string;
  /** `address:port` */
  readonly address: string;
  /** Whether it gets no reads from now on. */
  readonly lagging: boolean;
  /** How many bytes of the primary's write-ahead log it has not replayed; `undefined` if the primary has not said where it is. */
  readonly lagBytes: number | undefined;
  /** How old its data is at least, in milliseconds. */
  readonly lagMillis: number;
}

/** A read with a token had to wait for a server that has replayed it. Channel `externalname:pg:token-wait`. */
export interface TokenWaitEvent {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** Which server has it: one of the pool itself (`standby`), or the primary that a reader falls back to. */
  readonly server: 'standby' | 'primary';
  /** How long that took, in milliseconds. */
  readonly durationMillis: number;
}

/** A server that went silent was probed. Channel `externalname:pg:probe`. */
export interface ProbeEvent {
  /** The Service, as it was given. */
  readonly name: string;
  /** `address:port` */
  readonly address: string;
  /** Whether it answered. */
  readonly alive: boolean;
  /** How long that took, in milliseconds. */
  readonly durationMillis: number;
}

/**
 * A plain host is an ExternalName Service that leads out of the cluster, but the pool does not follow it. Channel
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
/** No connection to an earlier target is left. See {@link DrainedEvent}. */
export const drained = new EventChannel<DrainedEvent>('externalname:pg:drained');
/** Connections led to addresses that have left the target's name. See {@link AddressesLeftEvent}. */
export const addressesLeft = new EventChannel<AddressesLeftEvent>('externalname:pg:addresses-left');
/** An address of a balanced pool gets no work any more, or gets it again. See {@link AddressEjectedEvent}. */
export const addressEjected = new EventChannel<AddressEjectedEvent>('externalname:pg:address-ejected');
/** A Service of a balanced pool gets no work any more, or gets it again. See {@link ServiceEjectedEvent}. */
export const serviceEjected = new EventChannel<ServiceEjectedEvent>('externalname:pg:service-ejected');
/** A target is not followed, or not yet. See {@link TargetRefusedEvent}. */
export const targetNotFollowed = new EventChannel<TargetRefusedEvent>('externalname:pg:target-refused');
/** A connection was made or could not be made. See {@link ConnectEvent}. */
export const connected = new EventChannel<ConnectEvent>('externalname:pg:connect');
/** A call is over. See {@link OperationEvent}. */
export const operationEnded = new EventChannel<OperationEvent>('externalname:pg:operation');
/** A caller has got a connection, or gave up. See {@link WaitEvent}. */
export const waited = new EventChannel<WaitEvent>('externalname:pg:wait');
/** Callers are held. See {@link PauseEvent}. */
export const paused = new EventChannel<PauseEvent>('externalname:pg:pause');
/** Callers are served again. See {@link ResumeEvent}. */
export const resumed = new EventChannel<ResumeEvent>('externalname:pg:resume');
/** A standby lags too much, or does not any more. See {@link ReplicaEvent}. */
export const replicaChanged = new EventChannel<ReplicaEvent>('externalname:pg:replica');
/** A read with a token had to wait. See {@link TokenWaitEvent}. */
export const tokenAwaited = new EventChannel<TokenWaitEvent>('externalname:pg:token-wait');
/** A silent server was probed. See {@link ProbeEvent}. */
export const serverProbed = new EventChannel<ProbeEvent>('externalname:pg:probe');
/** Work that did not run is retried. See {@link RetryEvent}. */
export const retried = new EventChannel<RetryEvent>('externalname:pg:retry');
/** A plain host is a Service, but its pool does not follow it. See {@link ServiceNotFollowedEvent}. */
export const serviceNotFollowed = new EventChannel<ServiceNotFollowedEvent>('externalname:pg:service-not-followed');
