export {
  type AddressRefusal,
  type BalancedService,
  type BalancerDependencies,
  type Balancing,
  type EndpointFailure,
  isSameTarget,
  looksLikeAddress,
  type RaceResult,
  type TargetName,
  type TargetOfChainOptions,
  type TargetSourceDependencies,
  targetOfChain,
} from './targets/index.ts';
