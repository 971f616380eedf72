export type { AnswerCacheOptions } from './cluster-dns/answer-cache.ts';
export type { DnsFault, DnsFaultScope, StartedFault } from './cluster-dns/faults.ts';
export type { Rcode } from './cluster-dns/message.ts';
export type { HostEntry, HostRecord, HostRecords } from './cluster-dns/outside-names.ts';
export type { DnsQuery } from './dns-server.ts';
export type { JsonPatchOperation } from './kubernetes-api/json-patch.ts';
export type { KubernetesObject, ManagedFieldsEntry, ObjectMeta } from './kubernetes-api/object.ts';
export { ApiStatusError, type Status, type StatusCause, type StatusDetails } from './kubernetes-api/status.ts';
export {
  LocalCluster,
  type LocalClusterOptions,
  type LocalDns,
  type LocalDnsOptions,
  type LocalHosts,
  type LocalServices,
  type ServiceObject,
} from './local-cluster.ts';
