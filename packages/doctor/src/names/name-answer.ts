import { DnsResolver, ResolutionError } from '@externalname/core';
import {
  DnsQueryError,
  type Hop,
  type QueryFailure,
  type ResolutionFailure,
  type ResolvedAddress,
} from '@externalname/core/dns';
import { aNumber, aText, checkProperties, listOf, objectOf, printable } from '@externalname/core/internal';
import { canonicalName } from '@externalname/core/names';

/** The answer of one nameserver about one name. */
export interface NameAnswer {
  /** `address:port` */
  readonly server: string;
  /** The name that was asked for, canonical. */
  readonly name: string;
  /** `addresses`, or why there are none. */
  readonly outcome: 'addresses' | ResolutionFailure;
  /** If the outcome is `unavailable`: what went wrong with the query. */
  readonly failure: QueryFailure | undefined;
  /** Why there are no addresses, in words; else empty. */
  readonly detail: string;
  /** Each alias, with its TTL and the time that it took. */
  readonly chain: readonly Hop[];
  /** The addresses of the last name, with their TTLs. */
  readonly addresses: readonly ResolvedAddress[];
  /** Milliseconds for the whole chain. */
  readonly elapsedMillis: number;
}

/** Asks one server for one full name, past every cache of ours. */
export async function askNameserver(
  server: string,
  name: string,
  { signal, timeoutMillis }: { readonly signal: AbortSignal | undefined; readonly timeoutMillis: number },
): Promise<NameAnswer> {
  const resolver = new DnsResolver({
    nameservers: [server],
    cache: false,
    attempts: 2,
    timeoutMillis,
    totalTimeoutMillis: 2 * timeoutMillis + 1_000,
  });
  const beganAt = performance.now();
  const [address = server] = resolver.nameservers;
  const common = () => ({
    server: address,
    name: canonicalName(name),
    elapsedMillis: Math.round((performance.now() - beganAt) * 10) / 10,
  });
  try {
    const { chain, addresses } = await resolver.resolve(name, { signal });
    return { ...common(), outcome: 'addresses', failure: undefined, detail: '', chain, addresses };
  } catch (error) {
    if (!(error instanceof ResolutionError)) throw error;
    const { failure: outcome, chain, detail } = error;
    const failure = outcome === 'unavailable' ? queryFailure(error.cause) : undefined;
    return { ...common(), outcome, failure, detail: printable(detail, 300), chain, addresses: [] };
  } finally {
    await resolver.close();
  }
}

/**
 * An answer in one line: `10.96.0.10:53  2 ms  name -> target (5 s) -> 192.0.2.10 (300 s)`. Printable, whatever the server sent.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * for (const answer of (await traceName({ name: 'webscaler-db' })).answers) console.log(describeAnswer(answer));
 * ```
 */
export function describeAnswer(answer: NameAnswer): string {
  checkProperties(answer, answerShapes, 'answer');
  const { server, name, outcome, detail, chain, addresses, elapsedMillis } = answer;
  const hops = chain.map(({ target, ttlSeconds }) => ` -> ${target} (${ttlSeconds} s)`).join('');
  const shown = addresses.map(({ address, ttlSeconds }) => `${address} (${ttlSeconds} s)`).join(', ');
  return printable(
    `${server}  ${shortMillis(elapsedMillis)}  ${name}${hops}${outcome === 'addresses' ? ` -> ${shown}` : `: ${detail}`}`,
  );
}

const answerShapes = {
  ...{ server: aText, name: aText, outcome: aText, detail: aText, elapsedMillis: aNumber() },
  chain: listOf(objectOf({ target: aText, ttlSeconds: aNumber() })),
  addresses: listOf(objectOf({ address: aText, ttlSeconds: aNumber() })),
};

/** Whole milliseconds, but for what takes less than ten. */
export function shortMillis(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** What went wrong with the first query that failed. */
function queryFailure(cause: unknown): QueryFailure | undefined {
  if (cause instanceof DnsQueryError) return cause.failure;
  if (cause instanceof AggregateError) return cause.errors.map(queryFailure).find(Boolean);
  return cause instanceof Error ? queryFailure(cause.cause) : undefined;
}
