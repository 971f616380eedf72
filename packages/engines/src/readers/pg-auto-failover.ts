import type { Dependencies } from '@externalname/core';
import { aFunction, aNumber, aText, checkOptions, optional, ownOptions } from '@externalname/core/internal';
import { createEngine, engineShapes } from '../engine/create-engine.ts';
import type { EngineOptions, HaEngine } from '../engine/engine.ts';
import { type ListeningClientLike, PgAutoFailoverReader } from './pg-auto-failover-reader.ts';

/** See {@link pgAutoFailoverEngine}. */
export interface PgAutoFailoverEngineOptions extends EngineOptions {
  /** Makes a client for the monitor's database, not connected yet. */
  monitor: () => ListeningClientLike;
  /** The formation. @defaultValue `default` */
  formation?: string | undefined;
  /** The group in it: more than one only with Citus. @defaultValue 0 */
  group?: number | undefined;
  /** How old the primary's last report to the monitor may be. Milliseconds, 1000 or more. @defaultValue 20000 */
  staleMillis?: number | undefined;
}

/**
 * Follows pg_auto_failover by the table of its monitor, which pushes each change (`LISTEN state`). Its account needs to read `pgautofailover.node`.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O
 *
 * @example
 * ```ts
 * import { Client } from 'pg';
 *
 * const engine = pgAutoFailoverEngine({
 *   monitor: () => new Client({ host: 'monitor.example.com', user: 'follower', database: 'pg_auto_failover', ssl: { ca } }),
 * });
 * ```
 */
export function pgAutoFailoverEngine(given: PgAutoFailoverEngineOptions, dependencies: Dependencies = {}): HaEngine {
  checkOptions(given, {
    ...engineShapes,
    monitor: aFunction,
    formation: optional(aText),
    group: optional(aNumber({ least: 0, whole: true })),
    staleMillis: optional(aNumber({ least: 1_000 })),
  });
  const {
    monitor,
    formation = 'default',
    group = 0,
    staleMillis = 20_000,
    pollMillis,
    requestTimeoutMillis,
  } = ownOptions(given);
  const reader = new PgAutoFailoverReader(monitor, formation, group, staleMillis);
  return createEngine(reader, { pollMillis, requestTimeoutMillis }, dependencies);
}
