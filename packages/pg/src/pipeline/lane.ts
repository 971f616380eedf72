import type * as pg from 'pg';
import { hasSentBehind, whenQuiet } from '../driver/client-internals.ts';
import {
  type BeforeSharing,
  beginSharing,
  canPipeline,
  endSharing,
  HeldWrites,
  isBackedUp,
  sendObject,
} from '../driver/pipelining.ts';
import { LaneNames, type NameCounts } from './lane-names.ts';
import type { LaneQuery } from './lane-query.ts';
import { LaneStatement } from './lane-statement.ts';

/** A connection as a lane sees it. */
export interface LaneConnection {
  readonly client: pg.Client;
}

/** What the lanes of a pool have in common. */
export interface LaneHost<Connection extends LaneConnection> {
  now(): number;
  /** The longest queue of a lane. */
  readonly depth: number;
  /** How many statements a connection has prepared at most; 0 for none. */
  readonly mostNames: number;
  readonly counts: NameCounts;
  /** Whether queries are in flight on several lanes. */
  isBusy(): boolean;
  /** How long a query may run, in milliseconds; 0 for as long as it takes. */
  readonly queryTimeoutMillis: number;
  /** The client was used once more. Whether it may be used again. */
  mayUseAgain(connection: Connection): boolean;
  /** A query is about to be sent. Returns what is to be called when it has ended. */
  requested(connection: Connection, query: LaneQuery): LaneQuery['ended'];
  /** A query has got its answer, or failed. */
  answered(lane: Lane<Connection>, query: LaneQuery, error: unknown, result: unknown): void;
  /** `query_timeout` has passed for a query. */
  timedOut(lane: Lane<Connection>, query: LaneQuery): void;
  schedule(callback: () => void, millis: number): LaneQuery['timer'];
}

/**
 * A connection that several `pool.query()` use at once: their statements are sent one behind the other, and each is answered, or fails, for
 * itself. It lasts as long as its connection, and is in use from {@link open} to {@link close}.
 */
export class Lane<Connection extends LaneConnection> {
  readonly connection: Connection;
  /** Whether it takes no more queries, and is given back when it is empty. */
  isLeaving = false;
  /** Whether it leaves for a caller who needs a connection of its own. */
  isReserved = false;
  /** Whether nothing came for so long that no query should wait behind its oldest one. */
  isSlow = false;
  /** Whether it was opened for a text that is known to be slow. */
  isForSlow = false;
  /** Whether its connection is closed once it is empty. */
  isUnwanted = false;
  /** Whether the server was asked to end a query: the request may have reached the one behind it. */
  wasCancelled = false;
  /** Since when its oldest query has had the server for itself, as far as is known. In `now()` milliseconds. */
  progressAt = 0;
  /** When an answer last came. In `now()` milliseconds. */
  heardAt = Number.NEGATIVE_INFINITY;
  /** How many answers came, and how many had come at the last look. */
  answers = 0;
  seen = 0;
  /** For how many looks in a row no answer came. */
  stillLooks = 0;
  readonly #host: LaneHost<Connection>;
  // In the order in which they were sent.
  readonly #sent: LaneQuery[] = [];
  #before: BeforeSharing | undefined;
  readonly #writes: HeldWrites;
  /** Left out if the pool names nothing. */
  readonly #names: LaneNames | undefined;

  constructor(connection: Connection, host: LaneHost<Connection>) {
    this.connection = connection;
    this.#host = host;
    this.#writes = new HeldWrites(connection.client);
    const { mostNames: most, counts } = host;
    if (most > 0) this.#names = LaneNames.of(connection.client, { most, counts });
  }

  /** Whether it is in use. */
  get isOpen(): boolean {
    return this.#before !== undefined;
  }

  get size(): number {
    return this.#sent.length;
  }

  /** The query that the server is at, as far as is known. */
  get oldest(): LaneQuery | undefined {
    return this.#sent[0];
  }

  /** How many statements are prepared. */
  get names(): number {
    return this.#names?.size ?? 0;
  }

  /** Whether a pooler answers, behind which names are not used. `undefined` until it is known. */
  get isPooled(): boolean | undefined {
    return this.#names?.isPooled;
  }

  /** Whether it has room for one more, as far as it knows itself. */
  get hasRoom(): boolean {
    return (
      !this.isLeaving && !this.isSlow && this.#sent.length < this.#host.depth && !isBackedUp(this.connection.client)
    );
  }

  /** Whether all callers of what is in flight were told, and none waits any longer. */
  get isForNobody(): boolean {
    return this.#sent.every((query) => query.isTold || query.isOwn);
  }

  open(): void {
    const { client } = this.connection;
    const pipelined = this.#host.depth > 1 && canPipeline(client);
    this.#before = beginSharing(client, pipelined);
    this.isLeaving = !pipelined;
    this.isReserved = false;
    this.isSlow = false;
    this.isUnwanted = false;
    this.wasCancelled = false;
    this.stillLooks = 0;
    this.progressAt = this.#host.now();
  }

  close(): void {
    const before = this.#before;
    const { client } = this.connection;
    this.#before = undefined;
    if (before === undefined) return;
    // A value that cannot be written fails its query at once. What was sent of it is answered later, and only a client that pipelines expects that.
    if (hasSentBehind(client)) whenQuiet(client, () => endSharing(client, before));
    else endSharing(client, before);
  }

  send(query: LaneQuery): void {
    const host = this.#host;
    const { client } = this.connection;
    const question = this.#names?.questionBefore(query);
    if (question !== undefined) this.send(question);
    query.attempts += 1;
    query.wasFirst = this.#sent.length === 0;
    if (query.wasFirst) {
      this.progressAt = host.now();
      this.stillLooks = 0;
    } else if (!host.mayUseAgain(this.connection)) {
      this.isLeaving = true;
    }
    this.#sent.push(query);
    query.sentAt = host.now();
    query.ended = query.isOwn ? undefined : host.requested(this.connection, query);
    // A query alone is sent at once. Behind others, the server is not ready for it yet, and it leaves together with what comes until then.
    if (!query.wasFirst || host.isBusy()) this.#writes.hold();
    query.heldIn = this.#writes.held;
    query.name = this.#names?.nameFor(query);
    let isSending = true;
    const answer = (error: unknown, result?: unknown) => {
      // A value that cannot be written: `pg` says so inside the call, and then waits for what it has sent instead.
      if (isSending) process.nextTick(() => this.#answer(query, error, result));
      else this.#answer(query, error, result);
    };
    try {
      const { name } = query;
      // What has no name is sent as it is: tracers may change it.
      if (name === undefined || this.#names === undefined) {
        client.query(query.asked as string, query.values as unknown[], answer);
      } else {
        sendObject(client, new LaneStatement(query, name, this.#names.statements), answer);
      }
    } catch (error) {
      // It may be sent in part.
      this.isLeaving = true;
      this.isUnwanted = true;
      answer(error);
    }
    isSending = false;
    this.#timeOldest();
  }

  // The time that a query waits behind its neighbours does not count.
  #timeOldest(): void {
    const host = this.#host;
    const { oldest } = this;
    if (host.queryTimeoutMillis === 0 || oldest === undefined || oldest.timer !== undefined) return;
    oldest.timer = host.schedule(() => host.timedOut(this, oldest), host.queryTimeoutMillis);
  }

  /** Its connection is given up with what is in flight. Returns the queries, which get no answer. */
  abandon(): readonly LaneQuery[] {
    const queries = this.#sent.splice(0);
    for (const query of queries) {
      query.isOver = true;
      query.timer?.cancel();
    }
    if (this.#before !== undefined) endSharing(this.connection.client, this.#before);
    this.#before = undefined;
    return queries;
  }

  #answer(query: LaneQuery, error: unknown, result: unknown): void {
    // `pg` answers some twice: a value that cannot be written, a statement on a connection that is given up.
    if (query.isOver) return;
    query.isOver = true;
    query.timer?.cancel();
    const now = this.#host.now();
    this.progressAt = now;
    this.heardAt = now;
    this.answers += 1;
    this.stillLooks = 0;
    if (this.#sent[0] === query) this.#sent.shift();
    else this.#sent.splice(this.#sent.indexOf(query), 1);
    if (query.name !== undefined) this.#names?.answered(query, query.name, error);
    this.#timeOldest();
    this.#host.answered(this, query, error, result);
  }
}
