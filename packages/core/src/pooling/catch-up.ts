import type { Clock } from '../clock.ts';
import { sleep } from '../deadline.ts';

/** How reads with a token were served. */
export interface TokenReads {
  /** How many there were. */
  readonly total: number;
  /** How many had to wait for a server to replay their token. */
  readonly waited: number;
  /** How many went to the primary, because the standby did not replay it in time. */
  readonly toPrimary: number;
}

/** How long a connection is waited for. @internal */
export interface CatchUpWait {
  readonly budgetMillis: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What {@link CatchUp} needs. Positions are those in the log of a primary. @internal */
export interface CatchUpHost<Client, Token, Reached, Wait extends CatchUpWait> {
  readonly clock: Clock;
  /** How long a read waits if its caller does not say, and one on a standby if there is a primary to go to. Milliseconds. */
  readonly limitMillis: number;
  readonly catchUpMillis: number;
  /** A connection of the pool itself. `wait` is what is left of that of the caller. */
  connect(wait: Wait): Promise<Client>;
  /** A connection to the primary. Left out if it is not to serve reads. */
  readonly connectPrimary: ((wait: Wait) => Promise<Client>) | undefined;
  release(client: Client, error?: unknown): void;
  /** Asks the server of a connection where it is. */
  positionOf(client: Client): Promise<Reached>;
  /** Whether a server has everything up to a token. */
  hasReached(reached: Reached, token: Token): boolean;
  /** Whether a standby has it, which never goes back. */
  hasForGood(reached: Reached, token: Token): boolean;
  /** Makes the error of a read for which no server had the token in time. */
  notReplayed(limitMillis: number): Error;
  /** Tells that a read had to wait. */
  waited(server: 'standby' | 'primary', durationMillis: number): void;
}

/** A connection that has the token. @internal */
export interface CaughtUp<Client> {
  readonly client: Client;
  readonly isPrimary: boolean;
}

/**
 * Finds connections to servers that have what a token names: read-your-writes.
 *
 * @internal
 */
export class CatchUp<Client extends object, Token, Reached, Wait extends CatchUpWait> {
  readonly #host: CatchUpHost<Client, Token, Reached, Wait>;
  readonly #counts = { total: 0, waited: 0, toPrimary: 0 };
  /** How far the server of a session was when it was last asked. A session does not change its server. */
  readonly #reached = new WeakMap<Client, Reached>();
  /** Whether the last standby that was waited for did not replay in time: the next read does not wait as long again. */
  #isBehind = false;

  constructor(host: CatchUpHost<Client, Token, Reached, Wait>) {
    this.#host = host;
  }

  counts(): TokenReads {
    return { ...this.#counts };
  }

  /**
   * A connection to a server that has replayed the token.
   *
   * @throws what `notReplayed()` makes if there is none in time, and what `connect` and `positionOf` throw
   */
  async connect(token: Token, asked: Wait): Promise<CaughtUp<Client>> {
    const { clock, connect, connectPrimary, release, notReplayed } = this.#host;
    const { signal } = asked;
    const beganAt = clock.now();
    const limitMillis = asked.budgetMillis ?? this.#host.limitMillis;
    const left = () => limitMillis - (clock.now() - beganAt);
    const wait = () => ({ ...asked, budgetMillis: Math.max(1, left()) });
    const catchUpMillis = connectPrimary === undefined ? limitMillis : this.#host.catchUpMillis;
    this.#counts.total += 1;
    for (let first = true; ; first = false) {
      const client = await connect(wait());
      const patience = Math.min(left(), this.#isBehind && connectPrimary !== undefined ? 0 : catchUpMillis);
      const asks = await this.#asksUntilThere(client, token, patience, signal);
      if (asks !== undefined) {
        this.#isBehind = false;
        if (!first || asks > 1) this.#tell('standby', beganAt);
        return { client, isPrimary: false };
      }
      this.#isBehind = true;
      release(client);
      const primary = await connectPrimary?.(wait());
      if (primary !== undefined && (await this.#asksUntilThere(primary, token, 0, signal)) !== undefined) {
        this.#counts.toPrimary += 1;
        this.#tell('primary', beganAt);
        return { client: primary, isPrimary: true };
      }
      if (primary !== undefined) release(primary);
      // The pool may still be at an old primary, which does not have it, and learn of the switch in a moment.
      if (left() <= 0) throw notReplayed(limitMillis);
      await sleep(Math.min(longestPauseMillis, left()), { signal, clock });
    }
  }

  #tell(server: 'standby' | 'primary', beganAt: number): void {
    this.#counts.waited += 1;
    this.#host.waited(server, this.#host.clock.now() - beganAt);
  }

  // How often the server was asked until it had the token; `undefined` if it did not in time.
  async #asksUntilThere(
    client: Client,
    token: Token,
    patience: number,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    const { clock, positionOf, hasReached, hasForGood, release } = this.#host;
    const known = this.#reached.get(client);
    if (known !== undefined && hasForGood(known, token)) return 0;
    const until = clock.now() + patience;
    try {
      for (let asks = 1; ; asks += 1) {
        const reached = await positionOf(client);
        this.#reached.set(client, reached);
        if (hasReached(reached, token)) return asks;
        const left = until - clock.now();
        if (left <= 0) return undefined;
        await sleep(Math.min(2 ** (asks - 1), longestPauseMillis, left), { signal, clock });
      }
    } catch (error) {
      release(client, error);
      throw error;
    }
  }
}

const longestPauseMillis = 20;
