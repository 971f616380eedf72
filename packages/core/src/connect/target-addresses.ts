import { isIP } from 'node:net';
import type { Endpoint, Target } from '../targets/index.ts';
import type { ServiceRoute } from './service-route.ts';

/**
 * What {@link TargetAddresses} asks and tells.
 *
 * @internal
 */
export interface AddressHost {
  /** Where its connections lead, `undefined` and earlier targets among them. */
  endpoints(): Iterable<Endpoint | undefined>;
  /** Told of addresses that have left the current target's name while connections lead there; again with each answer. */
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
 * Follows which addresses the current target has, for the connections that lead there.
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

  /** This is the current target from now on. */
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
