/**
 * What the sibling packages share. Not for users: it changes without notice.
 *
 * @internal
 * @module
 */

export { type Address, contains, isLoopback, type Network, parseAddress, parseApiNetwork } from './addresses/index.ts';
export { inBackground } from './background.ts';
export { type BackoffBounds, backoffMillis } from './backoff.ts';
export {
  type AddressHost,
  addressOf,
  allowedTargetsFrom,
  aTlsOption,
  type CandidateFailure,
  describeEndpoint,
  dial,
  type FollowerHost,
  type FollowerSettings,
  type LeftAddresses,
  recordOutcome,
  ServiceConnector,
  type ServiceRoute,
  type ServiceRouteSettings,
  type ServiceSettings,
  SharedSecureContext,
  type SocketWanted,
  serviceRoute,
  serviceSettings,
  TargetAddresses,
  TargetFollower,
} from './connect/index.ts';
export { abortable, type DeadlineOptions, onAbort, type SleepOptions, sleep, withDeadline } from './deadline.ts';
export { dependenciesOf } from './dependencies.ts';
// Past the rooms' faces, which are public.
export { aResolverOption } from './dns/options.ts';
export { parseServerAddress } from './dns/server-address.ts';
export { isAsked } from './events/debug-log.ts';
export { explainCertificateFailure } from './identity/index.ts';
export {
  checkBoolean,
  checkFunction,
  checkList,
  checkMethods,
  checkNumber,
  checkObject,
  checkSignal,
  checkText,
  checkTexts,
  describeValue,
  isPrintable,
  type NumberBounds,
  ownOptions,
  printable,
} from './input.ts';
export { searchedCluster } from './names/index.ts';
export { numberOf } from './object-number.ts';
export { editDistance } from './option-names.ts';
export {
  ArrivalOrder,
  balancingSettings,
  beginEpoch,
  CatchUp,
  ConnectionPacing,
  Connections,
  type Epoch,
  endpointsOf,
  type LogPosition,
  type MakeBalancer,
  membersByName,
  neediestFirst,
  Observation,
  Outage,
  Pause,
  type Place,
  type ReaderSettings,
  ReadySessions,
  Replicas,
  type RoutedCall,
  type RoutedMember,
  type RoutingSettings,
  readerRoute,
  readerSettings,
  routingSettings,
  ServerHealth,
  ServiceRouter,
  Spread,
  type WatchedConnection,
} from './pooling/index.ts';
export {
  aBoolean,
  aDate,
  aFunction,
  aNumber,
  anObjectWith,
  anything,
  aSignal,
  aText,
  checkCallOptions,
  checkOptions,
  checkProperties,
  either,
  listOf,
  objectOf,
  oneOf,
  optional,
  optionsOf,
  recordOf,
  type Shape,
  type Shapes,
} from './shape.ts';
export {
  type AddressUser,
  checkCurrentOptions,
  type SharedDns,
  SourceHealth,
  shareDns,
  TargetFeed,
} from './targets/index.ts';
