export { ArrivalOrder, type Place } from './arrival-order.ts';
export { type BalancingOptions, balancingSettings, type MakeBalancer } from './balancing-options.ts';
export { CatchUp, type CatchUpWait, type TokenReads } from './catch-up.ts';
export { beginEpoch, Connections, type Epoch } from './connections.ts';
export { membersByName } from './members.ts';
export { Outage, type OutageParts } from './outage.ts';
export { Pause, type PauseCause, type PauseOptions, type PauseStatus } from './pause.ts';
export { type ReaderOptions, type ReaderSettings, readerSettings } from './reader-options.ts';
export { endpointsOf, readerRoute } from './reader-route.ts';
export { ReadySessions } from './ready-sessions.ts';
export { ConnectionPacing } from './reconnect-pacing.ts';
export { type LogPosition, type ReplicaStatus, Replicas } from './replicas.ts';
export { ServerHealth } from './server-health.ts';
export {
  type RoutedCall,
  type RoutedMember,
  type RoutingSettings,
  routingSettings,
  ServiceRouter,
  type ServiceRoutingOptions,
} from './service-router.ts';
export { Observation, type WatchedConnection } from './silence.ts';
export { Spread, type SpreadConnection } from './spread.ts';
export { neediestFirst } from './spread-plan.ts';
