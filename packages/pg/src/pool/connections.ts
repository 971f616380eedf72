import type { Epoch } from '../failover/connection-factory.ts';

/** What {@link Connections} needs to know of a connection. */
export interface EpochMember {
  readonly epoch: Epoch;
  /** Whether it is closing or closed. */
  readonly isOver: boolean;
}

/** What {@link Connections.advance} asks the pool to do with the connections of earlier epochs. */
export interface LeftBehind<Connection> {
  /** Not in use: to be closed at once. */
  readonly idle: readonly Connection[];
  /** In use: to be closed when their statement or transaction is over, or when the drain time is. */
  readonly draining: readonly Connection[];
  /** In use, and too many to wait for: to be cut now. */
  readonly cut: readonly Connection[];
}

/**
 * All connections of a pool, and which of them belong to its current target.
 *
 * A connection belongs to the epoch that it was made in, and is of the current one if that is the same object: the epochs are
 * counted where the connections are made. Connections of the current epoch count towards `max`. Those of earlier epochs that
 * are still in use drain, and so do those whose address has left the target's name: they do not count, are never handed out again, and are at most `max` in number, so that there are
 * never more than twice `max` in all.
 *
 * Pure bookkeeping: it opens and closes nothing.
 */
export class Connections<Connection extends EpochMember> {
  readonly #max: number;
  #epoch: Epoch;
  /** Every connection that is not closed yet. */
  readonly #open = new Set<Connection>();
  // Last in, first out: the connection used last is the one most likely to be alive, and the others may time out.
  readonly #idle: Connection[] = [];
  /** How many of the current epoch are not over, `#idle` included. */
  #total = 0;
  // In the order in which they began to drain.
  readonly #draining = new Set<Connection>();

  constructor(max: number, epoch: Epoch) {
    this.#max = max;
    this.#epoch = epoch;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  /** Connections of the current epoch, in use or not. */
  get total(): number {
    return this.#total;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  /** Connections that are still in use, of earlier epochs and of addresses that the name has left. */
  get drainingCount(): number {
    return this.#draining.size;
  }

  /** Every connection that is not closed yet, closing ones included. */
  open(): ReadonlySet<Connection> {
    return this.#open;
  }

  /** The idle connection that is next to be handed out. */
  get nextIdle(): Connection | undefined {
    return this.#idle[this.#idle.length - 1];
  }

  isCurrent(connection: Connection): boolean {
    return connection.epoch === this.#epoch && !connection.isOver && !this.isDraining(connection);
  }

  isDraining(connection: Connection): boolean {
    return this.#draining.size > 0 && this.#draining.has(connection);
  }

  /** Takes up a new connection, as in use. `false` if its epoch is over: it is to be closed. */
  add(connection: Connection): boolean {
    this.#open.add(connection);
    if (connection.epoch !== this.#epoch) return false;
    this.#total += 1;
    return true;
  }

  /** Takes out the idle connection that was used last. */
  borrow(): Connection | undefined {
    return this.#idle.pop();
  }

  /** Takes a particular idle connection out. `false` if it is not idle. */
  borrowThis(connection: Connection): boolean {
    const index = this.#idle.indexOf(connection);
    if (index < 0) return false;
    this.#idle.splice(index, 1);
    return true;
  }

  /** Takes a connection back as idle. `false` if its epoch is over, or it is: it is to be closed. */
  giveBack(connection: Connection): boolean {
    if (!this.isCurrent(connection)) return false;
    this.#idle.push(connection);
    return true;
  }

  /**
   * A connection of the current epoch that is in use is to be used no longer: it drains, as those of earlier epochs do. `cut` if too many do
   * already: it is to be cut.
   */
  drain(connection: Connection): 'draining' | 'cut' {
    if (this.#draining.size >= this.#max) return 'cut';
    if (this.isCurrent(connection)) this.#total -= 1;
    this.#draining.add(connection);
    return 'draining';
  }

  /** A connection that is not over yet is about to be: it does not count any more. Says whether it drained. */
  drop(connection: Connection): 'current' | 'draining' | 'unknown' {
    if (this.#draining.delete(connection)) return 'draining';
    if (!this.isCurrent(connection) || !this.#open.has(connection)) return 'unknown';
    this.borrowThis(connection);
    this.#total -= 1;
    return 'current';
  }

  /** A connection is closed. */
  forget(connection: Connection): void {
    this.#open.delete(connection);
  }

  /** Begins the next epoch. What was in use drains. */
  advance(epoch: Epoch): LeftBehind<Connection> {
    const inUse = [...this.#open].filter((each) => this.isCurrent(each) && !this.#idle.includes(each));
    const idle = this.#idle.splice(0);
    this.#epoch = epoch;
    this.#total = 0;
    for (const connection of inUse) this.#draining.add(connection);
    const cut = [...this.#draining].slice(0, Math.max(0, this.#draining.size - this.#max));
    for (const connection of cut) this.#draining.delete(connection);
    return { idle, draining: inUse.filter((connection) => this.#draining.has(connection)), cut };
  }
}
