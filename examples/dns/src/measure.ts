import { type DnsResolver, type Resolution, ResolutionError } from '@externalname/core';
import { type DnsQueryEvent, dnsQueryChannel } from '@externalname/core/events';

/** How one name was resolved, and what that took. */
export interface Measured {
  readonly name: string;
  readonly result: Resolution | ResolutionError;
  /** The queries that left for it, in the order of their answers. Empty where the cache had the answer. */
  readonly queries: readonly DnsQueryEvent[];
  readonly elapsedMillis: number;
}

/** A service as its callers see it, and the second hop by itself. */
export interface Picture {
  /** The service's name: both hops in one question. */
  readonly service: Measured;
  /** The host that the service stands for, asked directly: what the provider's DNS takes. Absent where there is none. */
  readonly target: Measured | undefined;
  /** The service's name once more: what it takes from the cache. */
  readonly again: Measured;
}

/** Resolves a service past every cache of this process, then its target alone, then the service from the cache. */
export async function measureService(resolver: DnsResolver, service: string): Promise<Picture> {
  const whole = await measure(resolver, service, true);
  const [first] = whole.result.chain;
  const target = first === undefined ? undefined : await measure(resolver, first.target, true);
  return { service: whole, target, again: await measure(resolver, service, false) };
}

async function measure(resolver: DnsResolver, name: string, fresh: boolean): Promise<Measured> {
  const queries: DnsQueryEvent[] = [];
  const unsubscribe = dnsQueryChannel.subscribe((event) => queries.push(event));
  const begun = performance.now();
  try {
    const result = await resolver.resolve(name, { fresh }).catch((error: unknown) => {
      if (error instanceof ResolutionError) return error;
      throw error;
    });
    return { name, result, queries, elapsedMillis: performance.now() - begun };
  } finally {
    unsubscribe();
  }
}
