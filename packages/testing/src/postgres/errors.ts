import { ExternalNameError, type ExternalNameErrorOptions } from '@externalname/core';

/**
 * No PostgreSQL can be run on this machine by this user. Code `ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE`.
 *
 * The message says what is missing: the binaries, an account without privileges (PostgreSQL refuses to run as root), or
 * a folder that this account can read.
 */
export class PostgresUnavailableError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE', message, options);
  }
}

/** Why a server is not in the state that was asked for. */
export type PostgresServerFailure =
  /** The address and port belong to another process. */
  | 'address-in-use'
  /** The server process ended while it was starting. */
  | 'ended'
  /** The server is not running. */
  | 'not-running'
  /** The server is frozen, so it cannot answer. */
  | 'frozen'
  /** The server has the wrong role: standby instead of primary, or the reverse. */
  | 'wrong-role'
  /** The server refused an administrative statement. */
  | 'refused';

/**
 * A PostgreSQL server of a {@link PostgresPair} could not do what was asked. Code `ERR_EXTERNALNAME_POSTGRES_SERVER`.
 *
 * If the server process ended by itself, the message contains the last lines of its log.
 */
export class PostgresServerError extends ExternalNameError {
  /** The server's host name. */
  readonly hostName: string;
  /** Why the server could not do it. */
  readonly failure: PostgresServerFailure;

  constructor(hostName: string, failure: PostgresServerFailure, message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_POSTGRES_SERVER', `${hostName}: ${message}`, options);
    this.hostName = hostName;
    this.failure = failure;
  }
}
