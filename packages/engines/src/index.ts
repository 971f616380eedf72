export type { ConfirmationProblem, LeaderRecord } from './confirm/confirmation.ts';
export { createEngine } from './engine/create-engine.ts';
export type {
  EngineOptions,
  EngineReader,
  EngineState,
  HaEngine,
  LeaderState,
  MemberWord,
  PushContext,
  ReleasingState,
  UnknownReason,
  UnknownState,
} from './engine/engine.ts';
export { EngineUnknownError, LeaseLostError } from './errors.ts';
export {
  type EngineStateEvent,
  engineStateChanged,
  type FollowerHeldEvent,
  type FollowerLeaseEvent,
  type FollowerSwitchedEvent,
  followerHeld,
  followerLease,
  followerSwitched,
} from './events.ts';
export { type EngineFollower, type FollowerStatus, followEngine } from './follow/follower.ts';
export type { Hold, HoldReason } from './follow/hold.ts';
export type { FollowEngineOptions, FollowerLeaseOptions } from './follow/options.ts';
export type { HttpAccess } from './http/http-client.ts';
export { type AuroraEngineOptions, auroraEngine } from './readers/aurora.ts';
export { type CnpgCluster, type CnpgEngineOptions, cnpgEngine } from './readers/cnpg.ts';
export {
  type PatroniEngineOptions,
  type PatroniEtcdOptions,
  type PatroniKubernetesOptions,
  patroniEngine,
} from './readers/patroni.ts';
export { type PgAutoFailoverEngineOptions, pgAutoFailoverEngine } from './readers/pg-auto-failover.ts';
export type { ListeningClientLike } from './readers/pg-auto-failover-reader.ts';
export { type SqlEngineOptions, sqlEngine } from './readers/sql.ts';
export { type EngineSourceOptions, engineSource } from './source/engine-source.ts';
