export { type Clock, type Random, type ScheduleOptions, systemClock, systemRandom, type Timer } from './clock.ts';
export type { WaitOptions } from './deadline.ts';
export type { Dependencies } from './dependencies.ts';
export {
  createLookup,
  DnsResolver,
  type DnsResolverOptions,
  type Resolution,
  ResolutionError,
  type ResolveOptions,
  type Resolver,
} from './dns/index.ts';
export {
  ClosedError,
  DeadlineError,
  type ErrorCode,
  ExternalNameError,
  type ExternalNameErrorOptions,
  InvalidArgumentError,
  isExternalNameError,
  type Outcome,
} from './errors.ts';
export { type IdentityTarget, type TlsIdentity, TlsIdentityError, tlsIdentity } from './identity/index.ts';
export {
  type ClusterContext,
  type ClusterContextOptions,
  discoverClusterContext,
  parseServiceReference,
  type ServiceReference,
} from './names/index.ts';
export {
  AddressRefusedError,
  AllowListRequiredError,
  Balancer,
  type BalancerOptions,
  type CurrentOptions,
  createTargetPolicy,
  DnsTargetSource,
  type DnsTargetSourceOptions,
  type Endpoint,
  type FirstAvailableOptions,
  FirstAvailableTargetSource,
  NoEndpointError,
  NoTargetError,
  type PlannedSwitch,
  type RaceOptions,
  type ResolveEndpointsOptions,
  raceEndpoints,
  resolveEndpoints,
  ServiceBalancer,
  type ServiceBalancerOptions,
  StaticTargetSource,
  type Target,
  TargetIsAddressError,
  type TargetPolicy,
  type TargetPolicyOptions,
  TargetRefusedError,
  type TargetSource,
} from './targets/index.ts';
