import {
  aText,
  checkList,
  checkObject,
  optional,
  type RoutingSettings,
  routingSettings,
} from '@externalname/core/internal';
import type { BalancedService, ServiceRoutingOptions } from '@externalname/core/targets';
import type { PoolOptions } from '../options.ts';

/** One of the Services of a {@link BalancedPool}: `service`, `source` or `host`, and what is different from the options of all. */
export interface PooledService
  extends Omit<PoolOptions, 'failoverTimeoutMillis'>,
    Pick<BalancedService, 'weight' | 'priority'> {
  /** Identifies it in `status()`, events and errors. @defaultValue its `service` or `host` */
  name?: string | undefined;
}

/**
 * Options of {@link BalancedPool}: `services`, and those of {@link Pool} for all of them. `balancing` shares the work of Services with
 * the same priority (`round-robin` by default), and that of the addresses of each (`ordered` by default).
 */
export interface BalancedPoolOptions
  extends Omit<PoolOptions, 'service' | 'source' | 'host' | 'connectionString'>,
    Omit<ServiceRoutingOptions, 'failoverTimeoutMillis'> {
  /** The Services that do the same work. */
  services: readonly PooledService[];
  /** How it is called in `status()`, events and errors. @defaultValue the names of the Services */
  name?: string | undefined;
}

/** Checked and complete. */
export interface BalancedSettings {
  readonly services: readonly PooledService[];
  readonly name: string | undefined;
  readonly routing: Omit<RoutingSettings, 'services'>;
  readonly shared: PoolOptions;
}

/**
 * Checks what a balanced pool has of its own.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function balancedSettings(given: BalancedPoolOptions): BalancedSettings {
  checkObject('options', given);
  const { services, name, failbackAfterMillis, tryNextAfterMillis, ...shared } = given;
  checkList('services', services);
  for (const [index, service] of services.entries()) checkObject(`services[${index}]`, service);
  optional(aText)('name', name);
  return { services, name, routing: routingSettings(given, services), shared };
}
