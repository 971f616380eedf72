export { type Clock, type Random, type ScheduleOptions, systemClock, systemRandom, type Timer } from './clock.ts';
export type { WaitOptions } from './deadline.ts';
export { ResolutionError, type ResolutionErrorOptions, type ResolutionFailure } from './dns/errors.ts';
export type { Hop, Resolution, ResolvedAddress, ResolveOptions, Resolver } from './dns/resolution.ts';
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
export { EventChannel } from './events/index.ts';
export {
  type ClusterContext,
  type ClusterContextOptions,
  canonicalName,
  discoverClusterContext,
  type HostNameProblem,
  hostNameProblem,
  isServiceName,
  isWithin,
  longestLabel,
  longestName,
  matchesTargetPattern,
  parseHostName,
  parseServiceReference,
  parseTargetPattern,
  type ServiceReference,
  type ServiceReferenceDefaults,
  serviceReference,
  type TargetPattern,
} from './names/index.ts';
export type { Endpoint } from './targets/endpoint.ts';
export type { CurrentOptions, Target, TargetSource } from './targets/target-source.ts';
