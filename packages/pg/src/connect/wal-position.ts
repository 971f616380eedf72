import { InvalidArgumentError } from '@externalname/core';
import { describeValue } from '@externalname/core/internal';

/** A place in the history of a cluster: a position in the write-ahead log, on a timeline (PostgreSQL documentation, 25.3.6). */
export interface WalPosition {
  readonly timeline: number;
  readonly lsn: bigint;
}

/** Up to where a server has the history: what it has written, or as a standby, replayed. */
export interface ServerPosition extends WalPosition {
  readonly inRecovery: boolean;
}

/** What can run a statement. */
interface Queryable {
  query(config: {
    text: string;
    idempotent?: boolean;
  }): Promise<{ rows: readonly Readonly<Record<string, unknown>>[] }>;
}

/** Asks a server for its position: one round trip. Needs no privileges. */
export async function readPosition(client: Queryable): Promise<ServerPosition> {
  const { rows } = await client.query({ text: positionQuery, idempotent: true });
  const { recovery, lsn, timeline } = rows[0] ?? {};
  return {
    inRecovery: recovery === 'true',
    lsn: endOfRecord(lsnOf(String(lsn))),
    timeline: Number(timeline),
  };
}

/** Whether a server has everything up to a position that a primary once had. */
export function hasReached(server: ServerPosition, wanted: WalPosition): boolean {
  if (server.timeline < wanted.timeline) return false;
  // A primary of a later timeline: if it lacks the position, the switch has lost it, and nothing newer will come.
  if (!server.inRecovery && server.timeline > wanted.timeline) return true;
  return server.lsn >= wanted.lsn;
}

/** `2-0/3000148`: a text, so that a program can hand it to another one. */
export function tokenOf({ timeline, lsn }: WalPosition): string {
  return `${timeline}-${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for what {@link tokenOf} has not made */
export function positionOf(token: unknown, argument = 'after'): WalPosition {
  const parts = typeof token === 'string' ? /^([1-9]\d{0,9})-([0-9A-F]{1,8}\/[0-9A-F]{1,8})$/.exec(token) : null;
  const [, timeline, lsn] = parts ?? [];
  if (timeline !== undefined && lsn !== undefined) return { timeline: Number(timeline), lsn: lsnOf(lsn) };
  throw new InvalidArgumentError(
    argument,
    `must be a token such as '2-0/3000148', which pool.currentToken() returns; got ${describeValue(token)}`,
  );
}

function lsnOf(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/**
 * A primary names the place of its next record, which is behind the header of a page if the last record has filled the page before
 * (access/xlog.c, XLogBytePosToRecPtr). A standby names the end of that last record, and would never seem to reach the place.
 */
function endOfRecord(lsn: bigint): bigint {
  const [inPage, inSegment] = [lsn % pageBytes, lsn % smallestSegmentBytes];
  if (inSegment === longHeaderBytes) return lsn - longHeaderBytes;
  return inPage === shortHeaderBytes ? lsn - shortHeaderBytes : lsn;
}

// No record is as short as a header, so that a server with other sizes of pages or segments has no end of a record in between.
const [pageBytes, shortHeaderBytes] = [8_192n, 24n];
const [smallestSegmentBytes, longHeaderBytes] = [1_048_576n, 40n];

// As texts, because an application may parse types in its own way. A standby's control file may be late to name a new timeline, and
// never early.
const positionQuery = `SELECT r::text AS recovery,
  (CASE WHEN r THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END)::text AS lsn,
  (CASE WHEN r THEN greatest((pg_catalog.pg_control_checkpoint()).timeline_id, (pg_catalog.pg_control_recovery()).min_recovery_end_timeline)
    ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int END)::text AS timeline
FROM pg_catalog.pg_is_in_recovery() AS r`;
