import { EventChannel } from '../events/index.ts';
import type { ResolutionError, ResolutionFailure } from './errors.ts';
import type { Resolution } from './resolution.ts';

/** One query to one server is over. See {@link dnsQueryChannel}. */
export interface DnsQueryEvent {
  /** The name of the question, canonical. */
  readonly name: string;
  /** The record type of the question. */
  readonly type: 'A' | 'AAAA' | 'CNAME';
  /** `address:port` */
  readonly server: string;
  /** How long the query took, in milliseconds. */
  readonly elapsedMillis: number;
  /** The code of the answer (`NOERROR`, `NXDOMAIN`, ...), `timeout` or `network`. */
  readonly result: string;
}

/** Published as `externalname:dns:query` after each query to a server. */
export const dnsQueryChannel = new EventChannel<DnsQueryEvent>('externalname:dns:query');

/** A question to a resolver is answered. See {@link dnsAnswerChannel}. */
export interface DnsAnswerEvent {
  /** The name of the question, canonical. */
  readonly name: string;
  /** Where the answer came from: the cache, a server, or the cache after the answer expired (`stale`). */
  readonly from: 'cache' | 'server' | 'stale';
  /** `found`, or why there is no address. `ended` if the caller or the resolver gave up. */
  readonly result: 'found' | ResolutionFailure | 'ended';
  /** How long the caller waited, in milliseconds. */
  readonly elapsedMillis: number;
}

/** Published as `externalname:dns:answer` when a resolver has answered a question for the whole chain of a name. */
export const dnsAnswerChannel = new EventChannel<DnsAnswerEvent>('externalname:dns:answer');

/** A name stands for something else than when the servers were last asked. */
export interface DnsChangeEvent {
  /** The name of the question, canonical. */
  readonly name: string;
  /** The answer until now. */
  readonly before: Resolution;
  /** The answer now. */
  readonly after: Resolution;
}

/**
 * Published as `externalname:dns:addresses-changed` when a name has other addresses than when the servers were last asked, through the same
 * chain of aliases. The order of the addresses does not matter, because many servers rotate it.
 */
export const dnsAddressesChangedChannel = new EventChannel<DnsChangeEvent>('externalname:dns:addresses-changed');

/** Published as `externalname:dns:chain-changed` when a name leads to other names than when the servers were last asked. */
export const dnsChainChangedChannel = new EventChannel<DnsChangeEvent>('externalname:dns:chain-changed');

/** A host name was used as it is, because no server answered for a search domain. See {@link dnsSearchDomainFailedChannel}. */
export interface SearchDomainFailedEvent {
  /** The host name as the application wrote it. */
  readonly hostname: string;
  /** The name in the search domain for which no server answered. */
  readonly failed: string;
  /** The name that was used. */
  readonly name: string;
  /** Why the search domain was skipped: SERVFAIL, REFUSED or a timeout. */
  readonly error: ResolutionError;
}

/**
 * Published as `externalname:dns:search-domain-failed` when a host name was resolved as it is although no server answered for it in a
 * search domain. If the host should have been found there, this event is the only sign that it was not.
 */
export const dnsSearchDomainFailedChannel = new EventChannel<SearchDomainFailedEvent>(
  'externalname:dns:search-domain-failed',
);
