import { type Clock, DeadlineError } from '@externalname/core';
import { abortable, printable, sleep, withDeadline } from '@externalname/core/internal';
import type { PostgresClientLike, PostgresState } from '@externalname/kubernetes';
import type { HaEngine } from '../engine/engine.ts';

/** What is known of the last leader that was confirmed. A new one is compared with it. */
export interface LeaderRecord {
  /** The engine's name for it. */
  readonly member: string;
  /** The timeline that its server was on. */
  readonly timeline: number | undefined;
  /** System identifier of its files. */
  readonly systemIdentifier: string | undefined;
}

/** Why a leader that the engine names cannot be confirmed. */
export type ConfirmationProblem =
  /** By its own word, it does not lead. */
  | 'not-leading'
  /** Its server gave no session that takes writes. */
  | 'not-writable'
  /** It is on a lower timeline than the last leader: a leader of the past. */
  | 'older-timeline'
  /** Its files are not a copy of the last leader's. */
  | 'different-system';

/** The answer of a leader that was asked itself. */
export type Confirmation =
  | { readonly confirmed: true; readonly record: LeaderRecord; readonly server: PostgresState | undefined }
  | { readonly confirmed: false; readonly problem: ConfirmationProblem; readonly detail: string };

/** See {@link confirmLeader}. */
export interface ConfirmationRequest {
  readonly engine: HaEngine;
  readonly member: string;
  readonly host: string;
  /** Makes a client for the host. Undefined if no session is to be tried. */
  readonly client: ((host: string) => PostgresClientLike) | undefined;
  /** A statement that must succeed in the session: a write of the caller's own. */
  readonly writeStatement: string | undefined;
  /** The last leader that was confirmed. */
  readonly last: LeaderRecord | undefined;
  /** Longest time for one attempt. Half of it, a standby is asked again in the same session: its promotion is a matter of a moment. */
  readonly timeoutMillis: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** See {@link untilConfirmed}. */
export interface Patience {
  /** How long a leader that says no is asked again. 0 asks once. */
  readonly patienceMillis: number;
  /** Fires when the engine names another. */
  readonly overtaken: AbortSignal;
  /** Called after each attempt that failed. */
  readonly onProblem: (problem: Confirmation & { readonly confirmed: false }) => void;
}

/**
 * Asks the leader until it says yes. A promotion takes a moment after the engine named the leader. Undefined if the engine names another meanwhile.
 * Rejects for the signal alone.
 */
export async function untilConfirmed(
  request: ConfirmationRequest,
  { patienceMillis, overtaken, onProblem }: Patience,
): Promise<Confirmation | undefined> {
  const { host, timeoutMillis, clock, signal } = request;
  const startedAt = clock.now();
  const either = AbortSignal.any([signal, overtaken]);
  for (;;) {
    const confirmation = await withDeadline((bound) => confirmLeader({ ...request, signal: bound }), {
      signal: either,
      timeoutMillis,
      clock,
      onTimeout: () => new DeadlineError(`the answer of ${host}`, timeoutMillis),
    }).catch((error: unknown): Confirmation => {
      signal.throwIfAborted();
      return { confirmed: false, problem: 'not-writable', detail: textOf(error) };
    });
    if (overtaken.aborted) return undefined;
    if (confirmation.confirmed) return confirmation;
    onProblem(confirmation);
    const elapsedMillis = clock.now() - startedAt;
    if (elapsedMillis >= patienceMillis) return confirmation;
    // Often at first; later less, because each attempt costs a connection.
    await sleep(elapsedMillis < 2_000 ? 25 : 250, { signal: either, clock }).catch(() => signal.throwIfAborted());
    if (overtaken.aborted) return undefined;
  }
}

/**
 * Asks the leader itself, whom the engine only names: by its own word, and by a session that takes writes. Lists of members lag behind and show the dead
 * as alive; this is what a switch is decided on.
 */
async function confirmLeader(request: ConfirmationRequest): Promise<Confirmation> {
  const { engine, member, last, signal } = request;
  const [first, server] = await Promise.all([engine.ask(member, { signal }), writableSession(request)]);
  // The word may be from before the end of the promotion, which the session has waited for.
  const isOld = first?.leads === false && typeof server === 'object';
  const word = isOld ? await engine.ask(member, { signal }) : first;
  if (word?.leads === false) return { confirmed: false, problem: 'not-leading', detail: word.detail };
  if (typeof server === 'string') return { confirmed: false, problem: 'not-writable', detail: server };
  const record: LeaderRecord = {
    member,
    timeline: server?.timeline ?? word?.timeline,
    systemIdentifier: server?.systemIdentifier ?? word?.systemIdentifier,
  };
  const problem = compare(record, last);
  return problem ?? { confirmed: true, record, server };
}

/** What speaks against a leader after the last one. What is not known on both sides is not compared. */
function compare(now: LeaderRecord, last: LeaderRecord | undefined): (Confirmation & { confirmed: false }) | undefined {
  const [system, lastSystem] = [now.systemIdentifier, last?.systemIdentifier];
  if (system !== undefined && lastSystem !== undefined && system !== lastSystem) {
    const detail = `${now.member} is not a copy of ${last?.member}: its system identifier is ${system}, the other's ${lastSystem}`;
    return { confirmed: false, problem: 'different-system', detail };
  }
  const [timeline, lastTimeline] = [now.timeline, last?.timeline];
  if (timeline !== undefined && lastTimeline !== undefined && timeline < lastTimeline) {
    const detail = `${now.member} is on timeline ${timeline}, the last leader ${last?.member} on ${lastTimeline}: it missed a promotion`;
    return { confirmed: false, problem: 'older-timeline', detail };
  }
  return undefined;
}

/** The state of the server; undefined if none is to be asked; in words, why it does not take writes. */
async function writableSession({
  client: make,
  host,
  writeStatement,
  timeoutMillis,
  clock,
  signal,
}: ConfirmationRequest): Promise<PostgresState | string | undefined> {
  if (make === undefined) return undefined;
  let client: PostgresClientLike | undefined;
  try {
    client = make(host);
    client.on('error', () => undefined);
    await abortable(client.connect(), signal);
    const ask = async (text: string) =>
      (await abortable((client as PostgresClientLike).query(text), signal)).rows[0] ?? {};
    const endsAt = clock.now() + timeoutMillis / 2;
    let role = await ask(takesWrites);
    while (role['in_recovery'] === true && clock.now() < endsAt) {
      await sleep(promotionPollMillis, { signal, clock });
      role = await ask(takesWrites);
    }
    const { in_recovery: inRecovery, read_only: readOnly, xid } = role;
    if (inRecovery === true) return `${host} is a standby, which takes no writes`;
    if (readOnly === true || typeof xid !== 'string') return `${host} is read-only (default_transaction_read_only)`;
    const { timeline, system_identifier: system } = await ask(identity).catch((): Record<string, unknown> => {
      signal.throwIfAborted();
      // A role may lack the privilege, and Aurora the function: then it is not compared.
      return {};
    });
    if (writeStatement !== undefined) await ask(writeStatement);
    return {
      inRecovery: false,
      readOnly: false,
      systemIdentifier: typeof system === 'string' ? system : undefined,
      timeline: typeof timeline === 'number' ? timeline : undefined,
      logPosition: undefined,
      replayDelaySeconds: undefined,
    };
  } catch (error) {
    signal.throwIfAborted();
    return `${host}: ${printable(textOf(error), 500)}`;
  } finally {
    // Not awaited: a server that is gone never answers.
    client?.end().catch(() => undefined);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// A server that can assign a transaction id writes its log. A standby cannot, whatever a proxy in front of it says.
const takesWrites = `select pg_is_in_recovery() as in_recovery, current_setting('transaction_read_only') = 'on' as read_only,
  case when not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' then txid_current()::text end as xid`;

// Source: PostgreSQL documentation, "System Administration Functions". The name of the log's current file begins with the timeline.
const identity = `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline,
  (select system_identifier::text from pg_control_system()) as system_identifier`;

// A round trip each: less than what a new session costs.
const promotionPollMillis = 10;
