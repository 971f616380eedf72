import { setMaxListeners } from 'node:events';
import type { Clock } from '../clock.ts';
import { sleep } from '../deadline.ts';
import { ClosedError } from '../errors.ts';

/**
 * Looks past every cache, for users that share them. In an outage each of fifty pools of a process looks twice a second; together they look
 * ten times.
 *
 * Each is promised an answer to a question that was asked after its call. The first look is asked at once, and so is each by the same user. Who
 * comes within 100 ms after another user's look shares the next one with all who do.
 *
 * @internal
 */
export class SharedLooks {
  readonly #clock: Clock;
  readonly #looks = new Map<string, Look>();
  readonly #closing = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
    // One listener for each name that is waited for is no leak.
    setMaxListeners(0, this.#closing.signal);
  }

  /** Looks, or joins the next look. */
  look<T>(key: string, user: object, ask: () => Promise<T>): Promise<T> {
    const known = this.#looks.get(key);
    if (known?.next !== undefined) return known.next as Promise<T>;
    const now = this.#clock.now();
    const waitMillis = known === undefined || known.by === user ? 0 : known.at + pauseMillis - now;
    if (waitMillis <= 0) {
      this.#begin(key, { at: now, by: user });
      return ask();
    }
    const next = sleep(waitMillis, { clock: this.#clock, signal: this.#closing.signal }).then(() => {
      this.#begin(key, { at: this.#clock.now(), by: undefined });
      return ask();
    });
    this.#looks.set(key, { at: now, by: undefined, next });
    return next;
  }

  /** Ends the wait for looks that are to come. */
  close(): void {
    this.#closing.abort(new ClosedError('the DNS resolver'));
  }

  #begin(key: string, look: Look): void {
    if (this.#looks.size >= mostRemembered) this.#looks.clear();
    this.#looks.set(key, look);
  }
}

interface Look {
  /** When it was asked. */
  readonly at: number;
  /** Whose it is; `undefined` for one that is shared. */
  readonly by: object | undefined;
  /** The next one, while there are users who wait for it. */
  readonly next?: Promise<unknown>;
}

/** The longest that a look waits for others. */
const pauseMillis = 100;

/** A process follows fewer names. */
const mostRemembered = 1000;
