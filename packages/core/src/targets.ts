export {
  type AddressRefusal,
  type BalancedService,
  type Balancing,
  type EndpointFailure,
  isSameTarget,
  looksLikeAddress,
  type RaceResult,
  type TargetName,
  type TargetOfChainOptions,
  targetOfChain,
} from './targets/index.ts';
