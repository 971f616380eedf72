import { EventChannel } from '@externalname/core/events';

/** What is read of a pool's `status()`. */
export interface PoolStatusLike {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /** Where it points. */
  readonly target: { readonly externalName: string; readonly source: string; readonly stale: boolean } | undefined;
  /** A target that the source names and the pool has not moved to. */
  readonly candidate: { readonly externalName: string } | undefined;
  /** Why a target is not followed. */
  readonly refusal: { readonly target: string; readonly kind: string } | undefined;
  /** Whether nothing speaks against the current target. */
  readonly serving: boolean;
  /** How long ago its server was heard from, in milliseconds. */
  readonly servedMillisAgo: number | undefined;
  /** How long it has pointed there, in milliseconds. */
  readonly targetMillis: number | undefined;
  /** How old the word of the source is, in milliseconds. */
  readonly confirmedMillisAgo: number | undefined;
  /** The most connections to the current target. */
  readonly max: number;
  /** Callers without a connection. */
  readonly waiting: number;
  /** Connections by role and state. */
  readonly connections: readonly { readonly role: string; readonly state: string; readonly count: number }[];
  /** Sessions that wait at each host. */
  readonly readySessions: Readonly<Record<string, number>>;
  /** Why callers are held. */
  readonly pause?: { readonly cause: string } | undefined;
  /** What each address of the target gets, if the pool balances. */
  readonly addresses?: readonly { readonly address: string; readonly port: number; readonly share: number }[];
  /** Of a reader: the standbys, as it saw them last. */
  readonly replicas?: readonly {
    readonly address: string;
    readonly lagMillis: number;
    readonly lagBytes: number | undefined;
  }[];
  /** That of the pool that reads for it. */
  readonly reader?: PoolStatusLike | undefined;
}

/** What is measured: a `Pool` of `@externalname/pg`, or whatever has such a `status()`. */
export interface PoolLike {
  /** Asked at each collection. */
  status(): PoolStatusLike;
}

/** What is read of a follower's `status()`. */
export interface FollowerStatusLike {
  /** The Service that it follows for. */
  readonly service: string;
  /** The engine's name. */
  readonly engineName: string;
  /** How old the engine's last answer is, in milliseconds. */
  readonly engineHeardMillisAgo: number | undefined;
  /** What the engine tells. */
  readonly engine: { readonly state: string; readonly member?: string | undefined } | undefined;
  /** Whether this replica may switch. */
  readonly holdsLease: boolean;
  /** Whether the Service points to the leader. */
  readonly settled: boolean;
  /** Why it does not switch. */
  readonly hold: { readonly reason: string } | undefined;
}

/** What is measured: a follower of `@externalname/engines`, or whatever has such a `status()`. */
export interface FollowerLike {
  /** Asked at each collection. */
  status(): FollowerStatusLike;
}

interface OfPool {
  readonly name: string;
}

export interface Ended extends OfPool {
  readonly durationMillis: number;
  readonly error?: unknown;
  readonly kind?: string;
}

export interface OperationPayload extends Ended {
  readonly operation: string;
  readonly attempts: number;
  readonly retriedMillis?: number;
  readonly target?: string;
}

export interface SwitchPayload extends OfPool {
  readonly from: string;
  readonly to: string;
  readonly source: string;
  readonly decisionMillis: number;
}

export interface StepPayload extends OfPool {
  readonly event: string;
  readonly target?: string;
  readonly address?: string;
  readonly millis?: number;
  readonly code?: string;
  readonly message?: string;
}

type ConnectPayload = Ended & { readonly target: string; readonly certificateExpiresAt?: Date };

/**
 * The channels of `@externalname/pg`, by name: this package sits beside that one and imports nothing of it. `test/monitoring` checks
 * on real servers that these are the payloads of pg.
 */
export const pgChannels = {
  switched: new EventChannel<SwitchPayload>('externalname:pg:switch'),
  drained: new EventChannel<Pick<Ended, 'name' | 'durationMillis'>>('externalname:pg:drained'),
  targetNotFollowed: new EventChannel<OfPool & { readonly kind: string }>('externalname:pg:target-refused'),
  connected: new EventChannel<ConnectPayload>('externalname:pg:connect'),
  retried: new EventChannel<OfPool & { readonly kind: string; readonly outcome: string }>('externalname:pg:retry'),
  operationEnded: new EventChannel<OperationPayload>('externalname:pg:operation'),
  waited: new EventChannel<Ended>('externalname:pg:wait'),
  serverProbed: new EventChannel<OfPool & { readonly alive: boolean }>('externalname:pg:probe'),
  stepTaken: new EventChannel<StepPayload>('externalname:pg:step'),
  resumed: new EventChannel<OfPool & { readonly cause: string; readonly why: string; readonly durationMillis: number }>(
    'externalname:pg:resume',
  ),
  addressEjected: new EventChannel<OfPool & { readonly ejected: string | undefined }>(
    'externalname:pg:address-ejected',
  ),
  serviceEjected: new EventChannel<OfPool & { readonly ejected: string | undefined }>(
    'externalname:pg:service-ejected',
  ),
  replicaChanged: new EventChannel<OfPool & { readonly lagging: boolean }>('externalname:pg:replica'),
  tokenAwaited: new EventChannel<OfPool & { readonly server: string; readonly durationMillis: number }>(
    'externalname:pg:token-wait',
  ),
};

interface OfFollower {
  readonly engine: string;
  readonly service: string;
}

/** The channels of `@externalname/engines`, by name, as those of pg. */
export const followerChannels = {
  switched: new EventChannel<OfFollower & { readonly elapsedMillis: number; readonly dryRun: boolean }>(
    'externalname:follower:switched',
  ),
  held: new EventChannel<OfFollower & { readonly reason: string }>('externalname:follower:held'),
};
