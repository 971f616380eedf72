export { connect, connectTls } from './connect.ts';
export { addressOf, describeEndpoint, dial } from './dial.ts';
export { ConnectTimeoutError, FailoverTimeoutError, TargetRetiredError } from './errors.ts';
export {
  type ServiceSwitchEvent,
  serviceSwitched,
  type TargetNotFollowedEvent,
  targetNotFollowed,
} from './events.ts';
export { type LazySocket, type LazySocketOptions, lazySocket } from './lazy-socket.ts';
export {
  allowedTargetsFrom,
  aTlsOption,
  type ConnectOptions,
  type ConnectTlsOptions,
  type ServiceOptions,
  type ServiceSettings,
  type ServiceTlsOptions,
  serviceSettings,
} from './options.ts';
export { SharedSecureContext } from './secure-context.ts';
export { ServiceConnector, type SocketWanted, type SwitchListener } from './service-connector.ts';
export { type ServiceRoute, type ServiceRouteSettings, serviceRoute } from './service-route.ts';
export { isCertificateFailure, recordOutcome, socketFailure } from './socket-failure.ts';
export { type AddressHost, type LeftAddresses, TargetAddresses } from './target-addresses.ts';
export { type CandidateFailure, type FollowerHost, type FollowerSettings, TargetFollower } from './target-follower.ts';
