import { isIP } from 'node:net';
import type { Endpoint, Target } from '@externalname/core';
import type { ServiceDialer } from './service-dialer.ts';

/** What {@link TargetAddresses} asks and tells. */
export interface AddressHost {
  /** Where its connections lead, `undefined` and earlier targets among them. */
  endpoints(): Iterable<Endpoint | undefined>;
  /** Told of addresses that have left the current target's name while connections lead there; again with each answer. */
  left(to: LeftAddresses): void;
}

/** Addresses that have left a name. */
export interface LeftAddresses {
  readonly target: Target;
  readonly addresses: ReadonlySet<string>;
  /** Whether an endpoint is one of them. */
  has(endpoint: Endpoint | undefined): boolean;
}

/** Follows which addresses the current target has, for the connections that lead there. */
export class TargetAddresses {
  readonly #dialer: Pick<ServiceDialer, 'watchAddresses'>;
  readonly #host: AddressHost;
  #stop: (() => void) | undefined;

  constructor(dialer: Pick<ServiceDialer, 'watchAddresses'>, host: AddressHost) {
    this.#dialer = dialer;
    this.#host = host;
  }

  /** This is the current target from now on. */
  follow(target: Target): void {
    this.close();
    const { externalName } = target;
    if (isIP(externalName) !== 0) return;
    const leadsThere = (endpoint: Endpoint | undefined) => endpoint?.target.externalName === externalName;
    const host = this.#host;
    this.#stop = this.#dialer.watchAddresses(externalName, {
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
