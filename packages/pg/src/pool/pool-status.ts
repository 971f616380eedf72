import type { Clock, Target } from '@externalname/core';
import type { Connections } from '@externalname/core/internal';
import type { EndpointStatus, PauseStatus, ReplicaStatus, TokenReads } from '@externalname/core/targets';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import type { FailureKind } from '../failure-kind.ts';
import type { PoolSettings } from '../options.ts';
import type { PgPool } from './pg-pool.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { SharingStatus } from './sharing.ts';

/** What `pool.status()` returns. Contains no secrets. */
export interface PoolStatus {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /**
   * Where the pool points now; `undefined` before the first connection, and for a plain host. `stale` means that a switch would go
   * unnoticed at this moment: the source cannot confirm where the Service points (the API or DNS does not answer, or the Service is gone).
   */
  readonly target: Target | undefined;
  /** A target that the source names but the pool has not moved to. `stale` as in `target`. */
  readonly candidate: Target | undefined;
  /** Why the candidate, or the target that the Service points at now, is not followed. */
  readonly refusal: { readonly target: string; readonly error: unknown; readonly kind: FailureKind } | undefined;
  /** How long the pool has pointed at `target`, in milliseconds; `undefined` if there is none. */
  readonly targetMillis: number | undefined;
  /**
   * How long ago the source confirmed where the Service points, in milliseconds: by a good answer of DNS, or a sign of life of the
   * watch. `undefined` before the first confirmation, for a plain host, and for a source that does not say.
   */
  readonly confirmedMillisAgo: number | undefined;
  /** How often the pool has moved. */
  readonly epoch: number;
  /**
   * Whether nothing speaks against the current target: it served when it was last used, `servedMillisAgo`, or was not used yet. After
   * a failure, while no caller tries, the pool itself tries every five seconds (not for a plain host). `false` from `end()` on.
   */
  readonly serving: boolean;
  /** How long ago the current target was last heard from, in milliseconds; `undefined` if it never was. Long in an idle pool. */
  readonly servedMillisAgo: number | undefined;
  /** The maximum number of connections to the current target: the option `max`. */
  readonly max: number;
  /** How many connections there are, by the role of their server and by state. Combinations without a connection are left out. */
  readonly connections: readonly ConnectionCount[];
  /**
   * The addresses of the current target, with what each has and gets. Empty before the first connection, and without `balancing` (also
   * for `ordered`).
   */
  readonly addresses: readonly EndpointStatus[];
  /** Connections to the current target. */
  readonly total: number;
  /** Idle connections. */
  readonly idle: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
  /** Connections that are still in use and lead to earlier targets, or to addresses that have left the target's name. */
  readonly draining: number;
  /** How queries share connections, and what the pool has prepared on them; `undefined` without `pipelining` and `statementCache`. */
  readonly sharing: SharingStatus | undefined;
  /** Why and for how long callers are held; `undefined` while they are served. */
  readonly pause: PauseStatus | undefined;
  /** Of a reader: the standbys that it has checked, if their lag is limited. */
  readonly replicas: readonly ReplicaStatus[];
  /** How reads with a token were served. */
  readonly tokenReads: TokenReads;
  /** The status of `pool.reader`, if it was used. */
  readonly reader: PoolStatus | undefined;
  /** Sessions that are ready at each host that the Service may come to point at, by its name (the option `readySessions`). */
  readonly readySessions: Readonly<Record<string, number>>;
}

/** How many connections have servers of one role, and are in one state. */
export interface ConnectionCount {
  /**
   * As far as the server has said: `primary` takes writes, `standby` is in recovery, `read-only` is a primary whose sessions take no
   * writes (`default_transaction_read_only`), `unknown` has not said.
   */
  readonly role: 'primary' | 'standby' | 'read-only' | 'unknown';
  /** `idle`, `used`, `connecting`, or `draining` (in use, and never handed out again). */
  readonly state: 'idle' | 'used' | 'connecting' | 'draining';
  /** How many there are, at least 1. */
  readonly count: number;
}

/** What is known of a pool and its connections, without what its parts know of themselves. */
export function poolStatus(
  pool: PgPool,
  { settings, clock, factory, connections }: StatusParts,
  making: number,
): Omit<PoolStatus, 'waiting' | 'sharing' | 'pause' | 'replicas' | 'tokenReads' | 'reader'> {
  const { target, targetSince, confirmedMillisAgo, candidate, refusal, serving, servedAt } = factory;
  const now = clock.now();
  return {
    name: settings.name,
    target,
    candidate,
    refusal,
    epoch: connections.epoch.number,
    serving: serving && !pool.ending,
    servedMillisAgo: servedAt === undefined ? undefined : now - servedAt,
    targetMillis: targetSince === undefined ? undefined : now - targetSince,
    confirmedMillisAgo,
    max: pool.options.max,
    connections: countConnections(connections, making),
    addresses: factory.addresses,
    total: pool.totalCount,
    idle: connections.idleCount,
    draining: connections.drainingCount,
    readySessions: factory.readySessions,
  };
}

interface StatusParts {
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly factory: ConnectionFactory;
  readonly connections: Connections<PooledConnection>;
}

function countConnections(connections: Connections<PooledConnection>, connecting: number): readonly ConnectionCount[] {
  const counts = new Map<string, { role: ConnectionCount['role']; state: ConnectionCount['state']; count: number }>();
  const count = (role: ConnectionCount['role'], state: ConnectionCount['state'], more = 1) => {
    const known = counts.get(`${role} ${state}`);
    if (known === undefined) counts.set(`${role} ${state}`, { role, state, count: more });
    else known.count += more;
  };
  for (const connection of connections.open()) {
    if (connection.isOver) continue;
    const inUse = connections.isCurrent(connection) ? 'used' : 'draining';
    count(roleOf(connection), connection.state === 'idle' ? 'idle' : inUse);
  }
  if (connecting > 0) count('unknown', 'connecting', connecting);
  return [...counts.values()];
}

function roleOf({ roles }: PooledConnection): ConnectionCount['role'] {
  const { inHotStandby, defaultReadOnly } = roles.role;
  if (inHotStandby === undefined) return 'unknown';
  if (inHotStandby) return 'standby';
  return defaultReadOnly ? 'read-only' : 'primary';
}
