import { type Connections, type LeftAddresses, TargetAddresses } from '@externalname/core/internal';
import { hasWork } from '../driver/client-internals.ts';
import { TargetRetiredError } from '../errors.ts';
import { addressesLeft } from '../events.ts';
import type { ServiceDialer } from '../failover/service-dialer.ts';
import type { PoolSettings } from '../options.ts';
import type { Listening } from './listening.ts';
import type { PooledConnection } from './pooled-connection.ts';

/** What {@link addressRetirement} needs. */
export interface AddressRetirementParts {
  readonly settings: PoolSettings;
  readonly dialer: ServiceDialer | undefined;
  readonly connections: Connections<PooledConnection>;
  listening(): Listening | undefined;
}

/**
 * Retires the connections whose address has left the target's name, as `retireOnAddressChange` says: idle ones at once, busy
 * ones when they are released, or as in a switch. New connections use the name anyway. Ends with the dialer.
 */
export function addressRetirement(parts: AddressRetirementParts): TargetAddresses | undefined {
  const { settings, dialer, connections, listening } = parts;
  if (dialer === undefined || settings.retireOnAddressChange === false) return undefined;
  return new TargetAddresses(dialer, {
    *endpoints() {
      for (const connection of connections.open()) if (connections.isCurrent(connection)) yield connection.endpoint;
      yield listening()?.endpoint;
    },
    left: (addresses) => {
      retire(parts, addresses);
      listening()?.leave((endpoint) => addresses.has(endpoint));
    },
  });
}

function retire({ settings, connections }: AddressRetirementParts, left: LeftAddresses): void {
  const leaving = [...connections.open()].filter((each) => connections.isCurrent(each) && left.has(each.endpoint));
  const idle = leaving.filter((connection) => connection.state === 'idle');
  // One that is reported again was reported before.
  const inUse = leaving.filter((connection) => connection.state !== 'idle' && !connection.isExpired);
  for (const connection of idle) connection.close();
  for (const connection of inUse) {
    connection.isExpired = true;
    if (settings.retireOnAddressChange !== 'all') continue;
    const how = connections.drain(connection);
    if (how === 'draining') connection.retire(left.target, settings.drainTimeoutMillis);
    else {
      const outcome = hasWork(connection.client) ? 'unknown' : 'not-executed';
      connection.destroy(new TargetRetiredError(left.target.externalName, outcome));
    }
  }
  if (idle.length + inUse.length === 0) return;
  addressesLeft.publish(() => ({
    name: settings.name,
    target: left.target.externalName,
    addresses: [...left.addresses],
    idle: idle.length,
    inUse: inUse.length,
  }));
}
