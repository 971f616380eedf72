export type { AuthenticationMethod } from './authentication.ts';
export { Client, type ClientOptions } from './client.ts';
export {
  AuthenticationRefusedError,
  CommitOutcomeUnknownError,
  ConnectError,
  ConnectionLostError,
  ConnectTimeoutError,
  FailoverTimeoutError,
  PeerSilentError,
  ServerRoleError,
  TargetRetiredError,
  TooManyWaitingError,
  TransactionEndedEarlyError,
  TransactionRolledBackError,
  UnknownBackendError,
} from './errors.ts';
export {
  type ConnectEvent,
  connected,
  type MovedEvent,
  moved,
  type RetryEvent,
  retried,
  type SwitchEvent,
  switched,
  type TargetRefusedEvent,
  targetNotFollowed,
} from './events.ts';
export { classifyFailure, type Failure, type FailureKind, outcomeOf, type Phase } from './failures.ts';
export type { ListenOptions, Notification, Reconnection, Subscription } from './listening.ts';
export type { LivenessOptions } from './liveness.ts';
export type { PoolOptions } from './options.ts';
export { type PgModule, pgModule } from './pg-module.ts';
export { Pool, type PoolDependencies, type PoolStatus, type Repeatable } from './pool.ts';
export { type RecentEvent, recentEventsOf } from './recent-events.ts';
export type { SessionRole, TargetSessionAttrs } from './session-role.ts';
export type { IsolationLevel, Transaction, TransactionOptions } from './transaction.ts';
