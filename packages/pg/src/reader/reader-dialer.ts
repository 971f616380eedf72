import type { Clock, Endpoint, Target } from '@externalname/core';
import { FailedAddresses, type ServiceRoute } from '@externalname/core/internal';
import type { Dialer } from '../connect/connector.ts';
import type { ReaderLink } from './reader-link.ts';

/**
 * How a reader gets to its servers. Behind the addresses of its own target come those of the primary, if it may serve reads. An
 * address that could not be used is left out for ten seconds if there are others: a caller would wait for it, because a standby is
 * preferred to a primary that serves. A pool that balances tries it in the background, and sooner.
 */
export function readerDialer<Own extends Dialer>(dialer: Own, link: ReaderLink | undefined, clock: Clock): Own {
  if (link === undefined) return dialer;
  const addresses = new FailedAddresses(clock);
  const report = (endpoint: Endpoint, failed: boolean) => {
    addresses.report(endpoint, failed);
    dialer.report(endpoint, failed);
  };
  return {
    ...dialer,
    report,
    lost: (endpoint) => report(endpoint, true),
    endpoints: async (target, options) => addresses.usable(await allEndpoints(dialer, link, target, options)),
  };
}

async function allEndpoints(
  dialer: Dialer,
  { primaryEndpoints }: ReaderLink,
  target: Target,
  options: Parameters<Dialer['endpoints']>[1],
): Promise<readonly Endpoint[]> {
  if (primaryEndpoints === undefined) return await dialer.endpoints(target, options);
  const [own, primary] = await Promise.allSettled([
    dialer.endpoints(target, options),
    primaryEndpoints(options.signal),
  ]);
  const behind = primary.status === 'fulfilled' ? primary.value : [];
  if (own.status === 'rejected' && behind.length === 0) throw own.reason;
  const before = own.status === 'fulfilled' ? own.value : [];
  return [...before, ...behind.filter(({ address }) => !before.some((each) => each.address === address))];
}

/** The addresses where a pool points, checked against its policy. */
export async function endpointsOf(
  dialer: Pick<ServiceRoute, 'source' | 'policy'> & Pick<Dialer, 'endpoints'>,
  known: Target | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly Endpoint[]> {
  const target = known ?? (await dialer.source.current({ signal }));
  dialer.policy.checkTarget(target);
  return await dialer.endpoints(target, { signal });
}
