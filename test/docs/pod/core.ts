// `@externalname/core` as code in a pod sees it: its resolver asks the cluster's DNS.
import * as core from '@externalname/core';
import { place } from './place.ts';

export * from '@externalname/core';

export class DnsResolver extends core.DnsResolver {
  constructor(options: core.DnsResolverOptions = {}) {
    super({ ...place.dns, ...options });
  }
}

/** The servers of a test have loopback addresses, which a policy refuses unless it names them. */
export function createTargetPolicy(options: core.TargetPolicyOptions): core.TargetPolicy {
  return core.createTargetPolicy({ allowedNetworks: place.allowedNetworks, ...options });
}
