import { ExternalNameError, type ExternalNameErrorOptions, type Outcome } from '@externalname/core';
import type { RecentEvent } from './recent-events.ts';

/**
 * No server that the pool may use was found in time. Nothing of the caller's was sent, or the server said that
 * it did not happen; `cause` is the last failure. Code `ERR_EXTERNALNAME_FAILOVER_TIMEOUT`.
 */
export class FailoverTimeoutError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** The time that was allowed, in milliseconds. */
  readonly timeoutMillis: number;
  /** What was tried meanwhile, the latest last: 20 entries at the most, without secrets. */
  readonly recentEvents: readonly RecentEvent[];

  constructor(
    where: string,
    timeoutMillis: number,
    options?: ExternalNameErrorOptions & { recentEvents?: readonly RecentEvent[] | undefined },
  ) {
    super(
      'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      `${where}: no usable server within ${timeoutMillis} ms (${reasonOf(options?.cause)}); ` +
        'check where the Service points and that the server there accepts what targetSessionAttrs asks for',
      options,
    );
    this.timeoutMillis = timeoutMillis;
    this.recentEvents = options?.recentEvents ?? [];
  }
}

/** The connection was closed because its Service points elsewhere now, or its address has left the target's name. Code `ERR_EXTERNALNAME_TARGET_RETIRED`. */
export class TargetRetiredError extends ExternalNameError {
  /** What is known of the statement that was cut. */
  override readonly outcome: Outcome;
  /** The host that the connection led to. */
  readonly target: string;

  constructor(target: string, outcome: Outcome, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_TARGET_RETIRED',
      outcome === 'unknown'
        ? `connection to ${target} was cut when its drain time ended, with a statement in flight: whether it was executed is unknown`
        : `connection to ${target} is closed, as its Service or its name leads elsewhere now: take another one from the pool`,
      options,
    );
    this.target = target;
    this.outcome = outcome;
  }
}

/** The server's role is not what `targetSessionAttrs` asks for. Code `ERR_EXTERNALNAME_SERVER_ROLE`. */
export class ServerRoleError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** Whether it is the session's own setting, which no other server and no time changes. */
  readonly isLasting: boolean;

  constructor(
    where: string,
    wanted: string,
    found: string,
    options: ExternalNameErrorOptions & { isLasting?: boolean | undefined } = {},
  ) {
    super('ERR_EXTERNALNAME_SERVER_ROLE', `${where} is ${found}, and targetSessionAttrs asks for ${wanted}`, options);
    this.isLasting = options.isLasting ?? false;
  }
}

/** The server did not prove who it is in the way that was asked for. Code `ERR_EXTERNALNAME_AUTHENTICATION_REFUSED`. */
export class AuthenticationRefusedError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, what: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_AUTHENTICATION_REFUSED', `${where} ${what}`, options);
  }
}

/**
 * TLS is off without a word, and the plain host is an ExternalName Service that leads out of the cluster: nothing was sent. Code
 * `ERR_EXTERNALNAME_CLEARTEXT_REFUSED`.
 */
export class CleartextRefusedError extends ExternalNameError {
  /** Nothing was sent, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(name: string, target: string, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_CLEARTEXT_REFUSED',
      `${name} is an ExternalName Service that leads to ${target}, and TLS is off: password and data would leave the cluster in the ` +
        `clear. Add allowedTargets: ['${target}'], which turns verified TLS on, or write ssl: false if it is to be so`,
      options,
    );
  }
}

/** The server asks for a password, and none was given. Code `ERR_EXTERNALNAME_PASSWORD_REQUIRED`. */
export class PasswordRequiredError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, user: string, service: string, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_PASSWORD_REQUIRED',
      `${where} asks for the password of user ${JSON.stringify(user)}, and there is none: set the option password or PGPASSWORD, ` +
        `or write a line for ${service} into the password file`,
      options,
    );
  }
}

/** A connection attempt got no answer in time; another one may. Code `ERR_EXTERNALNAME_CONNECT_TIMEOUT`. */
export class ConnectTimeoutError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** What was tried before, where this is what ended the wait for a connection. See {@link recentEventsOf}. */
  declare readonly recentEvents?: readonly RecentEvent[];

  constructor(where: string, timeoutMillis: number, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_CONNECT_TIMEOUT',
      `${where} did not complete a connection within ${timeoutMillis} ms`,
      options,
    );
  }
}

/** The server closed the connection before it was ready. Code `ERR_EXTERNALNAME_CONNECTION_LOST`. */
export class ConnectionLostError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_CONNECTION_LOST', `${where} closed the connection before it was ready`, options);
  }
}

/** The server gave no sign of life, neither on the connection nor to a probe. Code `ERR_EXTERNALNAME_PEER_SILENT`. */
export class PeerSilentError extends ExternalNameError {
  /** What is known of the statement that waited. */
  override readonly outcome: Outcome;
  /** How long nothing came from the server, in milliseconds. */
  readonly silentMillis: number;

  constructor(where: string, silentMillis: number, outcome: Outcome) {
    super(
      'ERR_EXTERNALNAME_PEER_SILENT',
      `${where} gave no sign of life for ${Math.round(silentMillis)} ms` +
        (outcome === 'unknown' ? ': whether the statement in flight was executed is unknown' : ''),
    );
    this.silentMillis = silentMillis;
    this.outcome = outcome;
  }
}

/** No address of the target could be used; `cause` is an `AggregateError` with an entry for each. Code `ERR_EXTERNALNAME_CONNECT`. */
export class ConnectError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, errors: readonly unknown[]) {
    super('ERR_EXTERNALNAME_CONNECT', `cannot connect to ${where}: ${errors.map(reasonOf).join('; ')}`, {
      cause: new AggregateError(errors, `each address of ${where} failed`),
    });
  }
}

/**
 * A statement was to signal a server process that the pool knows no server for, or more than one: another server's process of
 * the same id would be met. Code `ERR_EXTERNALNAME_UNKNOWN_BACKEND`.
 */
export class UnknownBackendError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** The id of the process. */
  readonly processId: number;

  constructor(processId: number, servers: readonly string[]) {
    const reason =
      servers.length === 0
        ? 'serves no connection of this pool (any more)'
        : `is not on one server alone (${[...new Set(servers)].join(', ')})`;
    super(
      'ERR_EXTERNALNAME_UNKNOWN_BACKEND',
      `process ${processId} ${reason}, and on another server the id is somebody else's: it was not signalled. To signal one that ` +
        'is not of this pool, let the server find it: select pg_cancel_backend(pid) from pg_stat_activity where ...',
    );
    this.processId = processId;
  }
}

/** As many callers as allowed are waiting for a connection already. Code `ERR_EXTERNALNAME_TOO_MANY_WAITING`. */
export class TooManyWaitingError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(maxWaiting: number) {
    super(
      'ERR_EXTERNALNAME_TOO_MANY_WAITING',
      `${maxWaiting} callers wait for a connection already: ask later, or raise maxWaiting`,
    );
  }
}

/**
 * The server sent what the protocol does not allow: a message that is cut off, too long, of an unknown type, or out of order. The
 * connection was ended, and nothing of the message was used. Code `ERR_EXTERNALNAME_PROTOCOL_VIOLATION`.
 */
export class ProtocolViolationError extends ExternalNameError {
  /** What is known of the statement that waited. */
  override readonly outcome: Outcome;

  constructor(where: string, what: string, outcome: Outcome, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_PROTOCOL_VIOLATION',
      `${where} ${what}: look whether it is a PostgreSQL server, and what stands in between`,
      options,
    );
    this.outcome = outcome;
  }
}

/**
 * COMMIT was sent and no answer came, and what became of the transaction could not be proven: it may have been executed, or
 * not. Code `ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN`.
 */
export class CommitOutcomeUnknownError extends ExternalNameError {
  /** It may have happened: look before it is done again. */
  override readonly outcome = 'unknown';
  /** The number that the server had given the transaction (`pg_current_xact_id()`), where it was asked. */
  readonly transactionId: string | undefined;
  /** The id of the row that the transaction wrote in the marker table, where there is one. */
  readonly marker: string | undefined;

  constructor(
    where: string,
    trace: { readonly transactionId: string | undefined; readonly marker: string | undefined },
    options?: ExternalNameErrorOptions,
  ) {
    const advice =
      trace.marker === undefined
        ? 'Look for its effects before doing it again; with commitMarker it can be proven after a switch too'
        : `Look for marker ${trace.marker} on the server that serves: where it is, the transaction is committed`;
    super(
      'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN',
      `${where}: COMMIT was sent and not answered (${reasonOf(options?.cause)}), and whether the transaction was executed ` +
        `is unknown. ${advice}`,
      options,
    );
    this.transactionId = trace.transactionId;
    this.marker = trace.marker;
  }
}

/**
 * The transaction was rolled back, although the work itself did not fail: a statement in it had, and its error was not
 * passed on, or the connection was lost. Code `ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK`.
 */
export class TransactionRolledBackError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(options?: ExternalNameErrorOptions) {
    const reason = options?.cause === undefined ? '' : ` (${reasonOf(options.cause)})`;
    super(
      'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK',
      `the transaction was rolled back, and nothing of it happened${reason}: do it again as a whole where that can help`,
      options,
    );
  }
}

/**
 * The work ended its transaction by a COMMIT or ROLLBACK of its own. Code `ERR_EXTERNALNAME_TRANSACTION_ENDED_EARLY`.
 */
export class TransactionEndedEarlyError extends ExternalNameError {
  /** It may have happened: look before it is done again. */
  override readonly outcome = 'unknown';

  constructor(options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_TRANSACTION_ENDED_EARLY',
      'the work sent a COMMIT or ROLLBACK of its own: let it return to commit, and throw to roll back',
      options,
    );
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'no attempt was made';
}
