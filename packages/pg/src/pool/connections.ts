/** What {@link Epochs.advance} asks the pool to do with the connections of earlier epochs. */
export interface Retirement<Connection> {
  /** Nobody uses them: to be ended at once. */
  readonly idle: readonly Connection[];
  /** In use: to be ended when their statement or transaction is over, or when the drain time is. */
  readonly draining: readonly Connection[];
  /** In use, and too many to wait for: to be cut now. */
  readonly cut: readonly Connection[];
}

/**
 * Which connections belong to which target.
 *
 * A pool has one current epoch, numbered from 0; a new target begins the next. Connections of the current epoch are
 * idle or busy and count towards `max`. Connections of earlier epochs that are still busy drain: they do not count,
 * are never handed out again, and are at most `max` in number, so that there are never more than twice `max` in all.
 *
 * Pure bookkeeping: it opens and closes nothing.
 */
export class Epochs<Connection extends object> {
  readonly #max: number;
  #number = 0;
  readonly #busy = new Set<Connection>();
  // Last in, first out: the connection used last is the one most likely to be alive, and the others may time out.
  readonly #idle: Connection[] = [];
  // In the order in which they began to drain.
  readonly #draining = new Set<Connection>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The number of the current epoch. */
  get number(): number {
    return this.#number;
  }

  /** Connections of the current epoch, idle and busy. */
  get total(): number {
    return this.#busy.size + this.#idle.length;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  /** Connections of earlier epochs that are still in use. */
  get drainingCount(): number {
    return this.#draining.size;
  }

  /** Every connection that is not closed yet, whatever its epoch. */
  all(): Connection[] {
    return [...this.#busy, ...this.#idle, ...this.#draining];
  }

  /** The idle connections of the current epoch, the one that is next to be handed out last. */
  idle(): readonly Connection[] {
    return this.#idle;
  }

  /** Takes up a connection that was made for `epoch`, as busy. `false` where that epoch is over: it is to be closed. */
  admit(connection: Connection, epoch: number): boolean {
    if (epoch !== this.#number) return false;
    this.#busy.add(connection);
    return true;
  }

  /** Hands out an idle connection of the current epoch. */
  borrow(): Connection | undefined {
    const connection = this.#idle.pop();
    if (connection !== undefined) this.#busy.add(connection);
    return connection;
  }

  /** Takes a particular idle connection out, as if it were borrowed. */
  borrowThis(connection: Connection): boolean {
    const index = this.#idle.indexOf(connection);
    if (index < 0) return false;
    this.#idle.splice(index, 1);
    this.#busy.add(connection);
    return true;
  }

  /** Makes a busy connection idle again. `false` where its epoch is over or it was dropped: it is to be closed. */
  giveBack(connection: Connection): boolean {
    if (!this.#busy.delete(connection)) return false;
    this.#idle.push(connection);
    return true;
  }

  /** Whether the connection is of the current epoch. */
  isCurrent(connection: Connection): boolean {
    return this.#busy.has(connection) || this.#idle.includes(connection);
  }

  isDraining(connection: Connection): boolean {
    return this.#draining.has(connection);
  }

  /** Forgets a connection. `current` where it counted towards `max`, and its place is free now. */
  drop(connection: Connection): 'current' | 'draining' | 'unknown' {
    if (this.#busy.delete(connection)) return 'current';
    if (this.#draining.delete(connection)) return 'draining';
    const index = this.#idle.indexOf(connection);
    if (index < 0) return 'unknown';
    this.#idle.splice(index, 1);
    return 'current';
  }

  /** Begins the next epoch. What was idle is forgotten here; what was busy drains. */
  advance(): Retirement<Connection> {
    this.#number += 1;
    const idle = this.#idle.splice(0);
    const draining = [...this.#busy];
    this.#busy.clear();
    for (const connection of draining) this.#draining.add(connection);
    const cut = [...this.#draining].slice(0, Math.max(0, this.#draining.size - this.#max));
    for (const connection of cut) this.#draining.delete(connection);
    return { idle, draining: draining.filter((connection) => this.#draining.has(connection)), cut };
  }
}
