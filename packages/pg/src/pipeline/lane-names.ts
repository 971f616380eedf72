import type * as pg from 'pg';
import { activeStatement, forgetPrepared, onMessage, processIdOf } from '../driver/client-internals.ts';
import { canLeaveOutDescribe, closeWithNext } from '../driver/pipelining.ts';
import { isForgotten } from '../driver/prepared-statements.ts';
import { mayBeOfOldTypes } from '../failures/classify.ts';
import { type LaneQuery, ownQuery } from './lane-query.ts';
import { LaneStatement } from './lane-statement.ts';
import { NamedStatements } from './named-statements.ts';

/** How often a query was sent under a name of the pool, and a name was given up. */
export interface NameCounts {
  named: number;
  closed: number;
}

/** What {@link LaneNames} needs. */
export interface LaneNamesParts {
  /** How many statements the connection has prepared at most; at least 1. */
  readonly most: number;
  readonly counts: NameCounts;
}

/**
 * The names under which one connection has prepared the texts that come again and again. No text gets one as long as it is not known
 * that the server itself answers: behind a pooler, the next statement may come to another session.
 */
export class LaneNames {
  /** What is prepared under names of the pool. */
  readonly statements: NamedStatements;
  readonly #client: pg.Client;
  readonly #parts: LaneNamesParts;
  /** Whether the server itself answers, and not a pooler; `undefined` until it is known. */
  #isDirect: boolean | undefined;
  #asked = 0;
  /** Names to be closed on the server. */
  readonly #toClose: string[] = [];

  private constructor(client: pg.Client, parts: LaneNamesParts) {
    this.#client = client;
    this.#parts = parts;
    this.statements = new NamedStatements(parts.most);
    onMessage<{ readonly text: string }>(client, 'commandComplete', ({ text }) => {
      if (forgetting.has(text)) this.#toClose.push(...this.statements.forgetAll());
    });
    onMessage(client, 'bindComplete', () => {
      const statement = activeStatement(client);
      if (statement instanceof LaneStatement) statement.begins();
    });
  }

  /** `undefined` for a client whose statements cannot be named. */
  static of(client: pg.Client, parts: LaneNamesParts): LaneNames | undefined {
    return canLeaveOutDescribe(client) ? new LaneNames(client, parts) : undefined;
  }

  /** How many statements are prepared. */
  get size(): number {
    return this.statements.size;
  }

  /** Whether a pooler answers. `undefined` until it is known. */
  get isPooled(): boolean | undefined {
    return this.#isDirect === undefined ? undefined : !this.#isDirect;
  }

  /**
   * The question of the pool's own that is to be sent before a query: who answers? Behind a pooler, that is not the process that the client
   * was told of. Before, and not after: the connection would be in use when the query is answered, and its caller's next one open a second one.
   */
  questionBefore(query: LaneQuery): LaneQuery | undefined {
    if (this.#isDirect !== undefined || !deservesName(query)) return undefined;
    const told = processIdOf(this.#client);
    this.#isDirect = false;
    this.#asked += 1;
    return ownQuery('select pg_catalog.pg_backend_pid() as pid', (result) => {
      const { rows } = (result ?? {}) as { rows?: readonly { readonly pid?: unknown }[] };
      // It may be cancelled in the place of a neighbour.
      if (rows === undefined && this.#asked < mostAsked) this.#isDirect = undefined;
      else this.#isDirect = told !== undefined && rows?.[0]?.pid === told;
    });
  }

  /** The name for a query that is sent now; `undefined` if it has none. Sends what closes the names that are given up. */
  nameFor(query: LaneQuery): string | undefined {
    const { text, attempts, isOwn } = query;
    if (isOwn) return undefined;
    for (const name of this.#toClose.splice(0)) this.#closeWithNext(name);
    if (this.#isDirect !== true || attempts > attemptsWithName || !deservesName(query)) return undefined;
    const { name, fallsOut } = this.statements.use(text);
    const { counts } = this.#parts;
    counts.named += 1;
    if (fallsOut !== undefined) {
      counts.closed += 1;
      this.#closeWithNext(fallsOut);
    }
    return name;
  }

  /** A query under a name has got its answer, or failed. */
  answered(query: LaneQuery, name: string, error: unknown): void {
    // If it was prepared, and then made place for another one before that was answered, `pg` takes it for prepared.
    if (this.statements.get(name) === undefined) forgetPrepared(this.#client, name);
    if (!error) return;
    if (isForgotten(error)) {
      this.#toClose.push(...this.statements.forget(name));
      return;
    }
    const { prepared, isPreparedBefore, hasBegun } = query;
    if (!isPreparedBefore || hasBegun || !mayBeOfOldTypes(error)) return;
    // The text is prepared again, and this query is sent without a name: if it was the query's own error, it comes again.
    query.isNameless = true;
    if (this.statements.get(name) === prepared && this.statements.drop(name)) this.#toClose.push(name);
  }

  #closeWithNext(name: string): void {
    this.statements.drop(name);
    closeWithNext(this.#client, name);
  }
}

function deservesName({ asked, text, isNameless }: LaneQuery): boolean {
  return !isNameless && text.uses > usesWithoutName && (typeof asked === 'string' || !asked.name);
}

// "After the second use": a text that comes twice may be a coincidence, and a name costs a message and memory in the server.
const usesWithoutName = 2;
// Then the name is not of use, for whatever reason.
const attemptsWithName = 2;

const mostAsked = 3;

/** What these commands answer when they make a session forget prepared statements. */
const forgetting: ReadonlySet<string> = new Set(['DISCARD ALL', 'DEALLOCATE', 'DEALLOCATE ALL']);
