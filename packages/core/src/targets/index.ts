export type { AddressUser } from './address-watch.ts';
export {
  Balancer,
  type BalancerChange,
  type BalancerOptions,
  type Balancing,
  type EndpointStatus,
  type RequestResult,
} from './balancer.ts';
export { DnsTargetSource, type DnsTargetSourceOptions } from './dns-source.ts';
export type { Endpoint } from './endpoint.ts';
export { type FirstAvailableOptions, FirstAvailableTargetSource, NoTargetError } from './first-available-source.ts';
export type { EjectionReason, OutlierDetectionOptions } from './outlier-detection.ts';
export { createTargetPolicy, looksLikeAddress, type TargetPolicy, type TargetPolicyOptions } from './policy.ts';
export {
  type EndpointFailure,
  interleaved,
  NoEndpointError,
  type RaceOptions,
  type RaceResult,
  raceEndpoints,
} from './racing.ts';
export {
  type AddressRefusal,
  AddressRefusedError,
  AllowListRequiredError,
  TargetIsAddressError,
  type TargetName,
  TargetRefusedError,
} from './refusals.ts';
export { type ResolveEndpointsOptions, resolveEndpoints } from './resolve-endpoints.ts';
export { RetryPause } from './retry-pause.ts';
export {
  type BalancedService,
  type BalancedServiceStatus,
  ServiceBalancer,
  type ServiceBalancerOptions,
} from './service-balancer.ts';
export { type SharedDns, shareDns, sharedDnsCount } from './shared-dns.ts';
export { SourceHealth } from './source-health.ts';
export { StaticTargetSource } from './static-source.ts';
export { isSameTarget, TargetFeed } from './target-feed.ts';
export { type TargetOfChainOptions, targetOfChain } from './target-of-chain.ts';
export {
  type CurrentOptions,
  checkCurrentOptions,
  type PlannedSwitch,
  type Target,
  type TargetSource,
} from './target-source.ts';
