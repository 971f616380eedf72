import type { Clock } from '@externalname/core';
import { addressOf, type Connections, Spread } from '@externalname/core/internal';
import { isPreferred } from '../connect/session-role.ts';
import { closeClient } from '../driver/closing.ts';
import { addressEjected } from '../events.ts';
import type { MadeConnection } from '../failover/connection-factory.ts';
import type { ServiceConnections } from '../failover/service-connections.ts';
import type { ServiceDialer } from '../failover/service-dialer.ts';
import type { PoolSettings } from '../options.ts';
import type { CheckoutQueue } from './checkout-queue.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** What {@link spreadOf} needs. */
export interface SpreadParts {
  readonly settings: PoolSettings;
  readonly clock: Clock;
  readonly dialer: ServiceDialer | undefined;
  readonly service: ServiceConnections | undefined;
  readonly queue: CheckoutQueue;
  readonly max: number;
  connections(): Connections<PooledConnection>;
  /** Connections that are being opened for callers. */
  making(): number;
  /** Makes a new connection an idle one of the pool. */
  adopt(made: MadeConnection): Promise<void>;
}

/** Spreads a pool's work over the addresses of its target, as `balancing` says. `undefined` if the pool does not balance. */
export function spreadOf(parts: SpreadParts): Spread<PooledConnection> | undefined {
  const { settings, clock, dialer, service, queue, max, making, adopt } = parts;
  const { name, targetSessionAttrs } = settings;
  const balancer = dialer?.balancer;
  if (balancer === undefined || service === undefined) return undefined;
  const current = () => [...parts.connections().open()].filter((each) => parts.connections().isCurrent(each));
  // With `prefer-standby`, what is not preferred gets no share while something preferred is there.
  const isWanted = (made: MadeConnection) => {
    const isBest = ({ roles }: Pick<MadeConnection, 'roles'>) => isPreferred(roles.role, targetSessionAttrs);
    const [all, isBetter] = [[...current(), made], isBest(made)];
    const worse = all.some(isBest) ? all.filter((each) => !isBest(each)) : [];
    for (const { endpoint } of worse) if (endpoint !== undefined) balancer.failed(endpoint);
    if (isBetter || worse.length === 0) return true;
    closeClient(made.client, clock);
    return false;
  };
  return new Spread({
    clock,
    balancer,
    connections: current,
    room: () => max - parts.connections().total - making(),
    endpoints: async (signal) => {
      const { target } = service;
      return target === undefined || service.inOutage ? undefined : await dialer?.endpoints(target, { signal });
    },
    open: async (endpoint, signal) => {
      const permit = await queue.reserve();
      if (permit === undefined) return;
      try {
        const made = await service.connectAt(endpoint, signal);
        if (made !== undefined && isWanted(made)) await adopt(made);
      } finally {
        queue.release(permit);
      }
    },
    prove: async (endpoint, signal) => {
      const made = await service.connectAt(endpoint, signal);
      if (made !== undefined && isWanted(made)) closeClient(made.client, clock);
    },
    changed: ({ endpoint, ejected, forMillis }) =>
      addressEjected.publish(() => {
        return { name, target: endpoint.target.externalName, address: addressOf(endpoint), ejected, forMillis };
      }),
  });
}
