import { type Clock, systemClock } from './clock.ts';

/** The options of everything in these packages that waits. */
export interface WaitOptions {
  /** Ends the wait early. The promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** See {@link withDeadline}. */
export interface DeadlineOptions extends WaitOptions {
  /** Longest time for the work, in milliseconds. `Infinity` sets no deadline. */
  timeoutMillis: number;
  /** Makes the error that the promise rejects with when the time is up. */
  onTimeout: () => Error;
  clock?: Clock | undefined;
  /** Whether the process may end meanwhile. For work that no caller waits for. @defaultValue false */
  background?: boolean | undefined;
}

/**
 * Runs `work` until it settles, the deadline passes or the caller's signal fires, whichever comes first.
 *
 * In the latter two cases the signal that `work` receives fires with the reason that the promise rejects with, and
 * `work` has to clean up. Timer and listener are removed as soon as the promise settles.
 *
 * @internal
 */
export async function withDeadline<T>(work: (signal: AbortSignal) => Promise<T>, options: DeadlineOptions): Promise<T> {
  const { signal, timeoutMillis, onTimeout, clock = systemClock, background } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  const stopListening = signal && onAbort(signal, abort);
  const timer = Number.isFinite(timeoutMillis)
    ? clock.schedule(() => controller.abort(onTimeout()), timeoutMillis, { background })
    : undefined;
  try {
    return await abortable(work(controller.signal), controller.signal);
  } finally {
    timer?.cancel();
    stopListening?.();
  }
}

/**
 * Waits for `promise` until `signal` fires, and then rejects with the signal's reason. The promise itself goes on, and
 * its rejection is then ignored.
 *
 * @internal
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(onAbort(signal, abort));
  });
}

/** See {@link sleep}. */
export interface SleepOptions extends WaitOptions {
  clock?: Clock | undefined;
  /** Whether the process may end meanwhile. @defaultValue false */
  background?: boolean | undefined;
}

/**
 * Resolves after `millis`. Rejects with the signal's reason if the signal fires first.
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
        stopListening?.();
        resolve();
      },
      millis,
      { background },
    );
    const stopListening = signal && onAbort(signal, abort);
  });
}

/**
 * Calls `listener` once when the signal fires, but not if it has fired already. Returns the function that ends the wait.
 *
 * The signal gets one listener, however many wait for it: a server may pass one signal to everything it does, and Node.js
 * warns about the eleventh listener (MaxListenersExceededWarning).
 *
 * @internal
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) return () => {};
  const wait = waits.get(signal) ?? beginWait(signal);
  // An object, because the same function may wait more than once.
  const entry = { listener };
  wait.entries.add(entry);
  return () => {
    if (!wait.entries.delete(entry) || wait.entries.size > 0) return;
    signal.removeEventListener('abort', wait.tell);
    waits.delete(signal);
  };
}

/** Everyone who waits for one signal. */
interface Wait {
  readonly entries: Set<{ readonly listener: () => void }>;
  readonly tell: () => void;
}

function beginWait(signal: AbortSignal): Wait {
  const entries: Wait['entries'] = new Set();
  const tell = () => {
    waits.delete(signal);
    for (const entry of [...entries]) {
      // As with listeners of a signal: one that another removed is not called, and one that throws stops no other.
      if (!entries.delete(entry)) continue;
      try {
        entry.listener();
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    }
  };
  const wait = { entries, tell };
  waits.set(signal, wait);
  signal.addEventListener('abort', tell, { once: true });
  return wait;
}

const waits = new WeakMap<AbortSignal, Wait>();
