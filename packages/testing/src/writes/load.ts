import { DeadlineError } from '@externalname/core';
import { aFunction, aNumber, aSignal, checkOptions, optional, sleep, withDeadline } from '@externalname/core/internal';
import type { FailureOutcome, SettledWrite, Write, WriteReport } from './write.ts';

/** See {@link WriteLoad}. */
export interface WriteLoadOptions {
  /** How many workers write at the same time, each one row after the other. 1 to 10000. */
  workers: number;
  /** Writes one row with this id, and resolves with the address of the server that did: `host(inet_server_addr())`. */
  write: (id: number, worker: number) => Promise<string>;
  /** Each worker's pause between two writes. Milliseconds. @defaultValue 20 */
  pauseMillis?: number | undefined;
  /** Ids are `firstId`, `firstId + 1`, ... @defaultValue 1 */
  firstId?: number | undefined;
  /** What an error says of the write; `outcomeOf` of `@externalname/pg` does. @defaultValue nothing is said */
  outcomeOf?: ((error: unknown) => 'not-executed' | 'unknown' | undefined) | undefined;
  /** Milliseconds of a monotonic clock. @defaultValue `performance.now` */
  now?: (() => number) | undefined;
}

/** See {@link WriteLoad.stop}. */
export interface WriteLoadStopOptions {
  /** Longest time for the writes under way to settle. Milliseconds. @defaultValue 15000 */
  timeoutMillis?: number | undefined;
  /** Ends the wait early. */
  signal?: AbortSignal | undefined;
}

/**
 * Workers that keep writing rows while you switch, kill and promote, and remember what became of each write. Whatever happens to a
 * write, its id is not used again, so rows that are missing or there twice can be counted afterwards.
 *
 * @example
 * ```ts
 * const load = new WriteLoad({
 *   workers: 20,
 *   outcomeOf,
 *   write: async (id, worker) => {
 *     const text = 'insert into writes (id, worker) values ($1, $2) returning host(inet_server_addr()) as address';
 *     const { rows } = await pool.query(text, [id, worker]);
 *     return rows[0].address;
 *   },
 * });
 * load.start();
 * ```
 */
export class WriteLoad {
  readonly #settings: Required<{ readonly [Option in keyof WriteLoadOptions]: NonNullable<WriteLoadOptions[Option]> }>;
  readonly #settled: SettledWrite[] = [];
  readonly #underWay = new Map<number, Write>();
  readonly #stopping = new AbortController();
  #nextId: number;
  #workers: Promise<unknown> | undefined;

  constructor(options: WriteLoadOptions) {
    checkOptions(options, {
      workers: aNumber({ least: 1, most: 10_000, whole: true }),
      write: aFunction,
      pauseMillis: optional(aNumber({ least: 0 })),
      firstId: optional(aNumber({ least: 0, whole: true })),
      outcomeOf: optional(aFunction),
      now: optional(aFunction),
    });
    const { workers, write, pauseMillis = 20, firstId = 1 } = options;
    const { outcomeOf = () => undefined, now = () => performance.now() } = options;
    this.#settings = { workers, write, pauseMillis, firstId, outcomeOf, now };
    this.#nextId = firstId;
  }

  /** Sets the workers to work. Only the first call does. */
  start(): void {
    const { workers } = this.#settings;
    this.#workers ??= Promise.all(Array.from({ length: workers }, (_, worker) => this.#work(worker)));
  }

  /** What has happened since the last call. For {@link WriteLedger.enter}. */
  report(): WriteReport {
    return { settled: this.#settled.splice(0), underWay: [...this.#underWay.values()] };
  }

  /**
   * Begins no more writes, and waits until those under way have settled.
   *
   * @throws DeadlineError `ERR_EXTERNALNAME_DEADLINE` if some have not; a last `report()` has them under way
   */
  async stop(options: WriteLoadStopOptions = {}): Promise<void> {
    checkOptions(options, { timeoutMillis: optional(aNumber({ least: 0 })), signal: aSignal });
    const { timeoutMillis = 15_000, signal } = options;
    this.#stopping.abort();
    await withDeadline(async () => this.#workers, {
      timeoutMillis,
      signal,
      onTimeout: () => new DeadlineError(`the end of ${this.#underWay.size} writes that are under way`, timeoutMillis),
    });
  }

  async #work(worker: number): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#writeOnce(worker);
      // It ends early when the load stops, and that is all that its rejection says.
      await sleep(this.#settings.pauseMillis, { signal }).catch(() => undefined);
    }
  }

  async #writeOnce(worker: number): Promise<void> {
    const { write, outcomeOf, now } = this.#settings;
    const begun = { id: this.#nextId++, worker, beganAt: now() };
    this.#underWay.set(begun.id, begun);
    try {
      const address = await write(begun.id, worker);
      this.#settled.push({ ...begun, settledAt: now(), address });
    } catch (error) {
      const { code, message } = textOf(error);
      const outcome: FailureOutcome = outcomeOf(error) ?? 'unsaid';
      this.#settled.push({ ...begun, settledAt: now(), failure: { code, message, outcome } });
    } finally {
      this.#underWay.delete(begun.id);
    }
  }
}

function textOf(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: String(error), message: String(error) };
  const { message, code } = error as Error & { code?: unknown };
  return { code: typeof code === 'string' && code !== '' ? code : message, message };
}
