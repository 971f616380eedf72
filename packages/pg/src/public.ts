export { Client, type ClientOptions } from './client/client.ts';
export type { AuthenticationMethod } from './connect/require-auth.ts';
export type { SessionRole, TargetSessionAttrs } from './connect/session-role.ts';
export {
  AuthenticationRefusedError,
  CleartextRefusedError,
  CommitOutcomeUnknownError,
  ConnectError,
  ConnectionLostError,
  ConnectTimeoutError,
  FailoverTimeoutError,
  NotReplayedError,
  PasswordRequiredError,
  PauseEndedError,
  PeerSilentError,
  ProtocolViolationError,
  ReplicaLagError,
  ServerRoleError,
  TargetRetiredError,
  TooManyWaitingError,
  TransactionEndedEarlyError,
  TransactionRolledBackError,
  UnknownBackendError,
} from './errors.ts';
export {
  type AddressEjectedEvent,
  type AddressesLeftEvent,
  addressEjected,
  addressesLeft,
  type ConnectEvent,
  connected,
  type DrainedEvent,
  drained,
  type OperationEvent,
  operationEnded,
  type PauseEvent,
  type ProbeEvent,
  paused,
  type ReplicaEvent,
  type ResumeEvent,
  type RetryEvent,
  replicaChanged,
  resumed,
  retried,
  type ServiceEjectedEvent,
  type ServiceNotFollowedEvent,
  type SwitchEvent,
  serverProbed,
  serviceEjected,
  serviceNotFollowed,
  switched,
  type TargetRefusedEvent,
  type TokenWaitEvent,
  targetNotFollowed,
  tokenAwaited,
  type WaitEvent,
  waited,
} from './events.ts';
export { classifyFailure, type Failure, type FailureKind, outcomeOf, type Phase } from './failures/classify.ts';
export type { LivenessOptions } from './liveness/liveness.ts';
export type { PoolOptions } from './options.ts';
export { type PgModule, pgModule } from './pg-module.ts';
export * from './pg-names.ts';
export { BalancedPool, type BalancedPoolStatus } from './pool/balanced-pool.ts';
export type { BalancedPoolOptions, PooledService } from './pool/balanced-settings.ts';
export type { ListenNotification, ListenOptions, Reconnection, Subscription } from './pool/listening.ts';
export { Pool } from './pool/pool.ts';
export type { ConnectionCount, PoolStatus } from './pool/pool-status.ts';
export type { Repeatable } from './pool/query.ts';
export type { SharingStatus } from './pool/sharing.ts';
export { type RecentEvent, recentEventsOf, type StepEvent, stepTaken } from './recent-events.ts';
export type { Transaction } from './transaction/scope.ts';
export type { IsolationLevel, TransactionOptions } from './transaction/settings.ts';
