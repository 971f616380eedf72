import type { Clock, Timer } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { aNumber, aSignal, checkOptions, optional } from '../shape.ts';
import type { PlannedSwitch } from '../targets/index.ts';

/** See `pool.pause()`. */
export interface PauseOptions {
  /** How long work in progress may take to finish. Milliseconds, above 0. @defaultValue 30000 */
  timeoutMillis?: number | undefined;
  /** Ends the pause: callers are served again, and `pause()` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Why callers are held: `pool.pause()`, or a switch that the source of the target has announced. */
export type PauseCause = 'application' | 'planned-switch';

/** What `pool.status()` says while callers are held. */
export interface PauseStatus {
  /** Why they are held. */
  readonly cause: PauseCause;
  /** For how long, in milliseconds. */
  readonly millis: number;
  /** Whether no work is in progress any more. */
  readonly quiet: boolean;
}

/** Why a pause is over: see the channel of the pool. @internal */
export type PauseEnd = 'resumed' | 'moved' | 'given-up' | 'expired' | 'failed' | 'ended';

/** What {@link Pause} needs of its pool. @internal */
export interface PauseHost {
  readonly clock: Clock;
  /** How long callers are held at most for a planned switch, in milliseconds; 0 holds none. */
  readonly plannedHoldMillis: number;
  /** Who waits for a connection. */
  readonly queue: {
    readonly size: number;
    /** Whether no caller has the right to a connection. */
    readonly isUnused: boolean;
    /** Lets callers wait from now on; `returned` is called when one of those before has finished. */
    hold(returned: () => void): void;
    resume(): void;
  };
  /** Whether no connection is in use or closing with a statement. */
  isQuiet(): boolean;
  /** Makes the error of a `pause()` that has ended before its time. */
  endedEarly(reason: string): Error;
  /** Makes the error of a `pause()` whose pool ends. */
  poolEnded(): Error;
  /** Tells that callers are held from now on. */
  paused(cause: PauseCause): void;
  /** Tells that they are not any more. */
  resumed(end: {
    readonly cause: PauseCause;
    readonly why: PauseEnd;
    readonly durationMillis: number;
    readonly waiting: number;
  }): void;
}

/**
 * Holds callers in the queue while work in progress finishes: for `pool.pause()`, until `resume()`; and for a switch that the source
 * has announced, until the pool has moved, the plan is given up, or `plannedHoldMillis` are over, so that a lost release hangs no caller.
 *
 * @internal
 */
export class Pause {
  readonly #host: PauseHost;
  #held: { readonly since: number; readonly causes: Set<PauseCause> } | undefined;
  /** Calls of `pause()` that are in progress, and whether one has succeeded. */
  #pausing = 0;
  #isPaused = false;
  #bound: Timer | undefined;
  /** Those who wait until no work is in progress, or are told why that is pointless. */
  readonly #waiters = new Set<(error?: Error) => void>();

  constructor(host: PauseHost) {
    this.#host = host;
  }

  get status(): PauseStatus | undefined {
    const { clock, queue, isQuiet } = this.#host;
    const [cause] = this.#held?.causes ?? [];
    if (this.#held === undefined || cause === undefined) return undefined;
    return { cause, millis: clock.now() - this.#held.since, quiet: queue.isUnused && isQuiet() };
  }

  /** See `pool.pause()`. */
  async pause(options: PauseOptions): Promise<void> {
    checkOptions(options, { timeoutMillis: optional(aNumber({ above: 0, unit: 'milliseconds' })), signal: aSignal });
    const { timeoutMillis = defaultTimeoutMillis, signal } = options;
    signal?.throwIfAborted();
    const { clock, endedEarly } = this.#host;
    this.#pausing += 1;
    this.#hold('application');
    try {
      await withDeadline((inner) => this.#untilQuiet(inner), {
        signal,
        timeoutMillis,
        clock,
        onTimeout: () => endedEarly(`work in progress did not finish within ${timeoutMillis} ms`),
      });
      this.#isPaused = true;
    } catch (error) {
      // Another call of pause() may still want it.
      if (this.#pausing === 1 && !this.#isPaused) this.#release('application', 'failed');
      throw error;
    } finally {
      this.#pausing -= 1;
    }
  }

  /** See `pool.resume()`. */
  resume(): void {
    this.#end('resumed', this.#host.endedEarly('pool.resume() was called meanwhile'));
  }

  /** The source announced a switch, or gave it up. Whether callers are held for it. */
  planned(plan: PlannedSwitch | undefined): boolean {
    this.#bound?.cancel();
    const { clock, plannedHoldMillis } = this.#host;
    const millis = Math.min(plan?.holdMillis ?? plannedHoldMillis, plannedHoldMillis);
    if (plan === undefined || millis === 0) {
      this.#release('planned-switch', 'given-up');
      return false;
    }
    const begin = () => {
      this.#hold('planned-switch');
      this.#bound = clock.schedule(() => this.#release('planned-switch', 'expired'), millis, { background: true });
    };
    const { startsInMillis = 0 } = plan;
    if (startsInMillis > 0) this.#bound = clock.schedule(begin, startsInMillis, { background: true });
    else begin();
    return true;
  }

  /** The pool has moved. */
  moved(): void {
    this.#bound?.cancel();
    this.#release('planned-switch', 'moved');
  }

  /** The pool ends: callers that wait are served, or fail with it. */
  close(): void {
    this.#end('ended', this.#host.poolEnded());
  }

  /** Some work is over. */
  check(): void {
    if (this.#waiters.size === 0 || !this.#host.queue.isUnused || !this.#host.isQuiet()) return;
    for (const tell of [...this.#waiters]) tell();
  }

  #hold(cause: PauseCause): void {
    const { clock, queue } = this.#host;
    if (this.#held === undefined) {
      this.#held = { since: clock.now(), causes: new Set() };
      queue.hold(() => this.check());
    }
    if (this.#held.causes.has(cause)) return;
    this.#held.causes.add(cause);
    this.#host.paused(cause);
  }

  #release(cause: PauseCause, why: PauseEnd): void {
    const held = this.#held;
    if (!held?.causes.delete(cause)) return;
    const { clock, queue } = this.#host;
    const waiting = queue.size;
    const durationMillis = clock.now() - held.since;
    if (cause === 'application') this.#isPaused = false;
    if (held.causes.size === 0) {
      this.#held = undefined;
      queue.resume();
    }
    this.#host.resumed({ cause, why, durationMillis, waiting });
  }

  #end(why: 'resumed' | 'ended', error: Error): void {
    this.#bound?.cancel();
    for (const tell of [...this.#waiters]) tell(error);
    this.#release('application', why);
    this.#release('planned-switch', why);
  }

  #untilQuiet(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const tell = (error?: Error) => {
        this.#waiters.delete(tell);
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#waiters.add(tell);
      signal.addEventListener('abort', () => tell(signal.reason), { once: true });
      this.check();
    });
  }
}

const defaultTimeoutMillis = 30_000;
