import { inBackground } from '../background.ts';
import type { Clock, Timer } from '../clock.ts';

/** What {@link Outage} needs from outside. */
export interface OutageParts {
  readonly clock: Clock;
  /** Whether the current server serves, as far as known. */
  serving(): boolean;
  /** Asks where the Service points. */
  look(): void;
  /** Tries once to reach a server, for no caller. Never rejects. */
  tryAgain(signal: AbortSignal): Promise<void>;
  /** Callers have waited for this long, in milliseconds. Called once per outage. */
  waitedLong(millis: number): void;
}

/**
 * What happens while no server serves, in addition to the attempts that callers cause:
 *
 * - while callers wait, the name of the Service is looked up more often than connections are tried: a question to the cluster's DNS
 *   is cheap, and its answer ends the outage;
 * - when they have waited for two seconds, a warning says so: otherwise a wrong port would mean half a minute of silence;
 * - while none waits, a connection is tried now and then, or `status()` would never say that the server is back.
 */
export class Outage {
  readonly #parts: OutageParts;
  readonly #closing = new AbortController();
  /** Callers for whom a connection is being opened. */
  #callers = 0;
  /** Since when callers have waited without a break while no server served, in `now()` milliseconds. */
  #waitingSince: number | undefined;
  #toldOfWait = false;
  /** Whether a server failed, as opposed to not having been asked yet. */
  #inDoubt = false;
  #triedAt = 0;
  #trying = false;
  #timer: Timer | undefined;

  constructor(parts: OutageParts) {
    this.#parts = parts;
  }

  /** A caller needs a connection, until the returned function is called. */
  callerWaits(): () => void {
    this.#callers += 1;
    if (!this.#parts.serving()) {
      this.#waitingSince ??= this.#parts.clock.now();
      this.#watch();
    }
    return () => {
      this.#callers -= 1;
      if (this.#callers === 0) this.#waitingSince = undefined;
    };
  }

  /** The server became suspect. */
  begin(): void {
    if (this.#closing.signal.aborted) return;
    const now = this.#parts.clock.now();
    if (!this.#inDoubt) this.#triedAt = now;
    if (this.#callers > 0) this.#waitingSince ??= now;
    this.#inDoubt = true;
    this.#parts.look();
    this.#watch();
  }

  /** Idempotent. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#closing.abort(new Error('the pool is closed'));
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#closing.signal.aborted) return;
    this.#timer = this.#parts.clock.schedule(() => this.#tick(), tickMillis, { background: true });
  }

  #tick(): void {
    this.#timer = undefined;
    const { clock, serving, look, waitedLong } = this.#parts;
    if (serving()) {
      this.#inDoubt = false;
      this.#toldOfWait = false;
      this.#waitingSince = undefined;
      return;
    }
    const now = clock.now();
    if (this.#waitingSince !== undefined) {
      if (this.#inDoubt) look();
      const waited = now - this.#waitingSince;
      if (!this.#toldOfWait && waited >= longWaitMillis) {
        this.#toldOfWait = true;
        waitedLong(waited);
      }
    } else if (this.#inDoubt && !this.#trying && now - this.#triedAt >= retryMillis) {
      this.#triedAt = now;
      this.#trying = true;
      const over = () => {
        this.#trying = false;
      };
      inBackground(() => this.#parts.tryAgain(this.#closing.signal)).then(over, over);
    }
    // If no caller has come and no server failed, there is nothing to watch for.
    if (this.#inDoubt || this.#callers > 0) this.#watch();
  }
}

// How often cluster DNS is asked while callers wait. A thousand pods then ask it two thousand questions a second.
const tickMillis = 500;
const longWaitMillis = 2_000;
// Only a health check benefits from it.
const retryMillis = 5_000;
