import { isIP } from 'node:net';
import type { Endpoint, Target } from '../targets/index.ts';
import type { ServiceRoute } from './service-route.ts';

/**
 * What {@link TargetAddresses} asks its owner, and tells it.
 *
 * @internal
 */
export interface AddressHost {
  /** The endpoints of its connections. They may include `undefined` and endpoints of earlier targets. */
  endpoints(): Iterable<Endpoint | undefined>;
  /** Called with addresses that have left the current target's name while connections lead there, after each DNS answer. */
  left(to: LeftAddresses): void;
}

/**
 * Addresses that have left a name.
 *
 * @internal
 */
export interface LeftAddresses {
  readonly target: Target;
  readonly addresses: ReadonlySet<string>;
  /** Whether an endpoint is one of them. */
  has(endpoint: Endpoint | undefined): boolean;
}

/**
 * Watches the addresses of the current target for the connections that lead there.
 *
 * @internal
 */
export class TargetAddresses {
  readonly #route: Pick<ServiceRoute, 'watchAddresses'>;
  readonly #host: AddressHost;
  #stop: (() => void) | undefined;

  constructor(route: Pick<ServiceRoute, 'watchAddresses'>, host: AddressHost) {
    this.#route = route;
    this.#host = host;
  }

  /** Makes this the current target. */
  follow(target: Target): void {
    this.close();
    const { externalName } = target;
    if (isIP(externalName) !== 0) return;
    const leadsThere = (endpoint: Endpoint | undefined) => endpoint?.target.externalName === externalName;
    const host = this.#host;
    this.#stop = this.#route.watchAddresses(externalName, {
      *inUse() {
        for (const endpoint of host.endpoints()) if (leadsThere(endpoint)) yield endpoint?.address ?? '';
      },
      left: (addresses) =>
        host.left({
          target,
          addresses,
          has: (endpoint) => leadsThere(endpoint) && addresses.has(endpoint?.address ?? ''),
        }),
    });
  }

  /** Ends it. Idempotent. */
  close(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
