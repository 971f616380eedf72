export type { JsonPatchOperation } from '@externalname/core/manifests';
export {
  type CertificateAuthority,
  type CertificateAuthorityOptions,
  type CertificateRequest,
  createCertificateAuthority,
  type IssuedCertificate,
} from './certificates.ts';
export type { AnswerCacheOptions } from './cluster-dns/answer-cache.ts';
export type { DnsFault, DnsFaultScope } from './cluster-dns/faults.ts';
export type { Rcode } from './cluster-dns/message.ts';
export type { HostEntry, HostRecord, HostRecords } from './cluster-dns/outside-names.ts';
export type { DnsQuery } from './cluster-dns/server.ts';
export { type LocalClusterCommandOptions, runLocalCluster } from './command/run.ts';
export type { StartedFault } from './faults.ts';
export type { ApiFault, ApiFaultScope } from './kubernetes-api/api-faults.ts';
export type { KubernetesObject, ManagedFieldsEntry, ObjectMeta } from './kubernetes-api/object.ts';
export { ApiStatusError, type Status, type StatusCause, type StatusDetails } from './kubernetes-api/status.ts';
export type { Identity, LocalApi } from './local-cluster/api.ts';
export { LocalCluster } from './local-cluster/cluster.ts';
export type { LocalDns, LocalHosts } from './local-cluster/dns.ts';
export type { AnyObject, LocalObjects, LocalServices, ServiceObject } from './local-cluster/objects.ts';
export type { LocalApiOptions, LocalClusterOptions, LocalDnsOptions } from './local-cluster/options.ts';
export type { CutMethod, CutOptions, FaultDirection, FaultSide, Faults } from './network/connection-faults.ts';
export { FaultProxy, type FaultProxyOptions, type ProxyCounts, ProxyListenError } from './network/fault-proxy.ts';
export type { ProxiedConnection, ProxyTarget } from './network/proxied-connection.ts';
export type { AdministrationOptions } from './postgres/administration.ts';
export type { PostgresBinariesOptions } from './postgres/binaries.ts';
export { PostgresServerError, type PostgresServerFailure, PostgresUnavailableError } from './postgres/errors.ts';
export { type PostgresConnection, PostgresPair, type SwitchoverOptions } from './postgres/pair.ts';
export type { PostgresPairOptions, SynchronousCommit } from './postgres/pair-options.ts';
export {
  type DemoteOptions,
  PostgresServer,
  type PromoteOptions,
  type ServerWaitOptions,
  type StopMode,
} from './postgres/server.ts';
export type { PostgresRole } from './postgres/statements.ts';
export {
  type Pause,
  WriteLedger,
  type WriteLedgerOptions,
  type WritesBegun,
} from './writes/ledger.ts';
export { WriteLoad, type WriteLoadOptions, type WriteLoadStopOptions } from './writes/load.ts';
export { type FailureCount, measureWrites, type WriteFacts, type WriteMeasures } from './writes/measure.ts';
export { type PlotGroup, type PlotMark, type PlotOptions, type PlotSeries, plotWrites } from './writes/plot.ts';
export { type WriteRates, type WriteRatesOptions, writeRates } from './writes/rates.ts';
export { countWrites, createWriteTable, type RunStatement, type WriteTableOptions } from './writes/rows.ts';
export type {
  AcknowledgedWrite,
  FailedWrite,
  FailureOutcome,
  SettledWrite,
  Write,
  WriteReport,
} from './writes/write.ts';
