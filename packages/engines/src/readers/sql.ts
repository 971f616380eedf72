import { type Dependencies, InvalidArgumentError } from '@externalname/core';
import { aFunction, aText, checkOptions, optional, ownOptions, recordOf } from '@externalname/core/internal';
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
import { Session } from './session.ts';

/** See {@link sqlEngine}. */
export interface SqlEngineOptions extends EngineOptions {
  /** The candidates: the host of each, by the name that it has among the members. */
  candidates: Readonly<Record<string, string>>;
  /** Makes a client for a host, not connected yet. Give it TLS, credentials and a `connectionTimeoutMillis` of its own. */
  client: (host: string) => PostgresClientLike;
  /** For events and messages. @defaultValue `sql` and the candidates */
  name?: string | undefined;
}

/**
 * Asks each candidate who it is, for repmgr and for pairs that people or scripts promote. The leader is the only one that takes writes. If two do, or
 * none, there is no leader: this engine never chooses.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O
 *
 * @example
 * ```ts
 * import { Client } from 'pg';
 *
 * const engine = sqlEngine({
 *   candidates: { primary: 'primary-db.example.com', secondary: 'secondary-db.example.com' },
 *   client: (host) => new Client({ host, user: 'app', database: 'app', ssl: { ca }, connectionTimeoutMillis: 1000 }),
 * });
 * ```
 */
export function sqlEngine(given: SqlEngineOptions, dependencies: Dependencies = {}): HaEngine {
  checkOptions(given, { ...engineShapes, candidates: recordOf(aText), client: aFunction, name: optional(aText) });
  const { candidates, client, name, pollMillis, requestTimeoutMillis } = ownOptions(given);
  const members = Object.keys(candidates);
  if (members.length < 2)
    throw new InvalidArgumentError('candidates', 'must name two servers or more: with one, there is nothing to follow');
  const reader = new SqlReader(name ?? `sql ${members.join(', ')}`, new Map(Object.entries(candidates)), client, {
    requestTimeoutMillis,
  });
  return createEngine(reader, { pollMillis, requestTimeoutMillis }, dependencies);
}

class SqlReader implements EngineReader {
  readonly name: string;
  readonly #sessions: ReadonlyMap<string, Session>;
  readonly #options: EngineOptions;

  constructor(
    name: string,
    candidates: ReadonlyMap<string, string>,
    client: SqlEngineOptions['client'],
    options: EngineOptions,
  ) {
    this.name = name;
    this.#options = options;
    this.#sessions = new Map([...candidates].map(([member, host]) => [member, new Session(() => client(host))]));
  }

  async read({ signal }: { readonly signal: AbortSignal }): Promise<EngineState> {
    const deadline = oneOfSeveral(signal, this.#options);
    const asked = await Promise.allSettled(
      [...this.#sessions].map(async ([member, session]) => ({
        member,
        row: (await session.query(whoAreYou, deadline))[0] ?? {},
      })),
    );
    signal.throwIfAborted();
    const answers = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (answers.length === 0) throw asked.find((answer) => answer.status === 'rejected')?.reason;
    const [leader, other] = answers.filter(({ row }) => row['takes_writes'] === true);
    if (leader !== undefined && other !== undefined) {
      return unknown('two-leaders', `${leader.member} and ${other.member} both take writes: stop one of them`);
    }
    if (leader === undefined) {
      const silent = this.#sessions.size - answers.length;
      return unknown(
        'unlocked',
        `none of the ${answers.length} that answer takes writes${silent === 0 ? '' : `; ${silent} gave no answer`}`,
      );
    }
    const { row, member } = leader;
    const timeline = Number(row['timeline']);
    const system = row['system_identifier'];
    return {
      state: 'leader',
      member,
      timeline: Number.isInteger(timeline) && timeline > 0 ? timeline : undefined,
      systemIdentifier: typeof system === 'string' ? system : undefined,
    };
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
  }
}

// The name of the log's current file begins with the timeline. Source: PostgreSQL documentation, "System Administration Functions".
const whoAreYou = `select not pg_is_in_recovery() and current_setting('default_transaction_read_only') = 'off' as takes_writes,
  case when pg_is_in_recovery() then null else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
  (select system_identifier::text from pg_control_system()) as system_identifier`;
