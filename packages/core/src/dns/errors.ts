import { type ErrorCode, ExternalNameError, type ExternalNameErrorOptions } from '../errors.ts';
import type { Hop } from './resolution.ts';

/** Why a name has no usable answer. */
export type ResolutionFailure =
  /** The last name of the chain does not exist (NXDOMAIN). */
  | 'not-found'
  /** It exists and has no address of the family asked for (NODATA). */
  | 'no-address'
  /** No server gave an answer: time-out, SERVFAIL, REFUSED, unreachable. Says nothing about the name. */
  | 'unavailable'
  /** The chain comes back to a name it has passed. */
  | 'loop'
  /** The chain has more hops than are followed. */
  | 'too-long';

/** See {@link ResolutionError}. */
export interface ResolutionErrorOptions extends ExternalNameErrorOptions {
  /** The hops that were found before it failed. */
  chain?: readonly Hop[];
  /** What the servers said, for the message: `NXDOMAIN`, `SERVFAIL from 10.96.0.10:53`. */
  detail?: string;
  /** Names that led to the one that was asked for and were learned in another way; the message begins with them. */
  via?: readonly string[];
}

/**
 * A name could not be resolved. The message prints the whole chain:
 * `webscaler-db.default.svc.cluster.local -> primary-db.example.com: NXDOMAIN`.
 *
 * Codes: `ERR_EXTERNALNAME_DNS_NOT_FOUND`, `..._DNS_NO_ADDRESS`, `..._DNS_UNAVAILABLE`, `..._DNS_LOOP`, `..._DNS_TOO_LONG`.
 */
export class ResolutionError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** Why there is no usable answer. */
  readonly failure: ResolutionFailure;
  /** The name that was asked for. */
  readonly hostname: string;
  /** The aliases found so far, in order. */
  readonly chain: readonly Hop[];
  /** What the servers said, in a few words. */
  readonly detail: string;

  constructor(failure: ResolutionFailure, hostname: string, options: ResolutionErrorOptions = {}) {
    const { chain = [], via = [], detail = words[failure] } = options;
    const names = [...via, hostname, ...chain.map((hop) => hop.target)];
    super(codes[failure], `${names.join(' -> ')}: ${detail}`, options);
    this.detail = detail;
    this.failure = failure;
    this.hostname = hostname;
    this.chain = chain;
  }
}

const codes: Record<ResolutionFailure, ErrorCode> = {
  'not-found': 'ERR_EXTERNALNAME_DNS_NOT_FOUND',
  'no-address': 'ERR_EXTERNALNAME_DNS_NO_ADDRESS',
  unavailable: 'ERR_EXTERNALNAME_DNS_UNAVAILABLE',
  loop: 'ERR_EXTERNALNAME_DNS_LOOP',
  'too-long': 'ERR_EXTERNALNAME_DNS_TOO_LONG',
};

const words: Record<ResolutionFailure, string> = {
  'not-found': 'NXDOMAIN',
  'no-address': 'no address',
  unavailable: 'no DNS server answered',
  loop: 'the chain loops',
  'too-long': 'the chain has too many aliases',
};

/** What went wrong with one query to one server. */
export type QueryFailure =
  /** No acceptable answer in time. */
  | 'timeout'
  /** It answered with an error code: SERVFAIL, REFUSED, ... */
  | 'refused'
  /** It could not be reached, or broke the connection off. */
  | 'network';

/**
 * One query to one server failed. Stands in the `cause` of a {@link ResolutionError}, alone or one of several in an
 * `AggregateError`. Code `ERR_EXTERNALNAME_DNS_QUERY`.
 */
export class DnsQueryError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** Why the query brought no answer. */
  readonly failure: QueryFailure;
  /** `address:port` */
  readonly server: string;

  constructor(failure: QueryFailure, server: string, message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_DNS_QUERY', message, options);
    this.failure = failure;
    this.server = server;
  }
}
