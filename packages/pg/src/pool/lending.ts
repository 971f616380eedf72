import type { Clock } from '@externalname/core';
import type { Connections, Spread } from '@externalname/core/internal';
import type * as pg from 'pg';
import { judgeReadOnlyAnswer } from '../connect/read-only-answer.ts';
import { countUse, isInTransaction, isQuiet, keepProcess } from '../driver/client-internals.ts';
import { isForgotten } from '../driver/prepared-statements.ts';
import { whenFinished } from '../driver/unfinished.ts';
import { type ConnectionFactory, proofTimeoutMillis } from '../failover/connection-factory.ts';
import { classifyFailure } from '../failures/classify.ts';
import type { PoolSettings } from '../options.ts';
import type { Borrower, Checkout } from './checkout.ts';
import type { CheckoutQueue, Permit } from './checkout-queue.ts';
import { type FailedAnswers, markFinal } from './failed-answers.ts';
import { rememberTaker } from './held-clients.ts';
import { type PgPool, type Release, removeLastErrorListener, throwLater } from './pg-pool.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { Preparation } from './preparation.ts';

/** What {@link Lending} needs. */
export interface LendingParts {
  readonly pool: PgPool;
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly factory: ConnectionFactory;
  readonly connections: Connections<PooledConnection>;
  readonly queue: CheckoutQueue;
  readonly preparation: Preparation;
  readonly answers: FailedAnswers;
  readonly spread: Spread<PooledConnection> | undefined;
  /** How queries share connections, if they do. */
  sharing(): LaneBeginner | undefined;
}

/** What begins a lane on a connection that is lent, for a checkout that waits for one. */
export interface LaneBeginner {
  begin(connection: PooledConnection, checkout: Checkout): void;
}

type ReleasedWith = Error | boolean | null | undefined;

/** Hands connections out and takes them back: to the next waiting caller, to the idle ones, or to their end. */
export class Lending {
  /** When a connection last came back, in `now()` milliseconds. */
  releasedAt = Number.NEGATIVE_INFINITY;
  readonly #parts: LendingParts;

  constructor(parts: LendingParts) {
    this.#parts = parts;
  }

  /** Whether the pool ends and needs no more connections: a released one is of no use. */
  get isOver(): boolean {
    return this.#parts.pool.ending && this.#parts.queue.size === 0;
  }

  /** Serves a checkout that has entered with an idle connection. `false` if there is none. */
  serveAtOnce(checkout: Checkout): boolean {
    if (checkout.isAnswered) return true;
    const { queue, preparation } = this.#parts;
    const mayServe = queue.hasPermitAtHand && queue.mayServe(checkout);
    const connection = mayServe ? preparation.borrowProven() : undefined;
    if (connection === undefined) return false;
    this.handOut(connection, checkout, queue.takeAtHand(checkout), false);
    return true;
  }

  /** Lends an idle connection for a lane, if there is one that nothing speaks against, and no caller waits for it. */
  lendIdle(): PooledConnection | undefined {
    const { pool, queue, preparation } = this.#parts;
    if (!queue.isUncontended || !queue.hasPermitAtHand || pool.options.verify !== undefined) return undefined;
    const connection = preparation.borrowProven();
    if (connection === undefined) return undefined;
    // Before a listener is told, who may ask for more.
    const permit = queue.takeAhead();
    throwLater(() => pool.emit('acquire', connection.client));
    connection.lend('query', permit);
    return connection;
  }

  /**
   * Takes back the connection of a lane that is empty.
   *
   * @param error that of its last query, or `true` if it is not to be used again
   */
  takeBackLane(connection: PooledConnection, error: Error | true | undefined): void {
    // `null`, as the callback of a query gets it in `pg`.
    throwLater(() => this.#release(connection, error ?? null));
  }

  /**
   * Lends a connection, with its own permit or that of the checkout.
   *
   * @param at now, in `now()` milliseconds, if that is known without a look at the clock
   */
  handOut(
    connection: PooledConnection,
    checkout: Checkout,
    permit: Permit | undefined,
    isNew: boolean,
    at?: number,
  ): void {
    const { client } = connection;
    const { pool, spread } = this.#parts;
    const { verify } = pool.options;
    if (isNew) throwLater(() => pool.emit('connect', client));
    throwLater(() => pool.emit('acquire', client));
    connection.lend(checkout.borrower, permit);
    // On a lane, each query counts.
    if (checkout.laneEntry === undefined) spread?.lent(connection, checkout.borrower === 'query');
    rememberTaker(client, checkout.takenAt);
    const release = this.#releaseOnce(connection, checkout.borrower);
    (client as pg.PoolClient).release = release;
    if (connection.isVerified || !verify) {
      this.#deliver(connection, checkout, release, at);
      return;
    }
    let judged = false;
    const judge = (error?: Error) => {
      judged = true;
      if (error) {
        // Whatever the error is, this connection must not be used.
        connection.borrower = 'application';
        throwLater(() => release(error));
        checkout.fail(error);
        return;
      }
      connection.isVerified = true;
      this.#deliver(connection, checkout, release);
    };
    try {
      verify(client, judge);
    } catch (error) {
      if (!judged) judge(error instanceof Error ? error : new Error(String(error)));
      else
        throwLater(() => {
          throw error;
        });
    }
  }

  /** Makes a ready connection idle, or gives it to the next waiting caller. */
  makeIdle(connection: PooledConnection, at = this.#parts.clock.now()): void {
    const { pool, factory, connections, queue, preparation } = this.#parts;
    const { client } = connection;
    const { idleTimeoutMillis, allowExitOnIdle, min } = pool.options;
    if (!preparation.roleFits(connection)) {
      factory.suspect(preparation.roleError(connection), connection.endpoint);
      connection.close();
      return;
    }
    // The next borrower's statements must not run in another caller's transaction.
    if (isInTransaction(client) || !connections.isCurrent(connection)) {
      connection.close();
      return;
    }
    connection.provenAt = at;
    factory.confirmed(at);
    // As in pg-pool, directly to the caller that has waited longest: this costs neither a round through the queue nor a timer.
    if (connection.hasPermit && !preparation.isDue(connection)) {
      const waiting = queue.next();
      if (waiting !== undefined) {
        this.handOut(connection, waiting, undefined, false, at);
        return;
      }
    }
    const expires = idleTimeoutMillis > 0 && connections.total > min;
    connection.rest(expires ? idleTimeoutMillis : 0, allowExitOnIdle, this.#expireIdle);
    if (allowExitOnIdle) keepProcess(client, false);
    connections.giveBack(connection);
    connection.releasePermit();
  }

  /** The lifetime of a connection is over. A busy one is closed when it is released. */
  expire(connection: PooledConnection): void {
    const { pool, connections } = this.#parts;
    pool.log('ending client due to expired lifetime');
    connection.isExpired = true;
    if (!connections.borrowThis(connection)) return;
    connection.take();
    connection.stopIdling();
    // As in `pg.Pool`, where an expired idle client is taken out and put back to be removed.
    throwLater(() => pool.emit('acquire', connection.client));
    connection.ignoreIdleErrors();
    this.#release(connection, undefined);
  }

  // The connection was idle for too long.
  readonly #expireIdle = (connection: PooledConnection): void => {
    const { pool, connections } = this.#parts;
    if (connection.state !== 'idle' || connections.total <= pool.options.min) return;
    pool.log('remove idle client');
    connection.close();
  };

  #deliver(connection: PooledConnection, checkout: Checkout, release: Release, at?: number): void {
    // The caller's time was up while the connection was being opened: the pool keeps it.
    if (checkout.isAnswered) {
      throwLater(release);
      return;
    }
    const sharing = checkout.laneEntry && this.#parts.sharing();
    if (sharing !== undefined) {
      sharing.begin(connection, checkout);
      return;
    }
    connection.beginDelivery();
    checkout.deliver(connection.client as pg.PoolClient, release, at);
    connection.endDelivery();
    checkout.delivered?.(connection.client);
  }

  // As in `pg`, an exception of a listener is thrown by the application's own release(). If the pool itself releases a client,
  // the exception must not come between the caller and its answer.
  #releaseOnce(connection: PooledConnection, borrower: Borrower): Release {
    let released = false;
    return (error) => {
      if (released) throw new Error('Release called on client which has already been released to the pool.');
      released = true;
      if (borrower === 'application') this.#release(connection, error);
      else throwLater(() => this.#release(connection, error));
    };
  }

  #release(connection: PooledConnection, error: ReleasedWith): void {
    const { client } = connection;
    this.releasedAt = this.#parts.clock.now();
    // An error before the client was even handed over: `pg` threw on the statement, and may have sent half of it.
    const halfSent = connection.state === 'delivering' && connection.borrower === 'query' && error instanceof Error;
    if (halfSent) {
      removeLastErrorListener(client);
      // For the same reason: `pg` answers the statement a second time when the connection ends.
      (client as pg.PoolClient).release = () => undefined;
    }
    const wasLost = connection.takeBack() === 'lost';
    const uses = countUse(client);
    try {
      this.#parts.pool.emit('release', error, client);
    } finally {
      if (wasLost) this.#takeBackLost(connection, error);
      else this.#takeBack(connection, error, uses, halfSent);
    }
  }

  // What its caller says about a lost connection may still say something about the server.
  #takeBackLost(connection: PooledConnection, error: ReleasedWith): void {
    if (error instanceof Error && classifyFailure(error, 'connected').condemnsServer)
      this.#parts.factory.suspect(error, connection.endpoint);
    connection.close();
  }

  #takeBack(connection: PooledConnection, error: ReleasedWith, uses: number, halfSent: boolean): void {
    const { pool, factory, connections, answers } = this.#parts;
    const { client } = connection;
    const { maxUses } = pool.options;
    const fromQuery = connection.borrower === 'query';
    const failure = error instanceof Error ? classifyFailure(error, 'connected') : undefined;
    if (connection.endRequest !== undefined) {
      // How long the application holds a client says nothing about the server.
      const isFailed = failure?.condemnsServer === true;
      connection.endRequest(isFailed ? 'failed' : fromQuery ? 'answered' : 'unjudged');
    }
    if (error instanceof Error && failure?.kind === 'read-only' && this.#mayJudge(connection)) {
      this.#judgeReadOnly(connection, error, uses);
      return;
    }
    if (failure?.condemnsServer) factory.suspect(error, connection.endpoint);
    // An ordinary SQL error costs `pg.Pool` the connection; here only if the application asks for it.
    const isInOrder = failure?.keepConnection === true || isForgotten(error);
    const isUnwanted = Boolean(error) && !(fromQuery && isInOrder && !halfSent);
    if (uses >= maxUses) pool.log('remove expended client');
    if (connection.isExpired) pool.log('remove expired client');
    if (isUnwanted || this.isOver || !connection.isUsable || uses >= maxUses || connection.isExpired) {
      connection.close();
    } else if (isQuiet(client)) {
      if (connections.isCurrent(connection)) this.makeIdle(connection, this.releasedAt);
      else connection.close();
    } else {
      const returned = new Promise<void>((resolve) => {
        whenFinished(client, this.#parts.clock, (how) => {
          // Its lifetime may have ended meanwhile.
          const isWanted = how === 'quiet' && connection.isUsable && !connection.isExpired && !this.isOver;
          if (isWanted && connections.isCurrent(connection)) this.makeIdle(connection);
          else connection.close();
          resolve();
        });
      });
      if (error instanceof Error) answers.clientReturns(error, returned);
    }
  }

  // For a plain host without a wanted role, any such answer costs the connection, as in `pg`: the next one may lead elsewhere.
  #mayJudge(connection: PooledConnection): boolean {
    const { follows, targetSessionAttrs } = this.#parts.settings;
    const asked = follows || targetSessionAttrs === 'read-write' || targetSessionAttrs === 'primary';
    return asked && connection.borrower === 'query' && !this.isOver && !connection.isOver && connection.isUsable;
  }

  // Only after the statement ends is it known whether the server or the caller made it read-only. Until then the connection is
  // not lent.
  #judgeReadOnly(connection: PooledConnection, error: Error, uses: number): void {
    const { settings, clock, factory, answers } = this.#parts;
    const verdict = judgeReadOnlyAnswer(connection.client, connection.roles, settings.targetSessionAttrs, {
      clock,
      timeoutMillis: proofTimeoutMillis,
    }).then((answerOf) => {
      if (answerOf === 'caller') {
        markFinal(error);
        this.#takeBack(connection, undefined, uses, false);
      } else {
        factory.suspect(error, connection.endpoint);
        connection.close();
      }
    });
    answers.isJudged(error, verdict);
  }
}
