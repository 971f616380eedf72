import type { DnsResolverOptions } from '@externalname/core';
import type { PoolOptions } from '@externalname/pg';

/** What a pod of the cluster has and the code in the documentation leaves out. Filled in by the test that runs that code. */
export const place: { dns: DnsResolverOptions; allowedNetworks: readonly string[]; connection: PoolOptions } = {
  dns: {},
  allowedNetworks: [],
  connection: {},
};
