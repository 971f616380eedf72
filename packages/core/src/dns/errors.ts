import { type ErrorCode, ExternalNameError, type ExternalNameErrorOptions } from '../errors.ts';
import type { Hop } from './resolution.ts';

/** Why a name has no usable answer. */
export type ResolutionFailure =
  /** The last name of the chain does not exist (NXDOMAIN). */
  | 'not-found'
  /** The name exists but has no address of the requested family (NODATA). */
  | 'no-address'
  /** No server gave an answer: timeout, SERVFAIL, REFUSED, unreachable. This says nothing about the name. */
  | 'unavailable'
  /** The chain comes back to a name that it has passed. */
  | 'loop'
  /** The chain has more hops than are followed. */
  | 'too-long';

/** See {@link ResolutionError}. */
export interface ResolutionErrorOptions extends ExternalNameErrorOptions {
  /** The hops that were found before the failure. */
  chain?: readonly Hop[];
  /** What the servers said, for the message: `NXDOMAIN`, `SERVFAIL from 10.96.0.10:53`. */
  detail?: string;
  /** Names that led to the hostname and were learned in another way. The message begins with them. */
  via?: readonly string[];
}

/**
 * A name could not be resolved. The message prints the whole chain:
 * `webscaler-db.default.svc.cluster.local -> primary-db.example.com: NXDOMAIN`.
 *
 * Codes: `ERR_EXTERNALNAME_DNS_NOT_FOUND`, `..._DNS_NO_ADDRESS`, `..._DNS_UNAVAILABLE`, `..._DNS_LOOP`, `..._DNS_TOO_LONG`.
 */
export class ResolutionError extends ExternalNameError {
  /** The work did not happen, so repeating it is safe. */
  override readonly outcome = 'not-executed';
  /** Why there is no usable answer. */
  readonly failure: ResolutionFailure;
  /** The name that was asked for. */
  readonly hostname: string;
  /** The aliases found so far, in order. */
  readonly chain: readonly Hop[];
  /** A short description of what the servers said. */
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
  /** No acceptable answer came in time. */
  | 'timeout'
  /** The server answered with an error code: SERVFAIL, REFUSED, ... */
  | 'refused'
  /** The server could not be reached, or closed the connection. */
  | 'network';

/**
 * One query to one server failed. It is the `cause` of a {@link ResolutionError}, alone or in an `AggregateError` with
 * others. Code `ERR_EXTERNALNAME_DNS_QUERY`.
 */
export class DnsQueryError extends ExternalNameError {
  /** The work did not happen, so repeating it is safe. */
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
