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
  readonly addresses?: readonly {
    readonly address: string;
    readonly port: number;
    readonly share: number;
    /** Queries that it has answered, and that failed because of it, since the pool knows it. */
    readonly answered?: number | undefined;
    readonly failedRequests?: number | undefined;
  }[];
  /** Of a reader: the standbys, as it saw them last. */
  readonly replicas?: readonly {
    readonly address: string;
    readonly lagMillis: number;
    readonly lagBytes: number | undefined;
  }[];
  /** That of the pool that reads for it. */
  readonly reader?: PoolStatusLike | undefined;
}

/** What is read of the `status()` of a pool over several Services. */
export interface BalancedStatusLike {
  /** How the pool is called. */
  readonly name: string;
  /** Each Service, what its pool says, and the queries that it has answered, and that failed because of it. */
  readonly services: readonly {
    readonly name: string;
    readonly answered: number;
    readonly failedRequests: number;
    readonly pool: PoolStatusLike;
  }[];
}

/** What is measured: a `Pool` or `BalancedPool` of `@externalname/pg`, or whatever has such a `status()`. */
export interface PoolLike {
  /** Asked at each collection. */
  status(): PoolStatusLike | BalancedStatusLike;
}

/** A pool, or those of its Services. */
export function poolsOf(status: ReturnType<PoolLike['status']>): readonly PoolStatusLike[] {
  return 'services' in status ? status.services.map(({ pool }) => pool) : [status];
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

/** How something ended. */
export type Ended = Readonly<{ name: string; durationMillis: number; error?: unknown; kind?: string }>;
/** A call that is over. */
export type Call = Ended & Readonly<{ operation: string; attempts: number; retriedMillis?: number; target?: string }>;

/**
 * The channels of `@externalname/pg`, by name: this package sits beside that one and imports nothing of it. `test/monitoring` checks
 * on real servers that these are the payloads of pg.
 */
export const pgChannels = {
  switched: pg<{ from: string; to: string; source: string; decisionMillis: number }>('switch'),
  drained: pg<{ durationMillis: number }>('drained'),
  targetNotFollowed: pg<{ kind: string }>('target-refused'),
  connected: pg<Ended & { target: string; certificateExpiresAt?: Date }>('connect'),
  retried: pg<{ kind: string; outcome: string }>('retry'),
  operationEnded: pg<Call>('operation'),
  waited: pg<Ended>('wait'),
  serverProbed: pg<{ alive: boolean }>('probe'),
  stepTaken: pg<Step>('step'),
  resumed: pg<{ cause: string; why: string; durationMillis: number }>('resume'),
  addressEjected: pg<{ ejected: string | undefined }>('address-ejected'),
  serviceEjected: pg<{ ejected: string | undefined }>('service-ejected'),
  replicaChanged: pg<{ lagging: boolean }>('replica'),
  tokenAwaited: pg<{ server: string; durationMillis: number }>('token-wait'),
};

/** Channels that tell of every statement. What is read of an event depends on its name, target, operation, attempts and error alone, and its duration. */
export const statementChannels: ReadonlySet<object> = new Set([pgChannels.operationEnded, pgChannels.waited]);

/** The channels of `@externalname/engines`, by name, as those of pg. */
export const followerChannels = {
  switched: follower<{ elapsedMillis: number; dryRun: boolean }>('switched'),
  held: follower<{ reason: string }>('held'),
};

type Step = { event: string; millis?: number } & Partial<Record<'target' | 'address' | 'code' | 'message', string>>;

function pg<Payload extends object>(event: string) {
  return new EventChannel<Readonly<Payload & { name: string }>>(`externalname:pg:${event}`);
}

function follower<Payload extends object>(event: string) {
  return new EventChannel<Readonly<Payload & { engine: string; service: string }>>(`externalname:follower:${event}`);
}
