import { InvalidArgumentError } from '@externalname/core';
import type * as pg from 'pg';
import { classifyFailure } from '../failures/classify.ts';

/**
 * What is recorded about a transaction before its COMMIT is sent, so that its outcome can be determined if no
 * answer comes.
 */
export interface CommitEvidence {
  /** The transaction's number; `null` on a standby, where nothing can be written, `undefined` if it was not asked for. */
  readonly transactionId: string | null | undefined;
  /**
   * Whether anything had been written before COMMIT, or a cursor WITH HOLD was open, which COMMIT runs to its end. If not, COMMIT
   * itself can only send what NOTIFY had queued, to the sessions of that server.
   */
  readonly wrote: boolean;
  /** The server process that ran it. */
  readonly processId: number | undefined;
  readonly history: ServerHistory;
  /** The row that the transaction wrote to the marker table. */
  readonly marker: string | undefined;
}

/**
 * The history of transactions of a server: transaction numbers have a meaning only within one.
 * A promoted standby continues counting where its copy ended, and so does a server that lost its last records in a crash.
 */
export interface ServerHistory {
  /** Made by initdb; a physical copy has the same one. */
  readonly system: string | undefined;
  /** Eight hexadecimal digits; a promotion begins the next timeline. `undefined` on a standby. */
  readonly timeline: string | undefined;
  /** When the server's statistics began: they are reset by each crash recovery. */
  readonly statisticsSince: string | undefined;
}

/** What a server knows about a transaction. `future` is a number that it has not reached yet. */
export type RecordedStatus = 'committed' | 'aborted' | 'in progress' | 'future' | 'forgotten';

/** What the server that answers now says. */
export interface CommitAnswer {
  readonly history: ServerHistory;
  /** Asked only on the same timeline. */
  readonly status: RecordedStatus | undefined;
  /** Whether the marker's row is there; `undefined` without a marker. */
  readonly marked: boolean | undefined;
}

export type CommitVerdict = 'committed' | 'not-executed' | 'in-progress' | 'unprovable';

/**
 * Determines the outcome of a COMMIT that was never answered.
 *
 * | the server that answers now | proof |
 * | --- | --- |
 * | the same, running since | its own status of the transaction |
 * | the same, recovered from a crash since | "committed" may refer to another one, because numbers that the crash lost are given again: the marker decides. Anything else: it is lost |
 * | a promoted copy | only the marker: if it is there, the transaction was committed; if not, it never will be |
 * | any other, or a standby | a marker that is there; a missing one may still arrive |
 */
export function judgeCommit(before: CommitEvidence, now: CommitAnswer): CommitVerdict {
  if (now.marked === true) return 'committed';
  const relation = relate(before.history, now.history);
  if (relation === 'same run') {
    switch (now.status) {
      case 'committed':
        return 'committed';
      case 'aborted':
        return 'not-executed';
      case 'in progress':
        return 'in-progress';
      default:
        return 'unprovable';
    }
  }
  if (relation === 'recovered') {
    if (now.status === undefined || now.status === 'forgotten') {
      return now.marked === false ? 'not-executed' : 'unprovable';
    }
    // Its process may still be there: the statistics were reset by hand, and there was no crash.
    if (now.status === 'in progress') return 'in-progress';
    if (now.status !== 'committed') return 'not-executed';
  }
  // The sessions that were to be notified there are not connected here.
  if (!before.wrote) return 'not-executed';
  if (relation === 'other') return 'unprovable';
  return now.marked === false ? 'not-executed' : 'unprovable';
}

/** How the server's present history relates to the former one. */
export function relate(
  before: ServerHistory,
  now: ServerHistory,
): 'same run' | 'recovered' | 'promoted copy' | 'other' {
  if (before.system === undefined || before.system !== now.system) return 'other';
  if (before.timeline === undefined || now.timeline === undefined) return 'other';
  if (now.timeline > before.timeline) return 'promoted copy';
  if (now.timeline < before.timeline) return 'other';
  const sameRun = before.statisticsSince !== undefined && before.statisticsSince === now.statisticsSince;
  return sameRun ? 'same run' : 'recovered';
}

/** What is asked and written before COMMIT. */
export interface EvidenceWanted {
  /** Whether to ask the server for its identity and the transaction's number. */
  readonly proof: boolean;
  readonly marker: { readonly table: MarkerTable; readonly id: string } | undefined;
}

/** A marker table, its name quoted and ready for SQL. */
export type MarkerTable = string & { readonly markerTable: unique symbol };

/**
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function markerTable(name: unknown): MarkerTable {
  const written = /^[\p{L}_][\p{L}\p{N}_$]*(\.[\p{L}_][\p{L}\p{N}_$]*)?$/u;
  if (typeof name !== 'string' || !written.test(name)) {
    throw new InvalidArgumentError(
      'commitMarker.table',
      `must be the name of a table (table or schema.table, spelled as in the catalog), got ${JSON.stringify(name)}`,
    );
  }
  const quoted = name.split('.').map((part) => `"${part}"`);
  return quoted.join('.') as MarkerTable;
}

/**
 * Gathers the evidence, in one round trip. It runs inside the transaction, as its last statement before COMMIT. A marker is
 * written only if the transaction itself has written something.
 *
 * `undefined` if nothing is wanted, or the server (not PostgreSQL, or before 13) cannot answer.
 */
export async function gatherEvidence(
  client: pg.ClientBase,
  wanted: EvidenceWanted,
): Promise<CommitEvidence | undefined> {
  const { proof, marker } = wanted;
  if (!proof && marker === undefined) return undefined;
  if (marker !== undefined) {
    const result = await client.query<EvidenceRow>(evidenceQuery(wanted));
    return evidenceOf(result.rows[0], marker.id);
  }
  try {
    // The savepoint keeps the transaction alive if the server does not know the functions.
    const results = (await client.query(`SAVEPOINT ${savepoint}; ${evidenceQuery(wanted)}`)) as unknown as readonly [
      pg.QueryResult,
      pg.QueryResult<EvidenceRow>,
    ];
    return evidenceOf(results[1].rows[0], undefined);
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    await client.query(`ROLLBACK TO SAVEPOINT ${savepoint}`);
    return undefined;
  }
}

/**
 * Asks a server what it knows about the transaction, and ends the transaction's own process if that still holds it: it
 * waits for a client that is gone, with its locks.
 */
export async function askOutcome(
  client: pg.ClientBase,
  before: CommitEvidence,
  table: MarkerTable | undefined,
): Promise<CommitVerdict> {
  const history = before.history.system === undefined ? unknownHistory : await askHistory(client);
  const relation = relate(before.history, history);
  const { transactionId } = before;
  const status =
    typeof transactionId === 'string' && (relation === 'same run' || relation === 'recovered')
      ? await askStatus(client, transactionId)
      : undefined;
  const marked =
    table === undefined || before.marker === undefined ? undefined : await askMarker(client, table, before.marker);
  const verdict = judgeCommit(before, { history, status, marked });
  if (verdict === 'in-progress') await endProcess(client, before);
  // A promoted copy has it already, and must not lose it.
  if (verdict === 'committed' && relation !== 'promoted copy') await awaitStandbys(client);
  return verdict;
}

const savepoint = 'externalname_before_commit';

interface EvidenceRow {
  readonly xid: string | null;
  readonly wrote?: boolean;
  readonly pid?: number;
  readonly system?: string;
  readonly timeline?: string | null;
  readonly since?: string | null;
}

function evidenceQuery({ proof, marker }: EvidenceWanted): string {
  // The number is assigned only after the question whether there was one. OFFSET keeps the planner from merging the two.
  const here =
    'SELECT wrote, CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_xact_id()::text END AS xid' +
    `${proof ? `, ${historyColumns}` : ''} FROM (SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL ` +
    'OR EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable) AS wrote OFFSET 0) AS before';
  if (marker === undefined) return here;
  // It is referenced twice, so it is computed once, before the row is written that depends on it.
  return (
    `WITH here AS MATERIALIZED (${here}), ` +
    `marker AS (INSERT INTO ${marker.table} (id) SELECT '${marker.id}'::uuid FROM here WHERE wrote RETURNING id) ` +
    'SELECT here.*, (SELECT pg_catalog.count(*) FROM marker) AS marked FROM here'
  );
}

// pg_walfile_name() begins with the timeline, which only a writable server has of its own.
const historyColumns =
  'pg_catalog.pg_backend_pid() AS pid, ' +
  '(SELECT system_identifier::text FROM pg_catalog.pg_control_system()) AS system, ' +
  'CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN ' +
  'pg_catalog.substring(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END AS timeline, ' +
  "(SELECT pg_catalog.date_part('epoch', stats_reset)::text FROM pg_catalog.pg_stat_bgwriter) AS since";

function evidenceOf(row: EvidenceRow | undefined, marker: string | undefined): CommitEvidence {
  return {
    transactionId: row?.xid,
    wrote: row?.wrote ?? true,
    processId: row?.pid,
    history: historyOf(row),
    marker: row?.wrote === true ? marker : undefined,
  };
}

async function askHistory(client: pg.ClientBase): Promise<ServerHistory> {
  const result = await client.query<EvidenceRow>(`SELECT ${historyColumns}`);
  return historyOf(result.rows[0]);
}

function historyOf(row: Partial<EvidenceRow> | undefined): ServerHistory {
  return {
    system: row?.system,
    timeline: row?.timeline ?? undefined,
    statisticsSince: row?.since ?? undefined,
  };
}

async function askStatus(client: pg.ClientBase, transactionId: string): Promise<RecordedStatus> {
  try {
    const result = await client.query<{ status: RecordedStatus | null }>(
      'SELECT pg_catalog.pg_xact_status($1::xid8) AS status',
      [transactionId],
    );
    return result.rows[0]?.status ?? 'forgotten';
  } catch (error) {
    if ((error as { code?: unknown }).code === '22023') return 'future';
    throw error;
  }
}

async function askMarker(client: pg.ClientBase, table: MarkerTable, id: string): Promise<boolean> {
  const result = await client.query(`SELECT 1 FROM ${table} WHERE id = $1::uuid`, [id]);
  return result.rows.length > 0;
}

// The transaction's number distinguishes it from a later process with the same id.
async function endProcess(client: pg.ClientBase, { processId, transactionId }: CommitEvidence): Promise<void> {
  await client.query(
    'SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity ' +
      'WHERE pid = $1 AND backend_xid = ($2::xid8)::xid',
    [processId, transactionId],
  );
}

// A COMMIT that waits for a synchronous standby is committed on its own server already. Its records precede those
// of anything written now, so when these are confirmed, its records are too.
async function awaitStandbys(client: pg.ClientBase): Promise<void> {
  const result = await client.query<{ names: string }>(
    "SELECT pg_catalog.current_setting('synchronous_standby_names', true) AS names WHERE NOT pg_catalog.pg_is_in_recovery()",
  );
  if (!result.rows[0]?.names) return;
  await client.query("SELECT pg_catalog.pg_logical_emit_message(true, 'externalname', '')");
}

// Undefined function, table or column; no right to call it; not supported.
function isUnsupported(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return (
    classifyFailure(error, 'connected').kind === 'statement' &&
    typeof code === 'string' &&
    ['42883', '42P01', '42703', '42704', '42501', '42601', '0A000'].includes(code)
  );
}

const unknownHistory: ServerHistory = { system: undefined, timeline: undefined, statisticsSince: undefined };
