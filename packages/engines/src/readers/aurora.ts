import { type Dependencies, InvalidArgumentError } from '@externalname/core';
import {
  aFunction,
  aNumber,
  aText,
  checkOptions,
  listOf,
  oneOf,
  optional,
  ownOptions,
} from '@externalname/core/internal';
import type { PostgresClientLike } from '@externalname/kubernetes';
import { createEngine, engineShapes } from '../engine/create-engine.ts';
import {
  type EngineOptions,
  type EngineReader,
  type EngineState,
  type HaEngine,
  oneOfSeveral,
  unknown,
} from '../engine/engine.ts';
import { type Rows, Session } from './session.ts';

/** See {@link auroraEngine}. */
export interface AuroraEngineOptions extends EngineOptions {
  /** Endpoints of the instances, two or more. Not the cluster's endpoint, which is a name that moves, too. */
  instances: readonly string[];
  /** Makes a client for an endpoint, not connected yet. */
  client: (host: string) => PostgresClientLike;
  /**
   * `aurora`: Aurora PostgreSQL, whose members are the instance identifiers. `multi-az`: an RDS Multi-AZ DB cluster with the extension `rds_tools`, whose
   * members are the first labels of the endpoints. @defaultValue `aurora`
   */
  kind?: 'aurora' | 'multi-az' | undefined;
  /** For events and messages. @defaultValue the kind and the first endpoint */
  name?: string | undefined;
  /** How old the writer's entry may be. Milliseconds, 1000 or more. @defaultValue 30000 */
  staleMillis?: number | undefined;
}

/**
 * Follows Aurora PostgreSQL (`aurora_replica_status()`) or an RDS Multi-AZ DB cluster (`rds_tools.show_topology()`). All instances that answer must name
 * the same writer.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O
 *
 * @example
 * ```ts
 * import { Client } from 'pg';
 *
 * const engine = auroraEngine({
 *   instances: ['webscaler-1.example.com', 'webscaler-2.example.com'],
 *   client: (host) => new Client({ host, user: 'app', database: 'app', ssl: { ca }, connectionTimeoutMillis: 1000 }),
 * });
 * ```
 */
export function auroraEngine(given: AuroraEngineOptions, dependencies: Dependencies = {}): HaEngine {
  checkOptions(given, {
    ...engineShapes,
    instances: listOf(aText),
    client: aFunction,
    kind: optional(oneOf('aurora', 'multi-az')),
    name: optional(aText),
    staleMillis: optional(aNumber({ least: 1_000 })),
  });
  const {
    instances,
    client,
    kind = 'aurora',
    name,
    staleMillis = 30_000,
    pollMillis,
    requestTimeoutMillis,
  } = ownOptions(given);
  if (new Set(instances).size < 2) {
    throw new InvalidArgumentError(
      'instances',
      'must name the endpoints of two instances or more: one alone may be the one that fails',
    );
  }
  const reader = new AuroraReader(name ?? `${kind} ${instances[0]}`, instances, client, kind, staleMillis, {
    requestTimeoutMillis,
  });
  return createEngine(reader, { pollMillis, requestTimeoutMillis }, dependencies);
}

class AuroraReader implements EngineReader {
  readonly name: string;
  readonly #sessions: readonly Session[];
  readonly #query: string;
  readonly #staleMillis: number;
  readonly #options: EngineOptions;

  constructor(
    name: string,
    instances: readonly string[],
    client: (host: string) => PostgresClientLike,
    kind: string,
    staleMillis: number,
    options: EngineOptions,
  ) {
    this.name = name;
    this.#options = options;
    this.#sessions = instances.map((host) => new Session(() => client(host)));
    this.#query = kind === 'aurora' ? auroraWriter : multiAzWriter;
    this.#staleMillis = staleMillis;
  }

  async read({ signal }: { readonly signal: AbortSignal }): Promise<EngineState> {
    const deadline = oneOfSeveral(signal, this.#options);
    const asked = await Promise.allSettled(this.#sessions.map((session) => session.query(this.#query, deadline)));
    signal.throwIfAborted();
    const answers = asked.flatMap((answer): Rows[] => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (answers.length === 0) throw asked.find((answer) => answer.status === 'rejected')?.reason;
    const writers = answers.map((rows) => rows.map(({ member }) => String(member)).sort());
    const named = [...new Set(writers.flat())];
    if (writers.some((each) => each.length > 1))
      return unknown('two-leaders', `an instance names two writers: ${named.join(', ')}`);
    if (named.length > 1) return unknown('doubt', `the instances do not agree on the writer: ${named.join(', ')}`);
    const [member] = named;
    if (member === undefined) return unknown('unlocked', 'no instance names a writer');
    const age = Math.min(...answers.flat().map((row) => Number(row['age'] ?? 0) * 1000));
    if (age > this.#staleMillis)
      return unknown('stale', `what is known of the writer ${member} is ${Math.round(age / 1000)} s old`);
    return { state: 'leader', member };
  }

  close(): void {
    for (const session of this.#sessions) session.close();
  }
}

// Source: Aurora PostgreSQL reference, aurora_replica_status: the writer's session_id is this text.
const auroraWriter = `select server_id as member, extract(epoch from now() - last_update_timestamp)::float8 as age
  from aurora_replica_status() where session_id = 'MASTER_SESSION_ID'`;

// Source: Amazon RDS User Guide, Multi-AZ DB clusters, rds_tools: the source of an instance is the writer; the writer's is itself.
const multiAzWriter = `select split_part(t.endpoint, '.', 1) as member, 0 as age
  from rds_tools.show_topology('externalname') as t
  where t.id = (select multi_az_db_cluster_source_dbi_resource_id from rds_tools.multi_az_db_cluster_source_dbi_resource_id())`;
