import { type Clock, systemClock } from './clock.ts';

/** What every wait of these packages takes. */
export interface WaitOptions {
  /** Ends the wait early; the promise rejects with the signal's own reason. */
  signal?: AbortSignal | undefined;
}

/** See {@link withDeadline}. */
export interface DeadlineOptions extends WaitOptions {
  /** Longest time for the work, in milliseconds. `Infinity` sets no deadline. */
  timeoutMillis: number;
  /** Makes the error that the promise rejects with when the time is up. */
  onTimeout: () => Error;
  clock?: Clock | undefined;
  /** Whether the process may end meanwhile. For work that nobody waits for. @defaultValue false */
  background?: boolean | undefined;
}

/**
 * Runs `work` until it settles, the deadline passes or the caller's signal fires, whichever comes first.
 *
 * The signal that `work` receives fires in both of the latter cases, with the same reason that the
 * promise rejects with; the work is expected to clean up after itself then. Timer and listener are
 * gone as soon as the promise settles.
 *
 * @internal
 */
export async function withDeadline<T>(work: (signal: AbortSignal) => Promise<T>, options: DeadlineOptions): Promise<T> {
  const { signal, timeoutMillis, onTimeout, clock = systemClock, background } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  const timer = Number.isFinite(timeoutMillis)
    ? clock.schedule(() => controller.abort(onTimeout()), timeoutMillis, { background })
    : undefined;
  try {
    return await abortable(work(controller.signal), controller.signal);
  } finally {
    timer?.cancel();
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Waits for `promise`, but no longer than until `signal` fires; then rejects with the signal's reason.
 * The promise itself goes on; its own rejection is then nobody's business and stays silent.
 *
 * @internal
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** See {@link sleep}. */
export interface SleepOptions extends WaitOptions {
  clock?: Clock | undefined;
  /** Whether the process may end meanwhile. @defaultValue false */
  background?: boolean | undefined;
}

/**
 * Resolves after `millis`; rejects with the signal's reason when that fires first.
 *
 * @internal
 */
export function sleep(millis: number, options: SleepOptions = {}): Promise<void> {
  const { signal, clock = systemClock, background } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.schedule(
      () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      },
      millis,
      { background },
    );
    signal?.addEventListener('abort', abort, { once: true });
  });
}
