import type { Clock, Timer } from '../clock.ts';
import { onAbort, type WaitOptions } from '../deadline.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { ExternalNameError, type ExternalNameErrorOptions } from '../errors.ts';
import { backgroundFailed } from '../events/index.ts';
import { checkFunction } from '../input.ts';
import {
  aBoolean,
  aFunction,
  aNumber,
  aSignal,
  aText,
  checkOptions,
  listOf,
  objectOf,
  oneOf,
  optional,
} from '../shape.ts';
import type { Endpoint } from './endpoint.ts';

/** See {@link raceEndpoints}. */
export interface RaceOptions<T> extends WaitOptions {
  /**
   * How long to wait before the next attempt starts besides the last. Milliseconds, 10 or more (RFC 8305 section 8);
   * `Infinity` tries one after the other. @defaultValue 250
   */
  attemptDelayMillis?: number | undefined;
  /** Discards what a loser opened all the same. Failures of this function go to `externalname:background:failed`. */
  discard?: ((result: T, endpoint: Endpoint) => void | Promise<void>) | undefined;
  /**
   * Whether an error would be the same at every other endpoint (a wrong password). The race then ends with it.
   * @defaultValue never
   */
  isFinal?: ((error: unknown) => boolean) | undefined;
  /** Whether to alternate the address families (RFC 8305 section 4). @defaultValue true */
  interleaveFamilies?: boolean | undefined;
}

/** A failed attempt. */
export interface EndpointFailure {
  /** The endpoint of the attempt. */
  readonly endpoint: Endpoint;
  /** What went wrong. */
  readonly error: unknown;
}

/** The winner of a race. */
export interface RaceResult<T> {
  /** The result of the winning attempt. */
  readonly result: T;
  /** The endpoint that won. */
  readonly endpoint: Endpoint;
  /** The attempts that failed before. */
  readonly failures: readonly EndpointFailure[];
}

/**
 * None of the endpoints could be used. Code `ERR_EXTERNALNAME_NO_ENDPOINT`. `cause` is an `AggregateError` with one entry
 * per endpoint, in the order of the attempts; `failures` has the same with the endpoints.
 */
export class NoEndpointError extends ExternalNameError {
  /** The work did not happen, so repeating it is safe. */
  override readonly outcome = 'not-executed';
  /** What went wrong at each endpoint, in the order in which they failed. */
  readonly failures: readonly EndpointFailure[];

  constructor(failures: readonly EndpointFailure[], options: ExternalNameErrorOptions = {}) {
    const target = failures[0]?.endpoint.target.externalName;
    const of = target === undefined ? '' : ` of ${target}`;
    const details = failures.map((failure) => `${placeOf(failure.endpoint)}: ${summary(failure.error)}`).join('; ');
    const message =
      failures.length === 0 ? 'there is no endpoint to try' : `no endpoint${of} could be used: ${details}`;
    const errors = failures.map((failure) => failure.error);
    super('ERR_EXTERNALNAME_NO_ENDPOINT', message, { cause: new AggregateError(errors, message), ...options });
    this.failures = failures;
  }
}

/**
 * Tries endpoints in order, each a little after the last, or at once if that one failed, and returns the first that works
 * ("happy eyeballs", RFC 8305 section 5). For any protocol: `attempt` opens a connection, and should stop when its signal
 * fires. The signals of the losers fire, and what they open all the same goes to `discard`.
 *
 * @param endpoints in the order of preference; families are interleaved, the family of the first one first
 * @throws NoEndpointError `ERR_EXTERNALNAME_NO_ENDPOINT` if all of them fail
 * @throws the reason of `signal` if it fires; the error itself if `isFinal` says so
 *
 * @example
 * ```ts
 * const { result: socket } = await raceEndpoints(endpoints, connect, { discard: (socket) => void socket.destroy() });
 * ```
 */
export function raceEndpoints<T>(
  endpoints: readonly Endpoint[],
  attempt: (endpoint: Endpoint, signal: AbortSignal) => Promise<T>,
  options: RaceOptions<T> = {},
  dependencies: Dependencies = {},
): Promise<RaceResult<T>> {
  let clock: Clock;
  try {
    clock = dependenciesOf(dependencies).clock;
    listOf(objectOf({ address: aText, family: oneOf(4, 6), port: aNumber() }))('endpoints', endpoints);
    checkFunction('attempt', attempt);
    checkOptions(options, {
      attemptDelayMillis: optional(aNumber({ least: shortestAttemptDelayMillis })),
      discard: optional(aFunction),
      isFinal: optional(aFunction),
      interleaveFamilies: optional(aBoolean),
      signal: aSignal,
    });
  } catch (error) {
    return Promise.reject(error);
  }
  const { attemptDelayMillis = defaultAttemptDelayMillis, signal } = options;
  const { discard, isFinal = () => false, interleaveFamilies = true } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  const waiting = interleaveFamilies ? interleaved(endpoints) : [...endpoints];
  if (waiting.length === 0) return Promise.reject(new NoEndpointError([]));
  const failures: (Attempt & { error: unknown })[] = [];

  return new Promise((resolve, reject) => {
    const running = new Set<Attempt>();
    let started = 0;
    let timer: Timer | undefined;
    let over = false;

    const end = (reason: unknown) => {
      over = true;
      timer?.cancel();
      stopListening?.();
      for (const { controller } of running) controller.abort(reason);
      running.clear();
    };
    const abort = () => {
      end(signal?.reason);
      reject(signal?.reason);
    };
    const succeed = (winner: Attempt, result: T) => {
      const { endpoint } = winner;
      if (over) {
        throwAway(result, endpoint, discard);
        return;
      }
      running.delete(winner); // Its signal never fires, because its result is in use.
      end(new RaceLostError());
      resolve({ result, endpoint, failures: inOrder(failures) });
    };
    const fail = (loser: Attempt, error: unknown) => {
      if (over) return;
      running.delete(loser);
      failures.push({ ...loser, error });
      if (isFinal(error)) {
        end(new RaceLostError());
        reject(error);
      } else if (waiting.length > 0) {
        startNext();
      } else if (running.size === 0) {
        end(undefined);
        reject(new NoEndpointError(inOrder(failures)));
      }
    };
    const startNext = () => {
      timer?.cancel();
      const endpoint = waiting.shift();
      if (endpoint === undefined) return;
      const controller = new AbortController();
      const current: Attempt = { order: started++, endpoint, controller };
      running.add(current);
      if (waiting.length > 0 && attemptDelayMillis !== Number.POSITIVE_INFINITY) {
        timer = clock.schedule(startNext, attemptDelayMillis);
      }
      // Called from a promise, so that an attempt that throws has failed.
      Promise.resolve()
        .then(() => {
          controller.signal.throwIfAborted();
          return attempt(endpoint, controller.signal);
        })
        .then(
          (result) => succeed(current, result),
          (error) => fail(current, error),
        );
    };

    const stopListening = signal && onAbort(signal, abort);
    startNext();
  });
}

/** One call of `attempt`. */
interface Attempt {
  readonly order: number;
  readonly endpoint: Endpoint;
  readonly controller: AbortController;
}

/**
 * Alternates IPv6 and IPv4, beginning with the family of the first endpoint, and keeps the order within each
 * (RFC 8305 section 4, with one address of the first family).
 */
export function interleaved(endpoints: readonly Endpoint[]): Endpoint[] {
  const family = endpoints[0]?.family;
  const first = endpoints.filter((endpoint) => endpoint.family === family);
  const second = endpoints.filter((endpoint) => endpoint.family !== family);
  const mixed: Endpoint[] = [];
  for (let index = 0; index < Math.max(first.length, second.length); index++) {
    mixed.push(...first.slice(index, index + 1), ...second.slice(index, index + 1));
  }
  return mixed;
}

/** The reason of a loser's signal. Code `ERR_EXTERNALNAME_RACE_LOST`. */
class RaceLostError extends ExternalNameError {
  override readonly outcome = 'not-executed';

  constructor() {
    super('ERR_EXTERNALNAME_RACE_LOST', 'another endpoint answered first');
  }
}

function throwAway<T>(result: T, endpoint: Endpoint, discard: RaceOptions<T>['discard']): void {
  const what = `discarding what ${placeOf(endpoint)} opened too late`;
  Promise.resolve()
    .then(() => discard?.(result, endpoint))
    .catch((error: unknown) => backgroundFailed.publish(() => ({ what, error })));
}

function inOrder(failures: readonly (Attempt & { error: unknown })[]): readonly EndpointFailure[] {
  const sorted = [...failures].sort((one, other) => one.order - other.order);
  return sorted.map(({ endpoint, error }) => ({ endpoint, error }));
}

function placeOf({ address, family, port }: Endpoint): string {
  return family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

// Node's messages repeat the address and port, which the message names already.
function summary(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return 'syscall' in error && code !== undefined ? code : error.message || (code ?? error.name);
}

const defaultAttemptDelayMillis = 250;
const shortestAttemptDelayMillis = 10;
