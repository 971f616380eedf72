import type * as pg from 'pg';
import { preparedStatementProblem, recordOutcome } from '../failures/classify.ts';
import {
  activeStatement,
  forgetPrepared,
  hasSentBehind,
  isInTransaction,
  isUsable,
  onErrorMessage,
  sendNext,
} from './client-internals.ts';
import { interceptQueries } from './query-forms.ts';

/**
 * Keeps named statements usable on a session that has lost them, or changed under them.
 *
 * `pg` remembers for each connection which names it has prepared, and never learns otherwise: after `DISCARD ALL`, behind a
 * pooler in transaction mode, or when a table has got another column, the same error comes back for as long as the connection
 * lasts. Each of these errors comes before anything is executed, so outside a transaction the statement is sent once more, in
 * its turn, and its caller hears nothing of it. Inside a transaction, which has failed with it, the name is forgotten and the
 * error handed on; see {@link isForgotten}.
 *
 * | the server says | before the statement is sent again |
 * | --- | --- |
 * | 0A000, "cached plan must not change result type" | it is closed on the server, and prepared anew. If it is said again, it goes without a name, for PgBouncer keeps the plan |
 * | 26000, no such statement | it is prepared |
 * | 42P05, there is one of that name | it goes without a name, on this connection from now on: the name is somebody else's |
 *
 * For a client that is connected. Listens for errors alone, so that a statement that succeeds costs nothing.
 */
export function recoverPreparedStatements(client: pg.ClientBase): void {
  const attempts = new WeakMap<object, number>();
  const taken = new Set<string>();
  /** Names that were closed once, as their plan did not fit. */
  const closed = new Set<string>();
  const goWithoutName = (name: string) => {
    taken.add(name);
    if (taken.size > 1) return;
    interceptQueries(
      client,
      (query, send) => send(withoutName(query)),
      (asked) => isNamed(asked) && taken.has(asked.name),
    );
  };
  onErrorMessage(client, (error) => {
    const statement = activeStatement(client);
    if (!isNamed(statement)) return;
    const problem = preparedStatementProblem(error, statement.name);
    if (problem === undefined) return;
    const { name } = statement;
    const text = forgetPrepared(client, name);
    forgotten.add(error as object);
    // Also of a CALL, which may commit in its middle otherwise.
    recordOutcome(error, 'not-executed');
    const attempt = (attempts.get(statement) ?? 0) + 1;
    attempts.set(statement, attempt);
    const isOfNoUse = problem === 'taken' || (problem === 'stale' && closed.has(name));
    if (isOfNoUse) goWithoutName(name);
    if (problem === 'stale') closed.add(name);
    const again = canBeSentAgain(statement, text) && attempt <= mostRepeats;
    if (!again || isInTransaction(client) || hasSentBehind(client) || !isUsable(client)) {
      if (problem === 'stale') sendNext(client, new CloseStatement(name));
      return;
    }
    Object.assign(statement, { text: statement.text ?? text }, isOfNoUse ? nameless : undefined);
    // Both in one go, as behind a pooler the next one may be for another session.
    if (problem === 'stale' && !isOfNoUse)
      once(statement, 'submit', (submit, [connection]) => {
        (connection as PgConnection).close({ type: 'S', name });
        return submit();
      });
    // In the place of the caller, who is told what comes of the repeat.
    once(statement, 'handleError', () => sendNext(client, statement));
  });
}

/** Whether an error was about a prepared statement that its connection has forgotten: asked again, it is prepared anew. */
export function isForgotten(error: unknown): boolean {
  return typeof error === 'object' && error !== null && forgotten.has(error);
}

/** The same query, not to be kept by the server. An object that asks by itself is left as it is. */
export function withoutName<Query extends readonly [unknown, ...unknown[]]>(query: Query): Query {
  const [asked, ...rest] = query;
  if (!isNamed(asked) || typeof asked.submit === 'function' || typeof asked.text !== 'string') return query;
  // Its text and values may be on a prototype.
  const { text, values } = asked;
  return [{ ...asked, text, values, ...nameless }, ...rest] as unknown as Query;
}

/** Ends a prepared statement on the server, as a statement of its own among those of `pg`. */
export class CloseStatement implements pg.Submittable {
  /** It comes to its end by itself. */
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

  // Then it is as it was before.
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

// Another kind of object may have read rows already, or keep its place in its own way.
function canBeSentAgain(statement: NamedStatement, text: unknown): boolean {
  const isQuery = typeof (statement as { requiresPreparation?: unknown }).requiresPreparation === 'function';
  return isQuery && typeof (statement.text ?? text) === 'string';
}

/** Puts something in the place of an object's method, for one call. */
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

// Without parameters `pg` would use another protocol for it, in which every value is a text.
const nameless = { name: undefined, queryMode: 'extended' };

const forgotten = new WeakSet<object>();

// Behind a pooler a session may know neither the statement, nor the next one that its name is free: then it goes without.
const mostRepeats = 3;
