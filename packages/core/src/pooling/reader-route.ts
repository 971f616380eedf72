import type { Clock } from '../clock.ts';
import { addressOf, type ServiceRoute } from '../connect/index.ts';
import type { Endpoint, Target } from '../targets/index.ts';

/** How a pool gets to its servers, as far as a reader changes it. */
interface Route<Options extends { readonly signal?: AbortSignal | undefined }> {
  endpoints(target: Target, options: Options): Promise<readonly Endpoint[]>;
  report(endpoint: Endpoint, failed: boolean): void;
  lost?(endpoint: Endpoint): void;
}

/** The addresses of the primary; left out if they are those of the reader itself, or are not to serve reads. */
type PrimaryEndpoints = ((signal: AbortSignal | undefined) => Promise<readonly Endpoint[]>) | undefined;

/**
 * How a reader gets to its servers. Behind the addresses of its own target come those of the primary, if it may serve reads. An
 * address that could not be used is left out for ten seconds if there are others: a caller would wait for it, because a standby is
 * preferred to a primary that serves. A pool that balances tries it in the background, and sooner.
 *
 * @internal
 */
export function readerRoute<Options extends { readonly signal?: AbortSignal | undefined }, Own extends Route<Options>>(
  route: Own & Route<Options>,
  primary: PrimaryEndpoints,
  clock: Clock,
): Own {
  const addresses = new FailedAddresses(clock);
  const report = (endpoint: Endpoint, failed: boolean) => {
    addresses.report(endpoint, failed);
    route.report(endpoint, failed);
  };
  return {
    ...route,
    report,
    lost: (endpoint) => report(endpoint, true),
    endpoints: async (target, options) => addresses.usable(await allEndpoints(route, primary, target, options)),
  };
}

async function allEndpoints<Options extends { readonly signal?: AbortSignal | undefined }>(
  route: Route<Options>,
  primary: PrimaryEndpoints,
  target: Target,
  options: Options,
): Promise<readonly Endpoint[]> {
  if (primary === undefined) return await route.endpoints(target, options);
  const [own, fallback] = await Promise.allSettled([route.endpoints(target, options), primary(options.signal)]);
  const behind = fallback.status === 'fulfilled' ? fallback.value : [];
  if (own.status === 'rejected' && behind.length === 0) throw own.reason;
  const before = own.status === 'fulfilled' ? own.value : [];
  return [...before, ...behind.filter(({ address }) => !before.some((each) => each.address === address))];
}

/**
 * The addresses where a pool points, checked against its policy.
 *
 * @internal
 */
export async function endpointsOf(
  route: Pick<ServiceRoute, 'source' | 'policy'> & Pick<Route<{ signal?: AbortSignal | undefined }>, 'endpoints'>,
  known: Target | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly Endpoint[]> {
  const target = known ?? (await route.source.current({ signal }));
  route.policy.checkTarget(target);
  return await route.endpoints(target, { signal });
}

/** The addresses that could not be used lately: for ten seconds, they are left out if there are others. */
class FailedAddresses {
  readonly #clock: Clock;
  readonly #failedAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  report(endpoint: Endpoint, failed: boolean): void {
    if (failed) this.#failedAt.set(addressOf(endpoint), this.#clock.now());
    else this.#failedAt.delete(addressOf(endpoint));
  }

  usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
    const oldest = this.#clock.now() - memoryMillis;
    const usable = endpoints.filter(
      (each) => (this.#failedAt.get(addressOf(each)) ?? Number.NEGATIVE_INFINITY) < oldest,
    );
    return usable.length === 0 ? endpoints : usable;
  }
}

const memoryMillis = 10_000;
