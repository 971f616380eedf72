import type { Clock } from '@externalname/core';
import { withDeadline } from '@externalname/core/internal';
import type * as pg from 'pg';
import { isInTransaction, isUsable, whenQuiet } from '../driver/client-internals.ts';
import { askRole, type RoleReports, roleFits, type TargetSessionAttrs } from './session-role.ts';

/** Who caused a read-only answer (25006). */
export type ReadOnlyAnswerOf =
  /** The server takes no writes (any more): the statement may succeed on another server, or later. */
  | 'server'
  /** The server takes writes, or the pool never asked for one that does: the statement itself was READ ONLY. */
  | 'caller';

/**
 * Finds out who caused it, by what the server says about itself after the statement: a caller may have begun a READ ONLY
 * transaction in a string of several statements, or called a function that makes its transaction READ ONLY, and a retry would get
 * the same answer.
 *
 * PostgreSQL 14 and later report a change of the role with the answer. If none is reported, the server is asked: older servers
 * do not report, and behind a pooler the reports belong to another session. If the server does not tell, it counts as the
 * cause. A transaction that the statement left open is rolled back.
 *
 * @param client the one that got the answer, with nothing else in flight. Never rejects
 */
export async function judgeReadOnlyAnswer(
  client: pg.Client,
  roles: RoleReports,
  wanted: TargetSessionAttrs,
  { clock, timeoutMillis }: { clock: Clock; timeoutMillis: number },
): Promise<ReadOnlyAnswerOf> {
  if (wanted !== 'read-write' && wanted !== 'primary') return 'caller';
  const judge = async (): Promise<ReadOnlyAnswerOf> => {
    // Reports come after the error, with ReadyForQuery.
    await new Promise<void>((resolve) => whenQuiet(client, resolve));
    if (!isUsable(client) || roleFits(wanted, roles.role) === false) return 'server';
    if (isInTransaction(client)) await client.query('ROLLBACK');
    const role = await askRole(client);
    if (role === undefined) return 'server';
    roles.learn(role);
    return roleFits(wanted, roles.role) === false ? 'server' : 'caller';
  };
  try {
    return await withDeadline(judge, {
      timeoutMillis,
      onTimeout: () => new Error(`the server did not tell its role within ${timeoutMillis} ms`),
      clock,
    });
  } catch {
    return 'server';
  }
}
