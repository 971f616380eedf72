import { setMaxListeners } from 'node:events';
import type { Clock } from '../clock.ts';
import { sleep } from '../deadline.ts';
import { ClosedError } from '../errors.ts';

/**
 * Fresh lookups that users share. In an outage, each of fifty pools in a process looks twice a second; together they look ten
 * times.
 *
 * Each user gets an answer to a question that was asked after its call. The first look starts at once, and so do all looks of the same
 * user. Users that come within 100 ms after another user's look share the next one.
 *
 * @internal
 */
export class SharedLooks {
  readonly #clock: Clock;
  readonly #looks = new Map<string, Look>();
  readonly #closing = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
    // One listener for each name is not a leak.
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

  /** Ends the waits for future looks. */
  close(): void {
    this.#closing.abort(new ClosedError('the DNS resolver'));
  }

  #begin(key: string, look: Look): void {
    if (this.#looks.size >= mostRemembered) this.#looks.clear();
    this.#looks.set(key, look);
  }
}

interface Look {
  /** When the look started. */
  readonly at: number;
  /** Its user; `undefined` for a shared look. */
  readonly by: object | undefined;
  /** The next look, while users wait for it. */
  readonly next?: Promise<unknown>;
}

/** How long a look waits for others at most. */
const pauseMillis = 100;

/** More names than a process follows. */
const mostRemembered = 1000;
