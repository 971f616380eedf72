import type { Target } from '@externalname/core';

/** What `pool.status()` tells. Holds no secret. */
export interface PoolStatus {
  /** The Service or host that the pool was made for. */
  readonly name: string;
  /**
   * Where it points now; `undefined` before the first connection, and for a plain host. `stale` says whether a switch would go
   * unseen at this moment: the source cannot confirm where the Service points (the API or DNS does not answer, or the Service is gone).
   */
  readonly target: Target | undefined;
  /** A target that the source names and the pool has not moved to. `stale` as in `target`. */
  readonly candidate: Target | undefined;
  /** Why the candidate, or the target that the Service points at now, is not followed. */
  readonly refusal: { readonly target: string; readonly error: unknown } | undefined;
  /** How often the pool has moved. */
  readonly epoch: number;
  /**
   * Whether nothing speaks against the current target: it served when it was last used, `servedMillisAgo`, or was not used yet. After
   * a failure the pool looks for itself, every five seconds, if no caller does (for a plain host it does not). `false` from `end()` on.
   */
  readonly serving: boolean;
  /** How long ago the current target was last heard from, in milliseconds; `undefined` if it never was. Long in an idle pool. */
  readonly servedMillisAgo: number | undefined;
  /** Connections to the current target. */
  readonly total: number;
  /** Connections that nothing uses. */
  readonly idle: number;
  /** Callers without a connection. */
  readonly waiting: number;
  /** Connections to earlier targets, and to addresses that the target's name has left, that are still in use. */
  readonly draining: number;
  /** Sessions that wait at each host that the Service may come to point at, by its name (the option `readySessions`). */
  readonly readySessions: Readonly<Record<string, number>>;
}
