import { InvalidArgumentError, type WaitOptions } from '@externalname/core';
import {
  aFunction,
  aNumber,
  aSignal,
  aText,
  checkOptions,
  optional,
  ownOptions,
  sleep,
} from '@externalname/core/internal';
import { type Distribution, distribution } from './distribution.ts';
import { fullNameOf } from './full-name.ts';
import { askNameserver, type NameAnswer } from './name-answer.ts';
import { checkNameservers, findNameservers, type NameserverOptions, nameserverShapes } from './nameservers.ts';

/** See {@link traceName}. */
export interface TraceNameOptions extends NameserverOptions, WaitOptions {
  /** A Service (`webscaler-db`, `webscaler-db.payments`) or any host name. With a dot at its end it is complete. */
  name: string;
  /** Completes a short name. @defaultValue that of resolv.conf in a pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue that of resolv.conf in a pod, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Longest time for one question; it is asked twice. Milliseconds, 1 to 60000. @defaultValue 2000 */
  timeoutMillis?: number | undefined;
}

/** What each nameserver says about a name. */
export interface NameTrace {
  /** The full name that was asked for. */
  readonly name: string;
  /** One for each server, in their order. */
  readonly answers: readonly NameAnswer[];
}

/**
 * Asks each DNS server by itself for a name, past every cache of ours: the chain hop by hop, with TTLs, addresses and times. A short name
 * is completed as a pod does it, by the search list.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const { answers } = await traceName({ name: 'webscaler-db', nameservers: ['10.96.0.10'] });
 * for (const { server, outcome, chain } of answers) console.log(server, outcome, chain[0]?.target);
 * ```
 */
export async function traceName(given: TraceNameOptions): Promise<NameTrace> {
  const { name, askAll } = await asking(checked(given, {}));
  return { name, answers: await askAll() };
}

/** See {@link measureName}. */
export interface MeasureNameOptions extends TraceNameOptions {
  /** How often each server is asked for each name. 1 to 1000000. */
  count: number;
  /** Pause after each round. Milliseconds, 0 to 3600000. @defaultValue 0 */
  pauseMillis?: number | undefined;
}

/** How fast and how reliably a name resolves. */
export interface NameMeasurement {
  /** The full name that was asked for. */
  readonly name: string;
  /** One for each server and each name of the chain. */
  readonly measured: readonly MeasuredName[];
}

/** The answers of one server about one name of the chain. */
export interface MeasuredName {
  /** `address:port` */
  readonly server: string;
  /** The name itself, or one that it leads to. */
  readonly name: string;
  /** How many questions. */
  readonly asked: number;
  /** How many of them had no address for an answer. */
  readonly failed: number;
  /** Of the answers; undefined if there was none. */
  readonly millis: Distribution | undefined;
  /** How often each failure came: `timeout`, `not-found`, ... */
  readonly failures: Readonly<Record<string, number>>;
}

/**
 * Measures before going live: asks each server for each name of the chain, one question at a time, the servers at the same time.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const { measured } = await measureName({ name: 'webscaler-db', count: 1000 });
 * for (const { server, name, millis, failed } of measured) console.log(server, name, millis?.p99, failed);
 * ```
 */
export async function measureName(given: MeasureNameOptions): Promise<NameMeasurement> {
  const options = checked(given, {
    count: aNumber({ least: 1, most: 1_000_000, whole: true }),
    pauseMillis: optional(aNumber({ least: 0, most: 3_600_000 })),
  });
  const { name, ask, askAll } = await asking(options);
  const answers = await askAll();
  const { count, pauseMillis = 0, signal } = options;
  const longest = answers.reduce((one, other) => (other.chain.length > one.chain.length ? other : one));
  const names = [name, ...longest.chain.map(({ target }) => target)];
  const perServer = await Promise.all(
    answers.map(async ({ server }) => {
      const found = names.map((each) => ({
        name: each,
        times: [] as number[],
        failures: {} as Record<string, number>,
      }));
      for (let round = 0; round < count; round++) {
        for (const { name: asked, times, failures } of found) {
          const { outcome, failure, elapsedMillis } = await ask(server, asked);
          if (outcome === 'addresses') times.push(elapsedMillis);
          else failures[failure ?? outcome] = (failures[failure ?? outcome] ?? 0) + 1;
        }
        if (pauseMillis > 0) await sleep(pauseMillis, { signal });
      }
      return found.map(
        ({ name: asked, times, failures }): MeasuredName => ({
          server,
          name: asked,
          asked: count,
          failed: count - times.length,
          millis: distribution(times),
          failures,
        }),
      );
    }),
  );
  return { name, measured: perServer.flat() };
}

/** See {@link watchName}. */
export interface WatchNameOptions extends TraceNameOptions {
  /** Called with the first answer of each server, and with each that differs from the one before. */
  onAnswer: (answer: WatchedAnswer) => void;
  /** Pause between two questions. Milliseconds, 0 to 3600000. @defaultValue 1000 */
  intervalMillis?: number | undefined;
  /** Ends the watch. */
  signal: AbortSignal;
}

/** An answer, and when it came. */
export interface WatchedAnswer extends NameAnswer {
  /** RFC 3339, UTC. */
  readonly at: string;
}

/**
 * Asks each DNS server again and again, and tells what changes: a switch that arrives. TTLs and times do not count as changes. Ends by the
 * signal, and rejects with its reason.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const signal = AbortSignal.timeout(60_000);
 * await watchName({ name: 'webscaler-db', signal, onAnswer: (answer) => console.log(answer.at, describeAnswer(answer)) });
 * ```
 */
export async function watchName(given: WatchNameOptions): Promise<never> {
  const options = checked(given, {
    onAnswer: aFunction,
    intervalMillis: optional(aNumber({ least: 0, most: 3_600_000 })),
  });
  const { onAnswer, intervalMillis = 1_000, signal } = options;
  if (signal === undefined) throw new InvalidArgumentError('signal', 'must be given: nothing else ends the watch');
  const { askAll } = await asking(options);
  const last = new Map<string, string>();
  for (;;) {
    for (const answer of await askAll()) {
      const { server, outcome, chain, addresses } = answer;
      const said = JSON.stringify([
        outcome,
        chain.map(({ target }) => target),
        addresses.map(({ address }) => address).sort(),
      ]);
      if (last.get(server) === said) continue;
      last.set(server, said);
      onAnswer({ at: new Date().toISOString(), ...answer });
    }
    await sleep(intervalMillis, { signal });
  }
}

function checked<Options extends TraceNameOptions>(given: Options, more: object): Options {
  const options = ownOptions(given);
  checkOptions<object>(options, {
    ...nameserverShapes,
    name: aText,
    namespace: optional(aText),
    clusterDomain: optional(aText),
    timeoutMillis: optional(aNumber({ least: 1, most: 60_000 })),
    signal: aSignal,
    ...more,
  });
  checkNameservers(options);
  if (options.name === '') throw new InvalidArgumentError('name', 'must be a name, got an empty string');
  return options;
}

async function asking(options: TraceNameOptions) {
  const { timeoutMillis = 2_000, signal, namespace, clusterDomain } = options;
  signal?.throwIfAborted();
  const nameservers = await findNameservers(options);
  const name = await fullNameOf(options.name, { namespace, clusterDomain }, nameservers, signal);
  const ask = (server: string, asked: string) => askNameserver(server, asked, { signal, timeoutMillis });
  return { name, ask, askAll: () => Promise.all(nameservers.servers.map((server) => ask(server, name))) };
}
