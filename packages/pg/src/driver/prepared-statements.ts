import { recordOutcome } from '@externalname/core/internal';
import type * as pg from 'pg';
import { preparedStatementProblem } from '../failures/classify.ts';
import {
  activeStatement,
  forgetPrepared,
  hasSentBehind,
  isInTransaction,
  isUsable,
  listenBefore,
  sendNext,
} from './client-internals.ts';
import { isPipelining } from './pipelining.ts';
import { interceptQueries } from './query-forms.ts';
import { sharedListener } from './shared-listener.ts';

/**
 * Keeps named statements usable on a session that has lost them, or in which they became stale.
 *
 * `pg` remembers for each connection which names it has prepared, and never learns otherwise: after `DISCARD ALL`, behind a
 * pooler in transaction mode, or when a table has changed its columns, the same error repeats for as long as the connection
 * lasts. Each of these errors comes before anything runs, so outside a transaction the statement is sent once more, in
 * its turn, and its caller does not notice. Inside a transaction, which has failed with it, the name is forgotten and the
 * error is passed on; see {@link isForgotten}.
 *
 * | the server says | before the statement is sent again |
 * | --- | --- |
 * | 0A000, "cached plan must not change result type" | it is closed on the server, and prepared again. If the error repeats, it is sent without a name, because PgBouncer keeps the plan |
 * | 26000, no such statement | it is prepared |
 * | 42P05, the name exists already | this connection sends it without a name from now on: the name belongs to another statement |
 *
 * For a connected client. Listens only for errors, so a statement that succeeds costs nothing.
 */
export function recoverPreparedStatements(client: pg.ClientBase): void {
  listenBefore(client, 'errorMessage', recoverStatement);
}

const recoverStatement = sharedListener((client, error) => {
  const statement = activeStatement(client);
  if (!isNamed(statement)) return;
  const problem = preparedStatementProblem(error, statement.name);
  if (problem === undefined) return;
  const { name } = statement;
  const text = forgetPrepared(client, name);
  forgotten.add(error as object);
  // Also for a CALL, which otherwise may commit midway.
  recordOutcome(error, 'not-executed');
  const { attempts, taken, closed } = lossesOf(client);
  const attempt = (attempts.get(statement) ?? 0) + 1;
  attempts.set(statement, attempt);
  // In a pipeline, others that were sent before it was closed repeat the error, too.
  const isOfNoUse =
    problem === 'taken' || (problem === 'stale' && closed.has(name) && (attempt > 1 || !isPipelining(client)));
  if (isOfNoUse) goWithoutName(client, name, taken);
  if (problem === 'stale') closed.add(name);
  const again = canBeSentAgain(statement, text) && attempt <= mostRepeats;
  if (!again || isInTransaction(client) || hasSentBehind(client) || !isUsable(client)) {
    if (problem === 'stale') sendNext(client, new CloseStatement(name));
    return;
  }
  Object.assign(statement, { text: statement.text ?? text }, isOfNoUse ? nameless : undefined);
  // Both at once, because behind a pooler the next message may reach another session.
  if (problem === 'stale' && !isOfNoUse)
    once(statement, 'submit', (submit, [connection]) => {
      (connection as PgConnection).close({ type: 'S', name });
      return submit();
    });
  // In the place of the caller, who gets the result of the retry.
  once(statement, 'handleError', () => sendNext(client, statement));
});

/** What has happened to the names of one connection. */
interface Losses {
  /** How often a statement was sent again. */
  readonly attempts: WeakMap<object, number>;
  /** Names that belong to other statements. */
  readonly taken: Set<string>;
  /** Names that were closed once, because their plan was stale. */
  readonly closed: Set<string>;
}

// Most connections never lose a name, and an idle one takes memory for what it might need.
function lossesOf(client: pg.ClientBase): Losses {
  let losses = allLosses.get(client);
  if (losses === undefined) {
    losses = { attempts: new WeakMap(), taken: new Set(), closed: new Set() };
    allLosses.set(client, losses);
  }
  return losses;
}

const allLosses = new WeakMap<pg.ClientBase, Losses>();

function goWithoutName(client: pg.ClientBase, name: string, taken: Set<string>): void {
  taken.add(name);
  if (taken.size > 1) return;
  interceptQueries(client, {
    concerns: (_client, asked) => isNamed(asked) && taken.has(asked.name),
    intercept: (_client, query, send) => send(withoutName(query)),
  });
}

/** Whether an error was about a prepared statement that its connection has forgotten: sent again, it is prepared again. */
export function isForgotten(error: unknown): boolean {
  return typeof error === 'object' && error !== null && forgotten.has(error);
}

/** The same query without a name. An object that sends itself is left unchanged. */
export function withoutName<Query extends readonly [unknown, ...unknown[]]>(query: Query): Query {
  const [asked, ...rest] = query;
  if (!isNamed(asked) || typeof asked.submit === 'function' || typeof asked.text !== 'string') return query;
  // Its text and values may be on a prototype.
  const { text, values } = asked;
  return [{ ...asked, text, values, ...nameless }, ...rest] as unknown as Query;
}

/** Ends a prepared statement on the server, as a separate statement among those of `pg`. */
export class CloseStatement implements pg.Submittable {
  /** It finishes by itself. */
  readonly needsNobody = true;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  submit(connection: pg.Connection): void {
    const { close, sync } = connection as unknown as PgConnection;
    close.call(connection, { type: 'S', name: this.#name });
    sync.call(connection);
  }

  handleReadyForQuery(): void {}

  // Then everything is as before.
  handleError(): void {}
}

interface NamedStatement {
  readonly name?: string | undefined;
  readonly text?: unknown;
  readonly values?: unknown;
  readonly submit?: unknown;
}

function isNamed(asked: unknown): asked is NamedStatement & { name: string } {
  const name = (asked as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' && name !== '';
}

// Another kind of object may have read rows already, or track its position in its own way.
function canBeSentAgain(statement: NamedStatement, text: unknown): boolean {
  const isQuery = typeof (statement as { requiresPreparation?: unknown }).requiresPreparation === 'function';
  return isQuery && typeof (statement.text ?? text) === 'string';
}

/** Replaces an object's method for one call. */
function once(
  of: object,
  name: string,
  replacement: (original: () => unknown, values: readonly unknown[]) => unknown,
): void {
  const before = Object.getOwnPropertyDescriptor(of, name);
  Object.defineProperty(of, name, {
    configurable: true,
    writable: true,
    enumerable: false,
    value(this: unknown, ...values: unknown[]) {
      if (before === undefined) Reflect.deleteProperty(of, name);
      else Object.defineProperty(of, name, before);
      return replacement(() => Reflect.apply(Reflect.get(of, name) as () => unknown, this, values), values);
    },
  });
}

interface PgConnection {
  close(message: { type: 'S'; name: string }): void;
  sync(): void;
}

// Without parameters `pg` would use the simple protocol, in which every value is a text.
const nameless = { name: undefined, queryMode: 'extended' };

const forgotten = new WeakSet<object>();

// Behind a pooler a session may not know the statement, and the next one may still have its name: then it is sent without one.
const mostRepeats = 3;
