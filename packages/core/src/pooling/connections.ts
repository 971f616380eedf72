import { setMaxListeners } from 'node:events';

/**
 * The time in which a pool points at one target. The factory of its connections makes it, alone counts epochs, and attaches it
 * to each connection: a connection is current if it carries the current epoch.
 */
export interface Epoch {
  /** From 0. */
  readonly number: number;
  /** Fires when the epoch is over: connections that are being opened for it are pointless then. */
  readonly over: AbortSignal;
}

export function beginEpoch(number: number): { readonly epoch: Epoch; readonly end: (reason: Error) => void } {
  const controller = new AbortController();
  // Every connection that is being opened listens to it, and a pool may open many at once.
  setMaxListeners(0, controller.signal);
  return { epoch: { number, over: controller.signal }, end: (reason) => controller.abort(reason) };
}

/** What {@link Connections} needs to know about a connection. */
export interface EpochMember {
  readonly epoch: Epoch;
  /** Whether it is closing or closed. */
  readonly isOver: boolean;
}

/** What {@link Connections.advance} asks the pool to do with the connections of earlier epochs. */
export interface LeftBehind<Connection> {
  /** Not in use: to be closed at once. */
  readonly idle: readonly Connection[];
  /** In use: to be closed after their statement or transaction, or after the drain time. */
  readonly draining: readonly Connection[];
  /** In use, but too many to wait for: to be closed now. */
  readonly cut: readonly Connection[];
}

/**
 * All connections of a pool, and which of them belong to its current target.
 *
 * A connection belongs to the epoch that it was made in, and is current if that is the same object: epochs are
 * counted where connections are made. Connections of the current epoch count towards `max`. Busy ones of earlier epochs, and those
 * whose address has left the target's name, drain: they do not count, are never handed out again, and are at most `max` in number, so
 * there are never more than twice `max` in total.
 *
 * Pure bookkeeping: it opens and closes nothing.
 */
export class Connections<Connection extends EpochMember> {
  readonly #max: number;
  readonly #choose: ((idle: readonly Connection[]) => Connection | undefined) | undefined;
  #epoch: Epoch;
  /** Every connection that is not closed yet. */
  readonly #open = new Set<Connection>();
  // Last in, first out: the connection used last is the one most likely to be alive, and the others may time out.
  readonly #idle: Connection[] = [];
  /** How many of the current epoch are not over, including `#idle`. */
  #total = 0;
  // In the order in which they began to drain.
  readonly #draining = new Set<Connection>();

  /** @param choose chooses among the idle ones. Left out: the one that was used last */
  constructor(max: number, epoch: Epoch, choose?: (idle: readonly Connection[]) => Connection | undefined) {
    this.#max = max;
    this.#choose = choose;
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

  /** Busy connections of earlier epochs, and to addresses that the name has left. */
  get drainingCount(): number {
    return this.#draining.size;
  }

  /** Every connection that is not closed yet, including closing ones. */
  open(): ReadonlySet<Connection> {
    return this.#open;
  }

  /** The idle connection that is handed out next. */
  get nextIdle(): Connection | undefined {
    return this.#choose === undefined ? this.#idle[this.#idle.length - 1] : this.#choose(this.#idle);
  }

  isCurrent(connection: Connection): boolean {
    return connection.epoch === this.#epoch && !connection.isOver && !this.isDraining(connection);
  }

  isDraining(connection: Connection): boolean {
    return this.#draining.size > 0 && this.#draining.has(connection);
  }

  /** Adds a new connection, as in use. `false` if its epoch is over: close it. */
  add(connection: Connection): boolean {
    this.#open.add(connection);
    if (connection.epoch !== this.#epoch) return false;
    this.#total += 1;
    return true;
  }

  /** Takes an idle connection: the one that was chosen, or is chosen now. */
  borrow(chosen?: Connection): Connection | undefined {
    if (this.#choose === undefined) return this.#idle.pop();
    const next = chosen ?? this.nextIdle;
    return next !== undefined && this.borrowThis(next) ? next : this.#idle.pop();
  }

  /** Takes a particular idle connection. `false` if it is not idle. */
  borrowThis(connection: Connection): boolean {
    const index = this.#idle.indexOf(connection);
    if (index < 0) return false;
    this.#idle.splice(index, 1);
    return true;
  }

  /** Takes a connection back as idle. `false` if its epoch is over, or the connection is: close it. */
  giveBack(connection: Connection): boolean {
    if (!this.isCurrent(connection)) return false;
    this.#idle.push(connection);
    return true;
  }

  /**
   * A busy connection of the current epoch must not be used any longer: it drains, like those of earlier epochs. `cut` if too many
   * drain already: close it.
   */
  drain(connection: Connection): 'draining' | 'cut' {
    if (this.#draining.size >= this.#max) return 'cut';
    if (this.isCurrent(connection)) this.#total -= 1;
    this.#draining.add(connection);
    return 'draining';
  }

  /** A connection is about to end: it does not count any more. Returns whether it drained. */
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

  /** Begins the next epoch. Busy connections drain. */
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
