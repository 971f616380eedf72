import { type Balancer, type Clock, type Random, type Target, type TlsIdentity, tlsIdentity } from '@externalname/core';
import { neediestFirst, type ServiceRoute, SharedSecureContext, serviceRoute } from '@externalname/core/internal';
import type * as pg from 'pg';
import type { Dialer } from '../connect/connector.ts';
import { tlsOptionsOf } from '../driver/client-internals.ts';
import type { PoolSettings } from '../options.ts';
import { copyOfTls } from '../settings/tls.ts';

/** How a pool gets from the given name to servers: core's sockets, and TLS as `pg` needs it. */
export interface ServiceDialer extends Omit<ServiceRoute, 'endpoints'>, Dialer {
  /** Decides about shares, if the pool balances. */
  readonly balancer: Balancer | undefined;
}

/**
 * Puts together the route of a pool that follows a Service.
 *
 * @throws AllowListRequiredError `ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED` if there is no allow-list
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for an entry or a name that cannot be read
 */
export function serviceDialer(settings: PoolSettings, dependencies: { clock: Clock; random: Random }): ServiceDialer {
  const secureContext = new SharedSecureContext();
  // One for all connections to a target, because each keeps it.
  const identities = new WeakMap<Target, TlsIdentity>();
  const identityOf = (target: Target) => {
    const identity = identities.get(target) ?? tlsIdentity(target);
    identities.set(target, identity);
    return identity;
  };
  const balancer = settings.makeBalancer?.(dependencies);
  const route = serviceRoute(settings, { ...dependencies, balancer });
  return {
    ...route,
    balancer,
    ...(balancer !== undefined && {
      endpoints: async (target, options) => neediestFirst(balancer, await route.endpoints(target, options)),
      passedOver: (endpoint) => balancer.failed(endpoint),
    }),
    tls: (target, client) =>
      settings.tls === 'off' ? false : tlsOptions(settings, identityOf(target), client, secureContext),
  };
}

function tlsOptions(
  settings: PoolSettings,
  identity: TlsIdentity,
  client: pg.Client,
  secureContext: SharedSecureContext,
): object {
  const options = copyOfTls(tlsOptionsOf(client));
  const context = secureContext.of(options);
  if (context !== undefined) Object.assign(options, { secureContext: context });
  if (settings.tls === 'unverified') return Object.assign(options, { servername: identity.servername });
  return Object.assign(options, identity, { rejectUnauthorized: true });
}
