import {
  type Clock,
  ClosedError,
  DeadlineError,
  type Dependencies,
  type Random,
  type WaitOptions,
} from '@externalname/core';
import { backgroundFailed } from '@externalname/core/events';
import {
  aFunction,
  aNumber,
  anObjectWith,
  aText,
  backoffMillis,
  checkFunction,
  checkOptions,
  dependenciesOf,
  inBackground,
  optional,
  ownOptions,
  printable,
  type Shapes,
  sleep,
  withDeadline,
} from '@externalname/core/internal';
import { engineStateChanged } from '../events.ts';
import {
  defaultTimeoutMillis,
  type EngineOptions,
  type EngineReader,
  type EngineState,
  type HaEngine,
  type MemberWord,
  unknown,
} from './engine.ts';

/** The checks of {@link EngineOptions}, for the options of each engine. */
export const engineShapes: Shapes<EngineOptions> = {
  pollMillis: optional(aNumber({ least: 20, most: 60_000 })),
  requestTimeoutMillis: optional(aNumber({ least: 10, most: 60_000 })),
};

/**
 * Makes an engine of a reader: it follows the pushes, polls beside them, bounds each look in time, and turns what fails into `unknown`. Write a reader
 * of your own for an engine that is not among these.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const engine = createEngine({
 *   name: 'my registry',
 *   read: async ({ signal }) => {
 *     const answer = await fetch('https://registry.example.com/leader', { signal });
 *     const { member } = (await answer.json()) as { member: string };
 *     return { state: 'leader', member };
 *   },
 * });
 * ```
 */
export function createEngine(
  reader: EngineReader,
  options: EngineOptions = {},
  dependencies: Dependencies = {},
): HaEngine {
  anObjectWith('read')('reader', reader);
  aText('reader.name', reader.name);
  for (const name of ['push', 'ask', 'close'] as const) optional(aFunction)(`reader.${name}`, reader[name]);
  checkOptions(options, engineShapes);
  return new FollowedEngine(reader, ownOptions(options), dependenciesOf(dependencies));
}

class FollowedEngine implements HaEngine {
  readonly name: string;
  readonly #reader: EngineReader;
  readonly #pollMillis: number;
  readonly #timeoutMillis: number;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #closing = new AbortController();
  readonly #listeners = new Map<(state: EngineState) => void, EngineState | undefined>();
  #life: { readonly controller: AbortController; readonly over: Promise<unknown> } | undefined;
  #known: EngineState | undefined;
  #heardAt: number | undefined;
  /** Looks are numbered, because one that began earlier may be answered later. */
  #begun = 0;
  #learnedFrom = 0;
  #pushed = false;
  #isOpen = false;
  #wake = () => {};
  #closed: Promise<void> | undefined;

  constructor(reader: EngineReader, options: EngineOptions, { clock, random }: { clock: Clock; random: Random }) {
    this.name = printable(reader.name, 200);
    this.#reader = reader;
    this.#pollMillis = options.pollMillis ?? 500;
    this.#timeoutMillis = options.requestTimeoutMillis ?? defaultTimeoutMillis;
    this.#clock = clock;
    this.#random = random;
  }

  get known(): EngineState | undefined {
    return this.#closed === undefined ? this.#known : undefined;
  }

  get heardMillisAgo(): number | undefined {
    return this.#heardAt === undefined ? undefined : this.#clock.now() - this.#heardAt;
  }

  async read({ signal }: WaitOptions = {}): Promise<EngineState> {
    this.#begun += 1;
    const number = this.#begun;
    const beganAt = this.#clock.now();
    const state = await this.#bounded('a look', signal, (bound) => this.#reader.read({ signal: bound })).catch(
      (error: unknown) => {
        this.#throwIfOver(signal);
        return unknown('unreachable', printable(error instanceof Error ? error.message : String(error), 500));
      },
    );
    this.#throwIfOver(signal);
    // As old as the question: what happened after it may be missing in the answer.
    if (state.state !== 'unknown' || state.reason !== 'unreachable')
      this.#heardAt = Math.max(beganAt, this.#heardAt ?? 0);
    if (number > this.#learnedFrom) {
      this.#learnedFrom = number;
      this.#learn(state);
    }
    return state;
  }

  async ask(member: string, { signal }: WaitOptions = {}): Promise<MemberWord | undefined> {
    const { ask } = this.#reader;
    if (ask === undefined) return undefined;
    try {
      return await this.#bounded('the answer of a member', signal, (bound) =>
        ask.call(this.#reader, member, { signal: bound }),
      );
    } catch (error) {
      this.#throwIfOver(signal);
      return { leads: false, detail: printable(error instanceof Error ? error.message : String(error), 500) };
    }
  }

  subscribe(given: (state: EngineState) => void): () => void {
    checkFunction('listener', given);
    if (this.#closed !== undefined) throw new ClosedError(this.name);
    // The same function may subscribe twice.
    const listener = (state: EngineState) => given(state);
    this.#listeners.set(listener, undefined);
    if (this.#life === undefined) this.#start();
    else if (this.#known !== undefined) this.#tell(listener, this.#known);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) void this.#stop();
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#listeners.clear();
    this.#closing.abort(new ClosedError(this.name));
    await this.#stop();
    await this.#reader.close?.();
  }

  #bounded<T>(what: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(new ClosedError(this.name));
    return withDeadline(work, {
      signal: signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]),
      timeoutMillis: this.#timeoutMillis,
      clock: this.#clock,
      onTimeout: () => new DeadlineError(`${what} of ${this.name}`, this.#timeoutMillis),
    });
  }

  #throwIfOver(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw new ClosedError(this.name);
  }

  #start(): void {
    const controller = new AbortController();
    const { signal } = controller;
    // What is known is from before: it is told once it is confirmed.
    this.#known = undefined;
    const over = inBackground(() => Promise.allSettled([this.#poll(signal), this.#push(signal)]));
    this.#life = { controller, over };
  }

  async #stop(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    life?.controller.abort(new ClosedError(this.name));
    this.#wake();
    await life?.over;
  }

  async #poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#pushed = false;
      const state = await this.read({ signal }).catch(() => undefined);
      if (signal.aborted || state === undefined) return;
      if (this.#pushed) continue;
      await this.#pause(this.#paceAfter(state), signal);
    }
  }

  #paceAfter(state: EngineState): number {
    const isMoving = state.state === 'releasing' || (state.state === 'unknown' && state.reason === 'unlocked');
    if (isMoving) return Math.max(20, this.#pollMillis / 10);
    return this.#isOpen ? Math.max(this.#pollMillis, besidePushMillis) : this.#pollMillis;
  }

  async #pause(millis: number, signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    this.#wake = () => waiting.abort();
    await sleep(millis, { signal: AbortSignal.any([signal, waiting.signal]), clock: this.#clock }).catch(
      () => undefined,
    );
    this.#wake = () => {};
  }

  async #push(signal: AbortSignal): Promise<void> {
    const { push } = this.#reader;
    if (push === undefined) return;
    const changed = () => {
      this.#pushed = true;
      this.#wake();
    };
    const opened = () => {
      this.#isOpen = true;
      // What changed before the line was open was not pushed.
      changed();
    };
    for (let failures = 1; !signal.aborted; failures += 1) {
      const startedAt = this.#clock.now();
      await push.call(this.#reader, { signal, changed, opened }).catch(() => undefined);
      this.#isOpen = false;
      changed();
      if (this.#clock.now() - startedAt > besidePushMillis) failures = 1;
      await sleep(backoffMillis(failures, reconnect, this.#random), { signal, clock: this.#clock }).catch(
        () => undefined,
      );
    }
  }

  #learn(state: EngineState): void {
    if (this.#known !== undefined && isSame(this.#known, state)) return;
    this.#known = state;
    engineStateChanged.publish(() => ({ engine: this.name, ...state }));
    for (const listener of this.#listeners.keys()) this.#tell(listener, state);
  }

  #tell(listener: (state: EngineState) => void, state: EngineState): void {
    queueMicrotask(() => {
      if (!this.#listeners.has(listener) || this.#listeners.get(listener) === state) return;
      this.#listeners.set(listener, state);
      try {
        listener(state);
      } catch (error) {
        backgroundFailed.publish(() => ({ what: 'calling a listener of an engine', error }));
      }
    });
  }
}

/** Whether two states say the same. Words for people may differ. */
function isSame(one: EngineState, other: EngineState): boolean {
  const { detail: _, ...first } = one as EngineState & { detail?: string };
  const { detail: __, ...second } = other as EngineState & { detail?: string };
  return JSON.stringify(first) === JSON.stringify(second);
}

/** Polling beside an open line, in case that a push is lost. */
const besidePushMillis = 5_000;
const reconnect = { shortestMillis: 100, longestMillis: 10_000 };
