import { EventChannel } from '@externalname/core/events';
import type { UnknownReason } from './engine/engine.ts';
import type { HoldReason } from './follow/hold.ts';

/** Payload of {@link engineStateChanged}. */
export interface EngineStateEvent {
  /** The engine's name: `patroni demo`. */
  readonly engine: string;
  /** What it tells. */
  readonly state: 'leader' | 'releasing' | 'unknown';
  /** The member that leads, or that is about to stop leading. */
  readonly member?: string | undefined;
  /** The member that will lead, if the engine tells. */
  readonly to?: string | undefined;
  /** When the leader became it, RFC 3339, as the engine says. */
  readonly since?: string | undefined;
  /** The timeline that the engine names. It may lag. */
  readonly timeline?: number | undefined;
  /** System identifier of the leader's files, as the engine says. */
  readonly systemIdentifier?: string | undefined;
  /** Why there is no leader to follow. */
  readonly reason?: UnknownReason | undefined;
  /** The reason in words. */
  readonly detail?: string | undefined;
}

/** An engine tells something else than before: another leader, that the leader steps down, or that it does not know. */
export const engineStateChanged = new EventChannel<EngineStateEvent>('externalname:engine:state');

/** Payload of {@link followerHeld}. */
export interface FollowerHeldEvent {
  /** The engine's name. */
  readonly engine: string;
  /** The Service that is not switched. */
  readonly service: string;
  /** Why. */
  readonly reason: HoldReason;
  /** The reason in words, with what to do. */
  readonly detail: string;
  /** The member that the engine names, if it names one. */
  readonly member?: string;
}

/** A follower does not switch, and why. Published when the reason changes. */
export const followerHeld = new EventChannel<FollowerHeldEvent>('externalname:follower:held');

/** Payload of {@link followerSwitched}. */
export interface FollowerSwitchedEvent {
  /** The engine's name. */
  readonly engine: string;
  /** The Service's full name. */
  readonly service: string;
  /** Where it pointed before. */
  readonly from: string;
  /** Where it points now. */
  readonly to: string;
  /** The leader that the engine named. */
  readonly member: string;
  /** Its timeline, as the server itself says. */
  readonly timeline?: number;
  /** From the engine's word to the end of the switch, in milliseconds. */
  readonly elapsedMillis: number;
  /** Whether it was a dry run, which changes nothing. */
  readonly dryRun: boolean;
}

/** A follower switched the Service to the engine's leader, or would have. */
export const followerSwitched = new EventChannel<FollowerSwitchedEvent>('externalname:follower:switched');

/** Payload of {@link followerLease}. */
export interface FollowerLeaseEvent {
  /** Name of the Lease. */
  readonly lease: string;
  /** The replica that publishes this. */
  readonly identity: string;
  /** Whether it may switch now. */
  readonly held: boolean;
  /** Why it may not. */
  readonly detail?: string;
}

/** A replica of a follower got the Lease, or lost it. */
export const followerLease = new EventChannel<FollowerLeaseEvent>('externalname:follower:lease');
