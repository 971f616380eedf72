export {
  type AccessAttempt,
  type KubernetesErrorOptions,
  KubernetesForbiddenError,
  KubernetesRefusedError,
  KubernetesUnauthorizedError,
  KubernetesUnavailableError,
  ServiceNotFoundError,
  type StatusCause,
} from './api/errors.ts';
export { type KubeConfigOption, type LoadKubeConfigOptions, loadKubeConfig } from './api/kube-config.ts';
export { NotExternalNameError } from './errors.ts';
export {
  type FieldWriter,
  type InspectOptions,
  type InspectServiceOptions,
  inspectService,
  type ListedService,
  listServices,
  type ServiceInspection,
} from './inspect/inspect-service.ts';
export {
  type Permission,
  type ReviewAccessOptions,
  type ReviewedPermission,
  reviewAccess,
} from './inspect/review-access.ts';
export { type RecordedSwitch, type SwitchHistory, switchHistory } from './inspect/switch-history.ts';
export type { ClusterName } from './kubeconfig/cluster-name.ts';
export { KubernetesConfigError } from './kubeconfig/errors.ts';
export type { KubeConfigLike } from './kubeconfig/kube-config-like.ts';
export { inspectPostgres, type PostgresInspection } from './probes/inspect-postgres.ts';
export { type InspectTlsOptions, inspectTls, type ShownCertificate, type TlsInspection } from './probes/inspect-tls.ts';
export {
  type NetworkProbeOptions,
  resolvesProbe,
  type TcpProbeOptions,
  type TlsProbeOptions,
  tcpProbe,
  tlsProbe,
} from './probes/network-probes.ts';
export { type PostgresClientLike, type PostgresProbeOptions, postgresProbe } from './probes/postgres-probe.ts';
export {
  type PostgresClientClass,
  type PostgresClientsOptions,
  type PostgresServiceProbesOptions,
  postgresClients,
  postgresServiceProbes,
} from './probes/postgres-service-probes.ts';
export {
  judgePostgres,
  type Objection,
  type ObjectionKind,
  objectionKinds,
  type PostgresState,
} from './probes/postgres-state.ts';
export type { Probe, ProbeContext, ProbeFinding, ProbeResult } from './probes/probe.ts';
export type { SwitchOptions, SwitchTargetOptions } from './switch/options.ts';
export { type PropagationOptions, waitForPropagation } from './switch/propagation.ts';
export {
  type DnsPropagation,
  SwitchFailedError,
  type SwitchProgress,
  SwitchRefusedError,
  type SwitchReport,
  type SwitchStep,
  type SwitchStepName,
} from './switch/report.ts';
export { rollback, switchTarget } from './switch/switch.ts';
export { type SwitchRecord, switchAnnotations } from './switch/switch-patch.ts';
export { type KubernetesSourceOptions, kubernetesSource } from './watch/watch-source.ts';
