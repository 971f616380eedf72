export { addressOf, describeEndpoint, dial } from './dial.ts';
export { SharedSecureContext } from './secure-context.ts';
export { type ServiceRoute, type ServiceRouteSettings, serviceRoute } from './service-route.ts';
export { type AddressHost, type LeftAddresses, TargetAddresses } from './target-addresses.ts';
export { type CandidateFailure, type FollowerHost, type FollowerSettings, TargetFollower } from './target-follower.ts';
