import { ExternalNameError } from '@externalname/core';

/** A drill in a cluster was not confirmed. Nothing was changed. Code `ERR_EXTERNALNAME_DRILL_NOT_CONFIRMED`. */
export class DrillNotConfirmedError extends ExternalNameError {
  /** Nothing was done, so it is safe to begin again. */
  override readonly outcome = 'not-executed';

  constructor(service: string) {
    super('ERR_EXTERNALNAME_DRILL_NOT_CONFIRMED', `Not confirmed: ${service} was not touched`);
  }
}

/**
 * A drill began and could not be played to its end; what it had changed was put back. `cause` says why. Code
 * `ERR_EXTERNALNAME_DRILL_UNFINISHED`.
 */
export class DrillUnfinishedError extends ExternalNameError {
  constructor(cause: Error) {
    super('ERR_EXTERNALNAME_DRILL_UNFINISHED', `The drill could not be played to its end: ${cause.message}`, { cause });
  }
}
