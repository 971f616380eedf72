import { DnsResolver, isExternalNameError, type Target, type TargetSource } from '@externalname/core';
import { printable, sleep } from '@externalname/core/internal';
import type { Sight } from './sights.ts';

/** Tells what a source sees, again and again, until the signal fires. */
export interface Looking {
  readonly see: (sight: Sight) => void;
  readonly everyMillis: number;
  readonly signal: AbortSignal;
}

/** Looks at a watch of the Kubernetes API: at once when it tells of a change, and now and then whether it is still confirmed. */
export async function lookAtSource(source: TargetSource, { see, everyMillis, signal }: Looking): Promise<void> {
  const sightOf = ({ externalName, stale }: Target): Sight => ({
    source: 'kubernetes',
    at: new Date(),
    target: externalName,
    stale,
  });
  const unsubscribe = source.subscribe((target) => see(sightOf(target)));
  try {
    for (;;) {
      try {
        see(sightOf(await source.current({ signal })));
      } catch (error) {
        signal.throwIfAborted();
        see({ source: 'kubernetes', at: new Date(), error: reasonOf(error) });
      }
      await sleep(everyMillis, { signal });
    }
  } finally {
    unsubscribe();
  }
}

/** Asks one DNS server for the Service's name. Nothing is kept in between: what the server says at that moment is the question. */
export async function lookAtServer(server: string, name: string, { see, everyMillis, signal }: Looking): Promise<void> {
  await using resolver = new DnsResolver({ nameservers: [server], cache: false, attempts: 1 });
  for (;;) {
    const beganAt = performance.now();
    const seen = await answerOf(resolver, name, signal);
    see({ source: dnsSource(server), at: new Date(), elapsedMillis: performance.now() - beganAt, ...seen });
    await sleep(everyMillis, { signal });
  }
}

/** What the sights of a DNS server are called. */
export function dnsSource(server: string): string {
  return `dns ${server.replace(/:53$/, '')}`;
}

type Answer = Pick<Sight, 'target' | 'addresses' | 'ttlSeconds' | 'error'>;

async function answerOf(resolver: DnsResolver, name: string, signal: AbortSignal): Promise<Answer> {
  try {
    const { chain, addresses } = await resolver.resolve(name, { fresh: true, signal, timeoutMillis: answerMillis });
    const [first] = chain;
    return {
      target: first?.target,
      addresses: addresses.map(({ address }) => address).sort(),
      ttlSeconds: first?.ttlSeconds,
      ...(first === undefined && { error: 'an address, but no other name: it is not of type ExternalName' }),
    };
  } catch (error) {
    signal.throwIfAborted();
    // The alias may be there, although the host that it names has no address.
    const chain: unknown = isExternalNameError(error) && 'chain' in error ? error.chain : undefined;
    const [first] = Array.isArray(chain) ? chain : [];
    return { target: first?.target, ttlSeconds: first?.ttlSeconds, error: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error), 300);
}

const answerMillis = 3_000;
