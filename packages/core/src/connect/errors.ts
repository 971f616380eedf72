import { ExternalNameError, type ExternalNameErrorOptions, type Outcome } from '../errors.ts';

/** A connection attempt got no answer in time. A retry may succeed. Code `ERR_EXTERNALNAME_CONNECT_TIMEOUT`. */
export class ConnectTimeoutError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, timeoutMillis: number, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_CONNECT_TIMEOUT',
      `${where} did not complete a connection within ${timeoutMillis} ms`,
      options,
    );
  }
}

/**
 * No usable server was found in time. Nothing was sent for the caller, or the server said that the work did not happen. `cause` is the
 * last failure. Code `ERR_EXTERNALNAME_FAILOVER_TIMEOUT`.
 */
export class FailoverTimeoutError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** The time that was allowed, in milliseconds. */
  readonly timeoutMillis: number;

  constructor(
    where: string,
    timeoutMillis: number,
    options: ExternalNameErrorOptions & { advice?: string | undefined } = {},
  ) {
    const { cause, advice = 'check where the Service points, and that a server answers there' } = options;
    const reason = cause instanceof Error ? cause.message : 'no attempt was made';
    super(
      'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      `${where}: no usable server within ${timeoutMillis} ms (${reason}); ${advice}`,
      { cause },
    );
    this.timeoutMillis = timeoutMillis;
  }
}

/** The connection was closed because its Service points elsewhere now, or its address has left the target's name. Code `ERR_EXTERNALNAME_TARGET_RETIRED`. */
export class TargetRetiredError extends ExternalNameError {
  /** Whether the interrupted work was done. */
  override readonly outcome: Outcome;
  /** The host that the connection led to. */
  readonly target: string;

  constructor(target: string, outcome: Outcome, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_TARGET_RETIRED',
      outcome === 'unknown'
        ? `connection to ${target} was closed because its Service or host name now leads elsewhere, with work in flight: it is unknown whether it was done`
        : `connection to ${target} was closed because its Service or host name now leads elsewhere: take another one`,
      options,
    );
    this.target = target;
    this.outcome = outcome;
  }
}
