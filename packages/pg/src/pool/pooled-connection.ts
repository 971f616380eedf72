import type { Clock, Endpoint, Target, Timer } from '@externalname/core';
import type { Epoch } from '@externalname/core/internal';
import type * as pg from 'pg';
import type { RoleReports } from '../connect/session-role.ts';
import { isUsable, listenForEnd } from '../driver/client-internals.ts';
import { closeClient, destroyClient, silenceClient } from '../driver/closing.ts';
import { type Retirement, retireClient } from '../driver/retire.ts';
import { Notes, sharedListener } from '../driver/shared-listener.ts';
import type { MadeConnection } from '../failover/connection-factory.ts';
import type { Lane } from '../pipeline/lane.ts';
import type { Borrower } from './checkout.ts';
import type { Permit } from './checkout-queue.ts';

/** See {@link PooledConnection}. */
export type ConnectionState =
  | 'preparing'
  | 'idle'
  | 'lent'
  | 'delivering'
  | 'returning'
  | 'lost'
  | 'closing'
  | 'closed';

/** What the pool does with its connections. One object for all of them. */
export interface ConnectionHost {
  readonly clock: Clock;
  /** It must not be used any more, and is still in its former state. Returns whether it drained. */
  forget(connection: PooledConnection): 'current' | 'draining' | 'unknown';
  /** A draining connection is closing. */
  drained(): void;
  /** Releases its permit. */
  releasePermit(permit: Permit): void;
  /** It is closed, and its permit is still out. `announced` says whether the application knows it. */
  closed(connection: PooledConnection, announced: boolean): void;
  /** Its client tells of an error, in whatever state it is. */
  failed(connection: PooledConnection, error: Error): void;
  /** It broke while it was idle. */
  idleFailed(connection: PooledConnection, error: Error): void;
  /** It has ended, for whatever reason. */
  ended(connection: PooledConnection): void;
  /** Asks its server to cancel its statement. Never rejects. */
  cancelStatement(connection: PooledConnection): Promise<void>;
}

/**
 * A connection in the pool. It is in one state at a time:
 *
 * | state | the connection | goes on to |
 * | --- | --- | --- |
 * | `preparing` | is taken from the idle ones, or new: its hook runs, or it is checked | `lent`, `idle`, `returning`, `closing` |
 * | `idle` | can be handed out, if its epoch is the current one | `preparing`, `closing` |
 * | `lent` | is with a caller, or with the `verify` hook that runs on the caller's behalf | `delivering`, `returning`, `lost`, `closing` |
 * | `delivering` | is being handed to a caller, who may release it inside that call | `lent`, `returning`, `lost`, `closing` |
 * | `returning` | was released, and its statement is not answered, or its answer is being judged | `idle`, `lent`, `closing` |
 * | `lost` | has ended while a caller had it, who still has to release it (a plain host, as in `pg`) | `closing` |
 * | `closing` | ends; the server may first be asked to cancel a statement | `closed` |
 * | `closed` | is over | |
 *
 * It drains if its epoch is over and its state is not `idle`, `closing` or `closed`.
 */
export class PooledConnection {
  readonly client: pg.Client;
  /** Where it leads; `undefined` for a plain host. */
  readonly endpoint: Endpoint | undefined;
  readonly roles: RoleReports;
  readonly epoch: Epoch;
  /** Who has it, or had it last. */
  borrower: Borrower = 'application';
  /** Whether the application's `verify` has accepted it. */
  isVerified = false;
  /** Whether its lifetime is over: it is closed when it is released. */
  isExpired = false;
  /** When something last arrived from the server on it, in `now()` milliseconds. */
  provenAt: number;
  /** When a reader last checked its server's lag and role, in `now()` milliseconds. */
  checkedAt: number;
  /** Ends the watch of its server's liveness. */
  stopLiveness: (() => void) | undefined;
  /** Set if the pool balances: ends the count of what is lent, and of the connection. */
  endRequest: ((result: 'answered' | 'failed' | 'unjudged') => void) | undefined;
  uncount: (() => void) | undefined;
  /** Its lane, once it has had one. */
  lane: Lane<PooledConnection> | undefined;
  readonly #host: ConnectionHost;
  // A string, not an object per state: lending a connection must not allocate.
  #state: ConnectionState = 'preparing';
  /** The right to count towards `max`; held while it is lent, and until it is closed or begins to drain. */
  #permit: Permit | undefined;
  #idleTimer: Timer | undefined;
  #lifetimeTimer: Timer | undefined;
  /** Set when its epoch ended while it was lent. */
  #retirement: Retirement | undefined;
  /** Set if it was given up with a statement in flight; settles when the server was asked to end that, or cannot be asked. */
  #cancelled: Promise<void> | undefined;

  constructor(made: MadeConnection, host: ConnectionHost) {
    this.client = made.client;
    this.endpoint = made.endpoint;
    this.roles = made.roles;
    this.epoch = made.epoch;
    this.#host = host;
    this.provenAt = host.clock.now();
    this.checkedAt = this.provenAt;
    pooledConnections.note(made.client, this);
  }

  /** The one that a client belongs to. */
  static of(client: pg.ClientBase): PooledConnection | undefined {
    return pooledConnections.of(client);
  }

  /** Hears of its errors and its end from now on, for as long as it lasts. */
  listen(): void {
    this.client.on('error', PooledConnection.#tellOfError);
    listenForEnd(this.client, PooledConnection.#tellOfEnd);
  }

  // Listeners that all connections share: closures would take more memory than all that an idle one has to remember.
  static readonly #tellOfError = function (this: pg.ClientBase, error: Error): void {
    const connection = PooledConnection.of(this);
    if (connection !== undefined) connection.#host.failed(connection, error);
  };
  static readonly #tellOfIdleError = function (this: pg.ClientBase, error: Error): void {
    const connection = PooledConnection.of(this);
    if (connection !== undefined) connection.#host.idleFailed(connection, error);
  };
  static readonly #tellOfEnd = sharedListener((client) => {
    const connection = PooledConnection.of(client);
    if (connection !== undefined) connection.#host.ended(connection);
  });

  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether a caller has it. */
  get isOut(): boolean {
    return this.#state === 'lent' || this.#state === 'delivering' || this.#state === 'lost';
  }

  /** Whether it is closing or closed. */
  get isOver(): boolean {
    return this.#state === 'closing' || this.#state === 'closed';
  }

  get hasPermit(): boolean {
    return this.#permit !== undefined;
  }

  /** Whether its server may still be at work for a caller. */
  get isBusy(): boolean {
    return this.isOver ? this.#state === 'closing' && this.isAbandoned : this.#state !== 'idle';
  }

  /** Whether it was given up with a statement in flight. */
  get isAbandoned(): boolean {
    return this.#cancelled !== undefined;
  }

  /** Whether a statement can be sent on it. */
  get isUsable(): boolean {
    return isUsable(this.client);
  }

  // ---- Its life

  /** Takes it from the idle ones. */
  take(): void {
    if (this.#state === 'idle') this.#state = 'preparing';
  }

  /** Lends it, with the permit of the checkout if it has none. */
  lend(borrower: Borrower, permit?: Permit): void {
    if (this.isOver) return;
    if (permit !== undefined) this.#permit = permit;
    this.borrower = borrower;
    this.#state = 'lent';
    this.ignoreIdleErrors();
  }

  beginDelivery(): void {
    if (this.#state === 'lent') this.#state = 'delivering';
  }

  endDelivery(): void {
    if (this.#state === 'delivering') this.#state = 'lent';
  }

  /** It was released. Returns its former state. */
  takeBack(): ConnectionState {
    const before = this.#state;
    if (before === 'lent' || before === 'delivering' || before === 'preparing') this.#state = 'returning';
    this.hearIdleErrors();
    return before;
  }

  /** Makes it idle. `expire` is called if it is still idle after `idleTimeoutMillis`; 0 for never. */
  rest(idleTimeoutMillis: number, background: boolean, expire: (connection: PooledConnection) => void): void {
    if (idleTimeoutMillis === 0) this.stopIdling();
    // One timer for the whole life of a connection, reset each time that it becomes idle: a new one for each query
    // costs more.
    else if (this.#idleTimer !== undefined) this.#idleTimer.restart();
    else this.#idleTimer = this.#host.clock.schedule(() => expire(this), idleTimeoutMillis, { background });
    this.#state = 'idle';
  }

  /** It ended while a caller had it, who still has to release it. */
  lose(): void {
    this.stopIdling();
    this.stopLiveness?.();
    if (this.#state === 'lent' || this.#state === 'delivering') this.#state = 'lost';
  }

  expireAfter(millis: number, expire: () => void): void {
    this.#lifetimeTimer = this.#host.clock.schedule(expire, millis, { background: true });
  }

  /**
   * Its epoch is over while it is in use: it ends after its statement or transaction, or after the drain time. Its place
   * is free at once, so that a connection to the new target can be opened for waiting callers.
   */
  retire(target: Target, drainTimeoutMillis: number): void {
    this.releasePermit();
    this.#retirement = retireClient(this.client, {
      target: target.externalName,
      drainTimeoutMillis,
      clock: this.#host.clock,
      // The single statement of a query ends with a release.
      watched: this.isOut && this.borrower !== 'query',
      finish: (error) => {
        if (this.isOver) return;
        // A long-term holder (a LISTEN, a cursor) must learn that it is over.
        this.client.emit('error', error);
        this.close();
      },
      cut: () => {
        this.releasePermit();
        this.close('broken');
      },
    });
  }

  // ---- Its end

  /**
   * Ends it. Idempotent.
   *
   * @param announced whether the application knows it, and is told of its end
   */
  close(how: 'politely' | 'broken' = 'politely', announced = true): void {
    if (this.isOver) return;
    const was = this.#host.forget(this);
    if (how === 'broken') destroyClient(this.client);
    this.#state = 'closing';
    this.stopIdling();
    this.#lifetimeTimer?.cancel();
    this.#retirement?.stop();
    this.stopLiveness?.();
    this.endRequest?.('unjudged');
    this.uncount?.();
    const end = () =>
      closeClient(this.client, this.#host.clock, () => {
        this.#state = 'closed';
        this.#host.closed(this, announced);
      });
    // A pooler in between knows the session by its connection, and takes no request for a closed one.
    if (this.#cancelled === undefined) end();
    else this.#cancelled.then(end, end);
    if (was === 'draining') this.#host.drained();
  }

  /** Breaks it: its statement fails with the error. */
  destroy(error: Error): void {
    this.releasePermit();
    destroyClient(this.client, error);
    this.close('broken');
  }

  /**
   * Gives it up with its statement, which ends on the server too. Its place is free at once.
   *
   * @param error what the statement fails with, if its caller was not told yet
   */
  abandon(error?: Error): void {
    if (this.isOver || this.#cancelled !== undefined) return;
    this.#cancelled = this.#host.cancelStatement(this);
    silenceClient(this.client, error);
    this.stopLiveness?.();
    this.releasePermit();
    this.close();
  }

  releasePermit(): void {
    const permit = this.#permit;
    this.#permit = undefined;
    if (permit !== undefined) this.#host.releasePermit(permit);
  }

  stopIdling(): void {
    this.#idleTimer?.cancel();
    this.#idleTimer = undefined;
  }

  // Without this listener, the death of a server would be an uncaught exception of the process.
  hearIdleErrors(): void {
    this.client.on('error', PooledConnection.#tellOfIdleError);
  }

  ignoreIdleErrors(): void {
    this.client.removeListener('error', PooledConnection.#tellOfIdleError);
  }
}

const pooledConnections = new Notes<PooledConnection>('pooledConnection');
