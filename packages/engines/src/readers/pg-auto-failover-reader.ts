import { abortable } from '@externalname/core/internal';
import type { PostgresClientLike } from '@externalname/kubernetes';
import { type EngineReader, type EngineState, type PushContext, unknown } from '../engine/engine.ts';
import { type Rows, Session } from './session.ts';

/** A client that can listen; `pg.Client` can. */
export interface ListeningClientLike extends Omit<PostgresClientLike, 'on'> {
  /** Reports an error of an idle connection, a notification, the end. */
  on(event: 'error' | 'notification' | 'end', listener: (about: Error) => void): unknown;
}

/** pg_auto_failover by the table of its monitor. Source: pg_auto_failover documentation, "Failover State Machine". */
export class PgAutoFailoverReader implements EngineReader {
  readonly name: string;
  readonly #monitor: () => ListeningClientLike;
  readonly #session: Session;
  readonly #query: string;
  readonly #staleMillis: number;

  constructor(monitor: () => ListeningClientLike, formation: string, group: number, staleMillis: number) {
    this.name = `pg_auto_failover ${formation}/${group}`;
    this.#monitor = monitor;
    this.#session = new Session(monitor as () => PostgresClientLike);
    this.#query = nodesOf(formation, group);
    this.#staleMillis = staleMillis;
  }

  async read({ signal }: { readonly signal: AbortSignal }): Promise<EngineState> {
    const nodes = (await this.#session.query(this.#query, signal)).map(nodeOf);
    if (nodes.length === 0)
      return unknown('doubt', `the monitor knows no node of ${this.name}: correct the formation or the group`);
    const [primary, other] = nodes.filter(({ goal, reported }) => writable.has(goal) && writable.has(reported));
    if (primary !== undefined && other !== undefined) {
      return unknown('two-leaders', `the monitor shows ${primary.name} and ${other.name} as primaries`);
    }
    if (primary === undefined) return withoutPrimary(nodes);
    if (primary.ageMillis > this.#staleMillis) {
      return unknown(
        'stale',
        `${primary.name} has not reported to the monitor for ${Math.round(primary.ageMillis / 1000)} s`,
      );
    }
    const { name: member, since, timeline, systemIdentifier } = primary;
    return { state: 'leader', member, since, timeline, systemIdentifier };
  }

  async push({ signal, changed, opened }: PushContext): Promise<void> {
    const client = this.#monitor();
    const broken = new Promise<never>((_, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('the monitor closed the connection')));
    });
    broken.catch(() => undefined);
    client.on('notification', changed);
    try {
      await abortable(client.connect(), signal);
      await abortable(client.query('listen state'), signal);
      opened();
      await abortable(broken, signal);
    } finally {
      client.end().catch(() => undefined);
    }
  }

  close(): void {
    this.#session.close();
  }
}

type Node = ReturnType<typeof nodeOf>;

function nodeOf(row: Rows[number]) {
  const system = row['system_identifier'];
  const timeline = Number(row['timeline']);
  return {
    name: String(row['name']),
    goal: String(row['goal']),
    reported: String(row['reported']),
    since: typeof row['since'] === 'string' ? row['since'] : undefined,
    timeline: Number.isInteger(timeline) && timeline > 0 ? timeline : undefined,
    systemIdentifier: typeof system === 'string' ? system : undefined,
    ageMillis: Number(row['age']) * 1000,
  };
}

function withoutPrimary(nodes: readonly Node[]): EngineState {
  const leaving = nodes.find(
    ({ goal, reported }) => handingOver.has(goal) && (writable.has(reported) || handingOver.has(reported)),
  );
  const next = nodes.find(({ goal }) => promoted.has(goal));
  if (leaving !== undefined) return { state: 'releasing', member: leaving.name, to: next?.name };
  const states = nodes.map(({ name, reported, goal }) => `${name}: ${reported} to ${goal}`).join('; ');
  if (next === undefined && nodes.some(({ goal }) => maintained.has(goal)))
    return unknown('paused', `a node is in maintenance (${states})`);
  return unknown('unlocked', `no node is the primary now (${states})`);
}

// Source: pg_auto_failover documentation, "Failover State Machine". A node in one of these takes writes.
const writable = new Set(['single', 'primary', 'wait_primary', 'join_primary', 'apply_settings']);
const handingOver = new Set(['draining', 'prepare_maintenance']);
const maintained = new Set(['maintenance', 'wait_maintenance', 'prepare_maintenance']);
const promoted = new Set([...writable, 'prepare_promotion', 'stop_replication']);

function nodesOf(formation: string, group: number): string {
  return `select nodename as name, goalstate::text as goal, reportedstate::text as reported, reportedtli as timeline,
  sysidentifier::text as system_identifier, extract(epoch from now() - reporttime)::float8 as age,
  to_char(statechangetime at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as since
  from pgautofailover.node where formationid = ${literal(formation)} and groupid = ${group} order by nodeid`;
}

/** With standard_conforming_strings or without. */
function literal(text: string): string {
  return ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
