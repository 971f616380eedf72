import type { Clock, Timer } from '@externalname/core';
import type { Connections, Spread } from '@externalname/core/internal';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import type { Liveness } from '../liveness/liveness.ts';
import type { PoolSettings } from '../options.ts';
import type { CheckoutQueue } from './checkout-queue.ts';
import { warnOfHeld } from './held-clients.ts';
import type { Lending } from './lending.ts';
import { poolEndedError } from './pg-pool.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** What {@link Ending} needs. */
export interface EndingParts {
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly factory: ConnectionFactory;
  readonly connections: Connections<PooledConnection>;
  readonly queue: CheckoutQueue;
  readonly lending: Lending;
  readonly liveness: Liveness | undefined;
  readonly spread: Spread<PooledConnection> | undefined;
}

/** The end of a pool: earlier callers are served, and everything is closed, by force when the time is up. */
export class Ending {
  readonly #parts: EndingParts;
  /** Set once the pool ends. Resolves when everything is closed. */
  over: Promise<void> | undefined;
  /** Set while the end is under way. */
  #under: { readonly resolve: () => void; readonly timers: readonly Timer[] } | undefined;
  readonly #cutting = new AbortController();

  constructor(parts: EndingParts) {
    this.#parts = parts;
  }

  /** Fires when waiting for the end is over. */
  get cutting(): AbortSignal {
    return this.#cutting.signal;
  }

  /** Begins the end. Resolves when no connection is open or being opened. */
  begin(timeoutMillis: number): Promise<void> {
    this.#parts.spread?.close();
    const ended = new Promise<void>((resolve) => {
      const { clock, settings, connections } = this.#parts;
      const warning = () => warnOfHeld(settings.name, connections.open(), timeoutMillis);
      const timers = [clock.schedule(warning, heldTooLongMillis, { background: true })];
      if (Number.isFinite(timeoutMillis)) {
        timers.push(clock.schedule(() => this.#cutAll(), timeoutMillis, { background: true }));
      }
      this.#under = { resolve, timers };
    });
    // Earlier callers are served as in `pg`, unless there is no server to serve them.
    if (this.#parts.factory.inOutage) this.#failAll();
    return ended;
  }

  /** Something is over that the end may wait for. `providing`: checkouts for which a connection is being opened or checked. */
  check(providing: number): void {
    const { connections, factory, lending } = this.#parts;
    if (this.#under === undefined || !lending.isOver) return;
    // Includes those that were released with a statement in flight: as in `pg`, nothing waits for its answer.
    for (const connection of [...connections.open()]) if (!connection.isOut) connection.close();
    // A connection that is being opened, for example to a silent server, is not needed any more.
    if (providing > 0) factory.close().catch(() => undefined);
    // A connection that has already ended is closed at once, and may have brought us here a second time.
    if (this.#under === undefined || connections.open().size > 0 || providing > 0) return;
    const { resolve, timers } = this.#under;
    this.#under = undefined;
    for (const timer of timers) timer.cancel();
    resolve();
  }

  /** Closes what connections were made with. */
  async close(): Promise<void> {
    await Promise.all([this.#parts.liveness?.close(), this.#parts.factory.close()]);
  }

  #failAll(): void {
    for (const checkout of this.#parts.queue.unanswered()) checkout.fail(poolEndedError());
  }

  #cutAll(): void {
    this.#failAll();
    this.#cutting.abort(poolEndedError());
    // Connections that are being opened end with their factory, which is closed once nothing is open.
    this.#parts.factory.close().catch(() => undefined);
    for (const connection of [...this.#parts.connections.open()]) connection.destroy(poolEndedError());
  }
}

// Longer than statements take that are worth waiting for silently.
const heldTooLongMillis = 2_000;
