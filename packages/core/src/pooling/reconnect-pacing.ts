import type { Clock, Random } from '../clock.ts';
import { onAbort, sleep } from '../deadline.ts';

/** See {@link ConnectionPacing}. Times in milliseconds. */
export interface PacingSettings {
  /** After a switch or an outage: the time over which the connections after the first are spread. */
  readonly spreadMillis: number;
  /** In an outage: the minimum time from one attempt to the next. */
  readonly outageIntervalMillis: number;
  /** In an outage: the limit that the interval grows to. */
  readonly longestOutageIntervalMillis: number;
}

/**
 * Decides when a pool may try to connect.
 *
 * - `flowing`: at once.
 * - `probing`: it is not known whether the server serves: nothing was tried yet, the server is suspect, or the last
 *   attempt failed. One attempt at a time, however many callers wait, with growing pauses after failures:
 *   a hundred callers and one dead server make three attempts a second, not a storm.
 * - `spreading`: a server was reached after an outage or a switch. Each further attempt waits for a random part of
 *   the spread, so that a thousand pods do not arrive in one instant.
 */
export class ConnectionPacing {
  #state: PacingState = probing({ nextAt: Number.NEGATIVE_INFINITY, intervalMillis: 0, failures: 0, untried: true });
  readonly #settings: PacingSettings;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(settings: PacingSettings, dependencies: { clock: Clock; random: Random }) {
    this.#settings = settings;
    this.#clock = dependencies.clock;
    this.#random = dependencies.random;
  }

  /** Whether the last attempt failed and none has succeeded since. */
  get inOutage(): boolean {
    return this.#state.kind === 'probing' && this.#state.failures > 0;
  }

  /**
   * Resolves when the caller may make an attempt. Time may have passed, so the caller first checks whether it still needs one.
   * Rejects with the signal's reason. Every turn ends with `succeeded`, `failed` or `passed`.
   */
  async turn(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const state = this.#state;
      switch (state.kind) {
        case 'flowing':
          return;
        case 'spreading': {
          if (this.#clock.now() >= state.until) {
            this.#state = { kind: 'flowing' };
            return;
          }
          if (!state.firstTaken) {
            state.firstTaken = true;
            return;
          }
          await sleep(this.#random() * (state.until - this.#clock.now()), { signal, clock: this.#clock });
          if (this.#state.kind !== 'probing') return;
          break;
        }
        case 'probing': {
          const wait = state.nextAt - this.#clock.now();
          if (!state.busy && wait <= 0) {
            state.busy = true;
            return;
          }
          await this.#changed(state, state.busy ? undefined : wait, signal);
        }
      }
    }
  }

  /** The attempt made a connection. */
  succeeded(): void {
    const state = this.#state;
    if (state.kind !== 'probing') return;
    // Before the first connection of a pool no caller was held back: there is no crowd to spread.
    if (state.untried) this.#become({ kind: 'flowing' });
    else this.#spread(true);
  }

  /** The attempt failed in a way that says that no connection is available now. */
  failed(): void {
    const previous = this.#state;
    const { outageIntervalMillis, longestOutageIntervalMillis } = this.#settings;
    const failures = previous.kind === 'probing' ? previous.failures : 0;
    const intervalMillis =
      previous.kind === 'probing' && failures > 0
        ? Math.min(previous.intervalMillis * 1.5, longestOutageIntervalMillis)
        : outageIntervalMillis;
    // Jitter only lengthens the pause, so that the bound on attempts per second holds.
    const pause = intervalMillis * (1 + 0.25 * this.#random());
    const nextAt = this.#clock.now() + pause;
    this.#become(probing({ nextAt, intervalMillis, failures: failures + 1, untried: false }));
  }

  /** A connection was lost in a way that makes the server suspect: one attempt must succeed before many are made. */
  suspected(): void {
    if (this.#state.kind === 'probing') return;
    const { outageIntervalMillis } = this.#settings;
    this.#become(
      probing({ nextAt: this.#clock.now(), intervalMillis: outageIntervalMillis, failures: 0, untried: false }),
    );
  }

  /** The attempt was not made, or ended without saying anything about the server. */
  passed(): void {
    const state = this.#state;
    if (state.kind !== 'probing' || !state.busy) return;
    state.busy = false;
    wake(state);
  }

  /** The pool points at another server now, and has one connection to it: the others follow, spread out. */
  switched(): void {
    this.#spread(false);
  }

  /** Something changed that justifies an attempt at once (a new target while the old one is down). */
  hurry(): void {
    const state = this.#state;
    if (state.kind !== 'probing') return;
    state.nextAt = this.#clock.now();
    state.intervalMillis = this.#settings.outageIntervalMillis;
    wake(state);
  }

  #spread(firstTaken: boolean): void {
    const { spreadMillis } = this.#settings;
    const until = this.#clock.now() + spreadMillis;
    this.#become(spreadMillis > 0 ? { kind: 'spreading', until, firstTaken } : { kind: 'flowing' });
  }

  #become(next: PacingState): void {
    const previous = this.#state;
    this.#state = next;
    if (previous.kind === 'probing') wake(previous);
  }

  // Waits until the probing state changes or `millis` have passed.
  #changed(state: Probing, millis: number | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = millis === undefined ? undefined : this.#clock.schedule(() => finish(resolve), millis);
      const onWake = () => finish(resolve);
      const abort = () => finish(() => reject(signal.reason));
      const finish = (settle: () => void) => {
        timer?.cancel();
        state.waiting.delete(onWake);
        stopListening();
        settle();
      };
      state.waiting.add(onWake);
      const stopListening = onAbort(signal, abort);
    });
  }
}

interface Probing {
  readonly kind: 'probing';
  /** How many attempts in a row failed. */
  readonly failures: number;
  /** Whether no attempt was ever made. */
  readonly untried: boolean;
  /** Whether an attempt is in progress. */
  busy: boolean;
  nextAt: number;
  intervalMillis: number;
  readonly waiting: Set<() => void>;
}

interface Spreading {
  readonly kind: 'spreading';
  readonly until: number;
  /** Whether a first attempt has gone ahead: that one does not wait. */
  firstTaken: boolean;
}

type PacingState = { readonly kind: 'flowing' } | Spreading | Probing;

function probing(fields: Pick<Probing, 'nextAt' | 'intervalMillis' | 'failures' | 'untried'>): Probing {
  return { kind: 'probing', busy: false, waiting: new Set(), ...fields };
}

function wake(state: Probing): void {
  for (const listener of [...state.waiting]) listener();
}
