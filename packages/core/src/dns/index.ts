export {
  type DnsAnswerEvent,
  type DnsChangeEvent,
  type DnsQueryEvent,
  dnsAddressesChangedChannel,
  dnsAnswerChannel,
  dnsChainChangedChannel,
  dnsQueryChannel,
  dnsSearchDomainFailedChannel,
  type SearchDomainFailedEvent,
} from './channels.ts';
export {
  DnsQueryError,
  type QueryFailure,
  ResolutionError,
  type ResolutionErrorOptions,
  type ResolutionFailure,
} from './errors.ts';
export { createLookup, type HostResolver, type LookupFunction } from './lookup.ts';
export { aResolverOption, type CacheOptions, type DnsResolverOptions, resolverSettings } from './options.ts';
export type { Hop, Resolution, ResolvedAddress, ResolveOptions, Resolver } from './resolution.ts';
export { parseResolvConf, type ResolvConf, type ResolvConfContext } from './resolv-conf.ts';
export { DnsResolver } from './resolver.ts';
export { type SearchSettings, searchCandidates } from './search-list.ts';
export type { DnsStatistics } from './statistics.ts';
