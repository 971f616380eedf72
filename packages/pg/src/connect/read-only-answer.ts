import type { Clock } from '@externalname/core';
import { withDeadline } from '@externalname/core/internal';
import type * as pg from 'pg';
import { isInTransaction, isUsable, whenQuiet } from '../driver/client-internals.ts';
import { askRole, type RoleReports, roleFits, type TargetSessionAttrs } from './session-role.ts';

/** Whose doing a read-only answer (25006) is. */
export type ReadOnlyAnswerOf =
  /** The server takes no writes (any more): what was asked for has a chance elsewhere, or later. */
  | 'server'
  /** The server takes writes, or the pool never asked for one that does: the statement itself was READ ONLY. */
  | 'caller';

/**
 * Finds out whose doing it is, by what the server says of itself once the statement is over: a caller may have begun a READ ONLY
 * transaction in a string of several statements, or called a function that makes its transaction one, and doing that again
 * gives the same answer.
 *
 * PostgreSQL 14 and later report a change of the role with the answer. Where they report none the server is asked: older ones
 * do not report, and behind a pooler the reports are those of another session. Of a server that does not tell, it is the
 * server's doing. A transaction that the statement left open is rolled back.
 *
 * @param client the one that got the answer, with nothing else under way. Never rejects
 */
export async function judgeReadOnlyAnswer(
  client: pg.Client,
  roles: RoleReports,
  wanted: TargetSessionAttrs,
  { clock, timeoutMillis }: { clock: Clock; timeoutMillis: number },
): Promise<ReadOnlyAnswerOf> {
  if (wanted !== 'read-write' && wanted !== 'primary') return 'caller';
  const judge = async (): Promise<ReadOnlyAnswerOf> => {
    // Reports come after the error, with the word that the server is ready.
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
