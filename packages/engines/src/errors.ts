import { ExternalNameError, type ExternalNameErrorOptions } from '@externalname/core';

/**
 * A source of an engine does not know a leader, and never knew one: the engine cannot be read, or does not name one that can be confirmed. Code
 * `ERR_EXTERNALNAME_ENGINE_UNKNOWN`.
 */
export class EngineUnknownError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** `paused`, `unlocked`, `older-timeline`, ... */
  readonly reason: string;

  constructor(engine: string, reason: string, detail: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_ENGINE_UNKNOWN', `${engine} has no leader to follow (${reason}): ${detail}`, options);
    this.reason = reason;
  }
}

/**
 * Another replica of the follower holds the Lease, or it could not be renewed in time, so this one must not switch. It ends a switch that is under
 * way, before the Service is changed. Code `ERR_EXTERNALNAME_LEASE_LOST`.
 */
export class LeaseLostError extends ExternalNameError {
  /** Its name. */
  readonly lease: string;

  constructor(lease: string, why: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_LEASE_LOST', `the Lease ${lease} was lost: ${why}`, options);
    this.lease = lease;
  }
}
