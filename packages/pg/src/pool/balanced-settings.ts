import { InvalidArgumentError } from '@externalname/core';
import { aNumber, aText, checkList, checkObject, either, oneOf, optional } from '@externalname/core/internal';
import type { PoolOptions } from '../options.ts';

/** One of the Services of a {@link BalancedPool}: `service`, `source` or `host`, and what is different from the options of all. */
export interface PooledService extends Omit<PoolOptions, 'failoverTimeoutMillis'> {
  /** Identifies it in `status()`, events and errors. @defaultValue its `service` or `host` */
  name?: string | undefined;
  /** Its share among Services of the same priority. 0 to 65535. @defaultValue 1 */
  weight?: number | undefined;
  /** The lowest number is preferred; others are fallbacks. 0 to 65535. @defaultValue 0 */
  priority?: number | undefined;
}

/**
 * Options of {@link BalancedPool}: `services`, and those of {@link Pool} for all of them. `balancing` shares the work of Services with
 * the same priority (`round-robin` by default), and that of the addresses of each (`ordered` by default).
 */
export interface BalancedPoolOptions extends Omit<PoolOptions, 'service' | 'source' | 'host' | 'connectionString'> {
  /** The Services that do the same work. */
  services: readonly PooledService[];
  /** How it is called in `status()`, events and errors. @defaultValue the names of the Services */
  name?: string | undefined;
  /**
   * How long a Service that failed must have worked again before it gets work again. It is looked at in the background. Milliseconds;
   * `'by-hand'`: it gets none until `failback()` is called, not even if all others fail: for a database whose old primary must not be
   * written to only because it answers. @defaultValue 30000
   */
  failbackAfterMillis?: number | 'by-hand' | undefined;
  /** How long a caller waits for a connection to one Service before the next one is tried. Milliseconds. @defaultValue 500 */
  tryNextAfterMillis?: number | undefined;
}

/**
 * Checks what a balanced pool has of its own.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function balancedSettings(given: BalancedPoolOptions) {
  checkObject('options', given);
  const { services, name, failbackAfterMillis = 30_000, tryNextAfterMillis = 500, ...shared } = given;
  checkList('services', services);
  for (const [index, service] of services.entries()) checkObject(`services[${index}]`, service);
  optional(aText)('name', name);
  either(oneOf('by-hand'), aNumber({ least: 0, unit: 'milliseconds' }))('failbackAfterMillis', failbackAfterMillis);
  aNumber({ above: 0, unit: 'milliseconds' })('tryNextAfterMillis', tryNextAfterMillis);
  const { failoverTimeoutMillis = 30_000 } = shared;
  aNumber({ least: 0, unit: 'milliseconds' })('failoverTimeoutMillis', failoverTimeoutMillis);
  if (services.length > 0 && services.every(({ weight }) => weight === 0)) {
    throw new InvalidArgumentError('services', 'none gets work: give at least one a weight above 0');
  }
  return { services, name, failbackAfterMillis, tryNextAfterMillis, failoverTimeoutMillis, shared };
}
